"""Edits of one image's labels, written to disk as they come, by a thread of their own."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path

from napari_unet.core.edit import Edit
from napari_unet.core.library import user_models_dir
from napari_unet.session.compact import compacted
from napari_unet.session.identity import ImageIdentity, identify
from napari_unet.session.image import Image, Place
from napari_unet.session.journal_file import Head, Record, encode_head, encode_record, read_head
from napari_unet.session.locks import has_other_owner, lock, unlock
from napari_unet.session.versions import slug

__all__ = ["Journal", "journals_dir"]

RETRY_S = 10.0
CLOSE_S = 5.0
COMPACT_FROM = 64 * 2**20  # bytes; some ten thousand strokes (chosen)

BINARY = getattr(os, "O_BINARY", 0)  # Windows would change line ends

log = logging.getLogger(__name__)
_numbers = count(1)


def journals_dir() -> Path:
    """Return the folder of the journals; it may not exist yet."""
    return user_models_dir().parent / "journals"


class Journal:
    """Appends edits to a file; the file is made with the first edit of a person.

    All but what the thread does is for the viewer's thread, and never waits for the disk.

    Parameters
    ----------
    folder : Path
        It may not exist yet.
    image : Image
        What is edited.
    """

    def __init__(self, folder: Path, image: Image) -> None:
        self._folder, self._image = folder, image
        self.path: Path | None = None
        self._held: dict[Place, list[Record]] = {}  # by the network, until a person edits there
        self._waiting: deque[Record | Callable[[], None]] = deque()
        self._news: list[tuple[str, bool]] = []
        self._fails = False
        self._closing = False
        self._removes = False
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        # For the thread alone:
        self._descriptor: int | None = None
        self._head = b""
        self._end = 0
        self._compact_at = COMPACT_FROM

    # For the viewer's thread

    def append(self, edit: Edit, strokes: int, classes: tuple[str, ...] = ()) -> None:
        """Keep an edit; see `Record` for the others.

        What the network makes of a plane can be made again: it is kept once a person has edited
        the plane, not with every move of a slider.
        """
        record = Record.of(edit, strokes, classes)
        held = self._held.setdefault(edit.place, [])
        if not edit.by_person:
            if edit.labels is not None and edit.box == self._whole_plane:
                held[:] = [one for one in held if one.checked is not None]
            held.append(record)
            return
        self._put([*held, record])
        held.clear()

    @property
    def _whole_plane(self) -> tuple[slice, slice]:
        rows, columns = self._image.plane_shape
        return slice(0, rows), slice(0, columns)

    def then(self, act: Callable[[], None]) -> None:
        """Do something in the thread once all that was appended so far is on disk."""
        self._put([act])

    def _put(self, items: Sequence[Record | Callable[[], None]]) -> None:
        with self._condition:
            self._waiting.extend(items)
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(
                    target=self._run, name="napari-unet journal", daemon=True
                )
                self._thread.start()
            self._condition.notify_all()

    def take_news(self) -> list[tuple[str, bool]]:
        """Return sentences for the user since the last call, each with whether it is a failure."""
        with self._condition:
            news, self._news = self._news, []
            return news

    def flush(self, seconds: float = CLOSE_S) -> bool:
        """Wait until all is on disk; False if that is not so after some seconds."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._waiting, seconds)

    def end(self, *, remove: bool = False) -> None:
        """Let the thread write what is left, give the file up or remove it, and end."""
        with self._condition:
            self._closing = True
            self._removes = self._removes or remove
            self._condition.notify_all()

    def close(self) -> None:
        """End, and wait for that, some seconds at the most."""
        self.end()
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    # In the thread

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._waiting or self._closing)
                items = list(self._waiting)
                if not items:
                    break
            if self._try_to_write(items):
                with self._condition:
                    for _ in items:
                        self._waiting.popleft()
                    self._condition.notify_all()
                continue
            with self._condition:
                if self._closing or self._condition.wait_for(lambda: self._closing, RETRY_S):
                    break
        self._give_up()

    def _try_to_write(self, items: list[Record | Callable[[], None]]) -> bool:
        try:
            if self._descriptor is None:
                self._open()
            if not self._end:
                self._write(self._head)
            self._write(b"".join(encode_record(item) for item in items if isinstance(item, Record)))
            if self._end > self._compact_at:
                self._compact()
        except Exception as error:  # the thread goes on, whatever the disk or the image does
            self._say_failure(error)
            return False
        if self._fails:
            self._fails = False
            self._say("Corrections are kept on disk again.", False)
        for item in items:
            if not isinstance(item, Record):
                item()
        return True

    def _open(self) -> None:
        identity = identify(self._image)
        self._head = encode_head(Head(identity, self._image.shape, time.time()))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._tell_of_others(identity)
        stamp = datetime.now().strftime("%Y-%m-%d-%H%M%S")
        name = slug(self._image.name)[:40] or "image"
        path = self._folder / f"{name}-{stamp}-{os.getpid()}-{next(_numbers)}.journal"
        lock(path)
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o600)
        except OSError:
            unlock(path)
            raise
        self.path = path

    def _tell_of_others(self, identity: ImageIdentity) -> None:
        for path in self._folder.glob("*.journal"):
            head = read_head(path) if has_other_owner(path) else None
            if head is not None and head.image.is_same(identity):
                self._say(
                    f"{self._image.name} is corrected in another napari window too; "
                    "what is done in each is kept apart.",
                    False,
                )
                return

    def _write(self, data: bytes) -> None:
        """Append, and wait for the disk; what a failure left half is cut off the next time."""
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, self._end)
        os.lseek(self._descriptor, self._end, os.SEEK_SET)
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]
        os.fsync(self._descriptor)
        self._end += len(data)

    def _compact(self) -> None:
        """Write each plane once, as it is now, beside, and go on with that file."""
        assert self.path is not None and self._descriptor is not None
        beside = self.path.with_suffix(".part")
        try:
            compacted(self.path, beside)
            descriptor = os.open(beside, os.O_RDWR | BINARY)
            os.fsync(descriptor)
            os.close(self._descriptor)  # Windows renames no open file over another
            os.close(descriptor)
            self._descriptor = None
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_RDWR | BINARY)
        self._end = self.path.stat().st_size
        self._compact_at = max(COMPACT_FROM, 2 * self._end)

    def _say_failure(self, error: Exception) -> None:
        if not self._fails:
            log.warning("The journal cannot be written.", exc_info=error)
            self._fails = True
            reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
            self._say(
                f"Corrections cannot be kept in {self._folder} ({reason}): make room there, "
                "or save the labels yourself; painting goes on and it is tried again.",
                True,
            )

    def _say(self, sentence: str, is_failure: bool) -> None:
        with self._condition:
            self._news.append((sentence, is_failure))

    def _give_up(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self.path is not None:
            with contextlib.suppress(OSError):
                if self._removes:
                    self.path.unlink(missing_ok=True)
                unlock(self.path)
