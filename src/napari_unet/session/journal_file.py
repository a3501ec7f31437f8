"""The file of a journal: what a person has edited, one record after the other, each checked.

```
napari-unet journal 1\n
| length | CRC-32 |        body of so many bytes              |  repeated
   uint32   uint32   | length of header | JSON header | bytes |
```

All numbers are little endian. The first record says of which image it is; the others hold what is
in a box of a plane after an edit. What is cut off or damaged ends the journal there: the records
before it are good. Nothing in it is ever executed.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO  # JSON values: their types are checked here

from napari_unet.core.boxes import Box
from napari_unet.core.edit import Edit
from napari_unet.core.packed import Packed
from napari_unet.session.identity import ImageIdentity

__all__ = ["MAGIC", "Head", "Record", "encode_head", "encode_record", "read_head", "read_records"]

MAGIC = b"napari-unet journal 1\n"
FRAME = struct.Struct("<II")
COUNT = struct.Struct("<I")
MOST = 2**30  # bytes of a record; what claims to be longer is damaged


@dataclass(frozen=True, slots=True)
class Head:
    """Whose journal it is.

    Attributes
    ----------
    image : ImageIdentity
    shape : tuple of int
        Of the labels.
    created : float
        Seconds since 1970.
    """

    image: ImageIdentity
    shape: tuple[int, ...]
    created: float


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """What is in a box after an edit.

    Attributes
    ----------
    place, box, step, time
        See `Edit`.
    strokes : int
        How many steps of a person there are, with this one.
    classes : tuple of str
        The names of the classes; empty where labels are objects.
    labels, checked : Packed or None
        None where the edit left that array as it was.
    """

    place: tuple[int, ...]
    box: Box
    step: int
    time: float
    strokes: int
    classes: tuple[str, ...]
    labels: Packed | None
    checked: Packed | None

    @classmethod
    def of(cls, edit: Edit, strokes: int, classes: tuple[str, ...]) -> Record:
        """Return what is kept of an edit."""
        labels, checked = (
            None if change is None else change.after for change in (edit.labels, edit.checked)
        )
        return cls(edit.place, edit.box, edit.step, edit.time, strokes, classes, labels, checked)


def encode_head(head: Head) -> bytes:
    """Return the beginning of a journal."""
    return MAGIC + _framed(asdict(head))


def encode_record(record: Record) -> bytes:
    """Return a record as it is appended to a journal."""
    parts = [record.labels, record.checked]
    header = {
        "place": [int(step) for step in record.place],  # numpy's numbers are not JSON's
        "box": [[int(side.start), int(side.stop)] for side in record.box],
        "step": record.step,
        "time": record.time,
        "strokes": record.strokes,
        "classes": record.classes,
        "parts": [None if part is None else [part.dtype, len(part.data)] for part in parts],
    }
    return _framed(header, *(part.data for part in parts if part is not None))


def _framed(header: dict[str, Any], *data: bytes) -> bytes:
    text = json.dumps(header).encode()
    body = b"".join([COUNT.pack(len(text)), text, *data])
    return FRAME.pack(len(body), zlib.crc32(body)) + body


def read_head(path: Path) -> Head | None:
    """Return whose journal a file is; None if it is none, or damaged from the beginning on."""
    with path.open("rb") as file:
        return _read_head(file)


def read_records(path: Path) -> Iterator[tuple[int, Record]]:
    """Yield the records that are whole, each with where in the file it ends."""
    with path.open("rb") as file:
        head = _read_head(file)
        while head is not None and (body := _body(file)) is not None:
            record = _record(body, head.shape)
            if record is None:
                return
            yield file.tell(), record


def _read_head(file: BinaryIO) -> Head | None:
    body = _body(file) if file.read(len(MAGIC)) == MAGIC else None
    if body is None:
        return None
    try:
        header, _ = _parted(body)
        image = header["image"]
        identity = ImageIdentity(
            str(image["name"]),
            str(image["path"]),
            _numbers(image["shape"]),
            str(image["dtype"]),
            str(image["checksum"]),
        )
        return Head(identity, _numbers(header["shape"]), float(header["created"]))
    except (ValueError, TypeError, KeyError, RecursionError, struct.error):
        return None


def _body(file: BinaryIO) -> bytes | None:
    frame = file.read(FRAME.size)
    if len(frame) < FRAME.size:
        return None
    length, checksum = FRAME.unpack(frame)
    body = file.read(length) if length <= MOST else b""
    return body if len(body) == length and zlib.crc32(body) == checksum else None


def _parted(body: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = COUNT.unpack_from(body)
    header = json.loads(body[COUNT.size : COUNT.size + length])
    if not isinstance(header, dict):
        raise ValueError("no header")
    return header, body[COUNT.size + length :]


def _record(body: bytes, shape: tuple[int, ...]) -> Record | None:
    """Return a record; None if it does not fit labels of that shape, as in no file of ours."""
    try:
        header, data = _parted(body)
        place = _numbers(header["place"])
        rows, columns = (slice(int(start), int(stop)) for start, stop in header["box"])
        sides = [slice(step, step + 1) for step in place] + [rows, columns]
        if not all(0 <= s.start < s.stop <= n for s, n in zip(sides, shape, strict=True)):
            return None
        parts: list[Packed | None] = []
        for part in header["parts"]:
            if part is None:
                parts.append(None)
                continue
            size = rows.stop - rows.start, columns.stop - columns.start
            parts.append(Packed(size, str(part[0]), data[: int(part[1])]))
            data = data[int(part[1]) :]
        labels, checked = parts
        return Record(
            place,
            (rows, columns),
            int(header["step"]),
            float(header["time"]),
            int(header["strokes"]),
            tuple(map(str, header["classes"])),
            labels,
            checked,
        )
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, struct.error):
        return None


def _numbers(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in values)
