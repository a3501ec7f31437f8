"""Keeps the edits of all pairs on disk, and finds those that a crash has left there."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from psygnal import Signal

from napari_unet.core.edit import Edit
from napari_unet.core.errors import InputError
from napari_unet.session.compact import KeptPlane, kept_planes
from napari_unet.session.identity import identify
from napari_unet.session.image import Image
from napari_unet.session.journal import Journal, journals_dir
from napari_unet.session.locks import lock, unlock
from napari_unet.session.pair import Pair
from napari_unet.session.recovery import Kept, find_kept, remove_journal, remove_old

__all__ = ["Keeper"]

log = logging.getLogger(__name__)


class Keeper:
    """A journal for each pair, and what can be restored of the image that is worked on.

    All methods are for the viewer's thread; `pump` has to be called there every now and then.
    """

    said = Signal(str, bool)
    """A sentence for the user, and whether it is about a failure."""
    found = Signal()
    """There is something else to be restored, or nothing."""
    restored = Signal(object)
    """A pair is as its journal has left it."""

    def __init__(self) -> None:
        self.kept: list[Kept] = []
        self._journals: dict[Pair, Journal] = {}
        self._saved: dict[Pair, int] = {}  # how many edits are in a session's folder
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="napari-unet recovery")
        self._looking: Future[list[Kept]] | None = None
        self._reading: tuple[Future[list[KeptPlane]], Pair, Kept] | None = None
        self._leaving: list[Journal] = []  # those that were let go, and may still be writing
        self._has_cleaned = False

    @property
    def busy(self) -> bool:
        """Whether something is being looked for or restored."""
        return self._looking is not None or self._reading is not None

    # Keeping

    def follow(self, pair: Pair) -> None:
        """Keep the edits of a pair from now on."""
        journal = Journal(journals_dir(), pair.image)
        self._journals[pair] = journal

        def keep(edit: Edit, strokes: int) -> None:
            journal.append(edit, strokes, pair.classes)

        pair.ledger.keep = keep

    def saved(self, pair: Pair, edits: int) -> None:
        """Take note that the first so many edits of a pair are in a session's folder.

        The journal stays while the pair is open. When it is let go without another edit there is
        nothing to be restored.
        """
        if pair in self._journals:
            self._saved[pair] = edits

    def let_go(self, pair: Pair) -> None:
        """Keep them no more; what was kept can be restored."""
        pair.ledger.keep = None
        journal = self._journals.pop(pair, None)
        if journal is not None:
            self._tell(journal)
            journal.end(remove=self._saved.pop(pair, None) == pair.edits)
            self._leaving.append(journal)

    def flush(self) -> bool:
        """Wait until all edits are on disk; False if that does not come to pass in seconds."""
        flushed = [journal.flush() for journal in self._journals.values()]
        return all(flushed)

    def close(self) -> None:
        """Write what is left, and end all threads."""
        for pair in list(self._journals):
            self.let_go(pair)
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._wait_for_leaving()

    def _wait_for_leaving(self) -> None:
        while self._leaving:
            self._leaving.pop().close()

    # Restoring

    def look(self, image: Image | None) -> None:
        """Look for what can be restored of an image, in a second thread."""
        self._offer([])
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if image is not None:
            self._looking = self._executor.submit(self._look, image)

    def _look(self, image: Image) -> list[Kept]:
        self._wait_for_leaving()
        folder = journals_dir()
        if not folder.is_dir():
            return []
        if not self._has_cleaned:
            self._has_cleaned = True
            remove_old(folder)
        return find_kept(folder, identify(image))

    def _offer(self, kept: list[Kept]) -> None:
        if kept != self.kept:
            self.kept = kept
            self.found.emit()

    def discard(self) -> None:
        """Remove what is offered; the next older one is offered then, if there is any.

        Raises
        ------
        InputError
            If it cannot be removed.
        """
        kept = self._take()
        try:
            remove_journal(kept.path)
        except OSError as error:
            raise InputError(f"{kept.path} cannot be removed: {error.strerror}.") from error
        self._offer(self.kept[1:])

    def must_fit(self, image: Image) -> None:
        """Refuse to restore what is offered where labels of the image have another shape.

        Raises
        ------
        InputError
            If they have.
        """
        if self.kept and self.kept[0].shape != image.shape:
            raise InputError(
                "The image was corrected with other axes; choose its channels as they were then."
            )

    def restore(self, pair: Pair) -> None:
        """Make a pair as what is offered has left it, one step of undo; told by `restored`.

        Raises
        ------
        InputError
            If the labels have another shape, or another window restores it.
        """
        if self._reading is not None:
            raise InputError("Corrections are being restored; wait a moment.")
        self.must_fit(pair.image)
        kept = self._take()
        self._reading = self._executor.submit(_read, kept.path), pair, kept

    def _take(self) -> Kept:
        """Make what is offered ours; another window may be at it."""
        if not self.kept:
            raise InputError("There is nothing to restore.")
        kept = self.kept[0]
        try:
            if not kept.path.is_file() or not lock(kept.path):
                self._offer(self.kept[1:])
                raise InputError("These corrections were restored or discarded in another window.")
        except OSError as error:
            raise InputError(f"{kept.path} cannot be used: {error.strerror}.") from error
        return kept

    # What comes back

    def pump(self) -> None:
        """Take what threads have done; never waits."""
        for journal in self._journals.values():
            self._tell(journal)
        if self._looking is not None and self._looking.done():
            looking, self._looking = self._looking, None
            self._offer(looking.result())
        if self._reading is not None and self._reading[0].done():
            (reading, pair, kept), self._reading = self._reading, None
            self._offer([])
            self._restore(reading, pair, kept)

    def _restore(self, reading: Future[list[KeptPlane]], pair: Pair, kept: Kept) -> None:
        try:
            planes = reading.result()
        except OSError as error:
            unlock(kept.path)
            raise InputError(f"{kept.path} cannot be read: {error.strerror}.") from error
        pair.restore({plane.place: (plane.labels, plane.checked) for plane in planes})
        journal = self._journals.get(pair)
        if journal is not None:  # the old one goes when all of it is in the new one
            journal.then(partial(_remove, kept.path))
        self.restored.emit(pair)
        self.said.emit("The corrections are restored; Ctrl+Z takes that back.", False)

    def _tell(self, journal: Journal) -> None:
        for sentence, is_failure in journal.take_news():
            self.said.emit(sentence, is_failure)


def _read(path: Path) -> list[KeptPlane]:
    return list(kept_planes(path))


def _remove(path: Path) -> None:
    try:
        remove_journal(path)
    except OSError:
        log.warning("%s cannot be removed.", path, exc_info=True)
