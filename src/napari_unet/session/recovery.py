"""Journals of earlier days: which can be restored, and which are too old to be kept."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from napari_unet.session.identity import ImageIdentity
from napari_unet.session.journal_file import Record, read_head, read_records
from napari_unet.session.locks import is_locked, unlock

__all__ = ["Kept", "find_kept", "remove_journal", "remove_old"]

KEPT_DAYS = 14
KEPT_BYTES = 2 * 2**30

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """Corrections that can be restored.

    Attributes
    ----------
    path : Path
        Of the journal.
    shape : tuple of int
        Of the labels.
    time : float
        Of the last edit, in seconds since 1970.
    strokes : int
        How many steps of a person there are in it.
    classes : tuple of str
        The names of the classes; empty where labels are objects.
    """

    path: Path
    shape: tuple[int, ...]
    time: float
    strokes: int
    classes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What is told to the user."""
        then = datetime.fromtimestamp(self.time)
        is_today = then.date() == datetime.now().date()
        when = f"{then:%H:%M}" if is_today else f"{then.day} {then:%B, %H:%M}"
        strokes = f"{self.strokes} stroke{'s' * (self.strokes != 1)}"
        return f"Corrections of {when} ({strokes}) can be restored."


def find_kept(folder: Path, identity: ImageIdentity) -> list[Kept]:
    """Return what can be restored of an image, newest first; what is in use is not among it."""
    found = []
    for path in _journals(folder):
        with contextlib.suppress(OSError):
            head = read_head(path)
            if head is None or not head.image.is_same(identity) or is_locked(path):
                continue
            last = _last(path)
            if last is not None and last.strokes > 0:
                found.append(Kept(path, head.shape, last.time, last.strokes, last.classes))
    return sorted(found, key=lambda kept: kept.time, reverse=True)


def _last(path: Path) -> Record | None:
    last = None
    for _, record in read_records(path):
        last = record
    return last


def remove_journal(path: Path) -> None:
    """Remove a journal and its lock.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    path.unlink(missing_ok=True)
    unlock(path)


def remove_old(folder: Path, *, days: float = KEPT_DAYS, most_bytes: int = KEPT_BYTES) -> None:
    """Remove journals that were not written for some days, and the oldest if there is too much.

    Those in use stay; what cannot be removed stays too.
    """
    now, total = time.time(), 0
    with contextlib.suppress(OSError):
        for path, modified, size in sorted(_sizes(folder), key=lambda one: one[1], reverse=True):
            total += size
            is_old = now - modified > days * 86400
            if (is_old or total > most_bytes) and not is_locked(path):
                remove_journal(path)
                log.info("%s was removed: it was not written for %.0f days.", path, days)


def _sizes(folder: Path) -> Iterator[tuple[Path, float, int]]:
    for path in _journals(folder):
        with contextlib.suppress(OSError):
            known = path.stat()
            yield path, known.st_mtime, known.st_size


def _journals(folder: Path) -> list[Path]:
    try:
        return sorted(folder.glob("*.journal"))
    except OSError:
        return []
