"""Messages between the viewer's process and the worker: a head, a pickle, and bare array buffers.

::

    kind, job, bytes of pickle, count of buffers | bytes of each buffer | pickle | buffers ...

Arrays travel beside the pickle (protocol 5): they are written from where they lie, and read
into memory that is there already, by system calls during which other Python threads run.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import IO, Any  # Any: what pickle takes and returns

import numpy as np

__all__ = ["Frame", "Kind", "encode", "read_frame", "widen", "write_frame"]

_HEAD = struct.Struct("<BQQI")
_LENGTH = struct.Struct("<Q")
_MOST_AT_ONCE = 1 << 24  # some systems refuse writes beyond 2 GB
_WIDE = 1 << 20  # bytes; what Linux allows everyone


class Kind(IntEnum):
    """What a message says; `TASK`, `CANCEL`, `ASK` and `LOOK` go to the worker."""

    TASK = 1
    CANCEL = 2
    EVENT = 3
    RESULT = 4
    ERROR = 5
    LOG = 6
    READY = 7
    ASK = 8
    LOOK = 9


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A message as it travels; its value is pickled."""

    kind: int
    job: int
    body: bytes | memoryview
    buffers: list[memoryview]

    def load(self) -> object:
        """Return the value; its arrays use the buffers' memory.

        Only our own worker, or who started it, is at the other end of the pipe: no file and
        nothing that a stranger sent is unpickled.
        """
        return pickle.loads(self.body, buffers=self.buffers)


class _Pickler(pickle.Pickler):
    """Pickles every plain array beside the stream, also views that are not contiguous."""

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, np.ndarray) or obj.dtype.hasobject:
            return NotImplemented
        if type(obj) is np.memmap:
            obj = np.asarray(obj)
        elif type(obj) is not np.ndarray:
            return NotImplemented
        # numpy copies with the GIL released; pickle would copy with it held.
        if not (obj.flags.c_contiguous or obj.flags.f_contiguous):
            obj = np.ascontiguousarray(obj)
        return obj.__reduce_ex__(5)


def encode(kind: Kind, job: int, value: object = None) -> Frame:
    """Pickle a value into a message; the message keeps its arrays alive."""
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(value)
    return Frame(kind, job, stream.getvalue(), [buffer.raw() for buffer in buffers])


def write_frame(file: IO[bytes], frame: Frame) -> None:
    """Write a message to an unbuffered pipe.

    Raises
    ------
    OSError
        If nobody reads any more.
    """
    head = _HEAD.pack(frame.kind, frame.job, len(frame.body), len(frame.buffers))
    lengths = b"".join(_LENGTH.pack(buffer.nbytes) for buffer in frame.buffers)
    _write(file, memoryview(head + lengths))
    _write(file, memoryview(frame.body))
    for buffer in frame.buffers:
        _write(file, buffer)


def _write(file: IO[bytes], data: memoryview) -> None:
    while data.nbytes:
        data = data[file.write(data[:_MOST_AT_ONCE]) :]


def read_frame(file: IO[bytes]) -> Frame | None:
    """Read a message from an unbuffered pipe; None if the other side has gone."""
    try:
        kind, job, length, count = _HEAD.unpack(_read(file, _HEAD.size))
        lengths = [_LENGTH.unpack(_read(file, _LENGTH.size))[0] for _ in range(count)]
        body = _read(file, length)
        return Frame(kind, job, body, [_read(file, size) for size in lengths])
    except (EOFError, OSError):
        return None


def _read(file: IO[bytes], size: int) -> memoryview:
    rest = data = np.empty(size, np.uint8).data  # not filled with zeros first
    while rest.nbytes:
        read: int = file.readinto(rest)  # type: ignore[attr-defined]  # raw files have it
        if not read:
            raise EOFError
        rest = rest[read:]
    return data


def widen(file: IO[bytes]) -> None:
    """Let the pipe hold a whole tile, so that a sender seldom waits; only Linux can."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl  # not on Windows

        fcntl.fcntl(file.fileno(), fcntl.F_SETPIPE_SZ, _WIDE)
