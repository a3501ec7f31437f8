"""Labels and a checked area whose edits are known, and can be undone in any plane."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any  # labels may be any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.boxes import Box
from napari_unet.core.edit import Edit
from napari_unet.session.history import History
from napari_unet.session.image import Image, Place
from napari_unet.session.ledger import Ledger

__all__ = ["Edited", "Write"]

Write = Callable[[Edit], None]


class Edited(ABC):
    """What is known of two arrays that a viewer shares.

    Parameters
    ----------
    image, labels, checked
        See `Pair`.

    Attributes
    ----------
    edits : int
        Grows with each edit of a person.
    ledger : Ledger
        What was noticed of the arrays so far.
    """

    def __init__(self, image: Image, labels: NDArray[Any], checked: NDArray[np.uint8]) -> None:
        self.image = image
        self.labels = labels
        self.checked = checked
        self.edits = 0
        self.ledger = Ledger(labels, checked)
        self._edited: set[Place] = set()
        self._in_users_hands = 0
        self._counts: dict[Place, int] = {}
        self._join: Hashable = None
        self._lock = threading.RLock()  # edits and what was seen of them belong together

    @abstractmethod
    def absorb(self, place: Place, within: Box | None = None) -> Box | None:
        """Notice what the user has done to a plane since the last call."""

    @property
    def history(self) -> History:
        """What can be undone and redone."""
        return self.ledger.history

    def absorb_all(self) -> None:
        """Notice what the user has done to any plane."""
        for place in self.image.places():
            self.absorb(place)

    def begin(self) -> None:
        """Take what is in the labels as it was opened: it is checked, and no step of undo."""
        self.ledger.is_opening = True
        try:
            self.absorb_all()
        finally:
            self.ledger.is_opening = False
        self.history.clear()

    def take_up(self, planes: dict[Place, tuple[NDArray[Any], NDArray[np.uint8]]]) -> None:
        """Take labels and checked areas of planes as they were saved; it is no step of undo."""
        self.ledger.is_opening = True
        try:
            self.restore(planes)
        finally:
            self.ledger.is_opening = False
        self.history.clear()

    def go_on_with(self, labels: NDArray[Any]) -> None:
        """Take another array of the same shape; what was done to the other is not undone in it."""
        self.labels = labels
        with self.one_step():
            self.absorb_all()
        self.history.clear()

    def _note_edit(self, place: Place, within: Box | None = None) -> None:
        with self._lock:
            self.ledger.note(
                place, self.labels[place], self.checked[place], within=within, join=self._join
            )
            self._was_edited(place)

    def _was_edited(self, place: Place) -> None:
        self.edits += 1
        self._edited.add(place)
        self._counts.pop(place, None)

    # Undo and redo

    @contextmanager
    def one_step(self) -> Iterator[None]:
        """Join what is done inside, to whatever planes, to one step of undo."""
        before, self._join = self._join, self._join or object()
        try:
            yield
        finally:
            self._join = before

    def restore(self, planes: dict[Place, tuple[NDArray[Any], NDArray[np.uint8]]]) -> None:
        """Put labels and checked areas of planes in the place of what is there, as one step."""
        with self.one_step():
            for place in planes:
                self.absorb(place)
        with self.one_step(), self._lock:
            for place, (labels, checked) in planes.items():
                self.labels[place], self.checked[place] = labels, checked
                self._in_users_hands = max(self._in_users_hands, int(labels.max(initial=0)))
                self._note_edit(place)

    def undo(self, write: Write | None = None) -> list[Edit]:
        """Take back the last step, in all its planes; return what has changed by that.

        Parameters
        ----------
        write : callable, optional
            Is given each edit and may write its labels, in the way that a viewer likes best.
        """
        step = self.history.next_undo
        for place in {edit.place for edit in step.edits} if step is not None else ():
            self.absorb(place)  # what was painted since is the last step then
        return self._apply(self.history.undo, write)

    def redo(self, write: Write | None = None) -> list[Edit]:
        """Do the step again that was undone last; see `undo`."""
        step = self.history.next_redo
        for place in {edit.place for edit in step.edits} if step is not None else ():
            self.absorb(place)  # if anything was painted since there is nothing to redo then
        return self._apply(self.history.redo, write)

    def _apply(self, take: Callable[[], list[Edit]], write: Write | None) -> list[Edit]:
        with self._lock:
            done = []
            for edit in take():
                if write is not None:
                    write(edit)
                changed = self.ledger.apply(edit, self.labels[edit.place], self.checked[edit.place])
                self._was_edited(edit.place)
                done += [] if changed is None else [changed]
        return done
