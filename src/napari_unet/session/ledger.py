"""What was last known of labels and a checked area; what differs since then becomes an edit."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any  # labels may be any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.boxes import Box
from napari_unet.core.edit import BeforeAfter, Edit, apply_edit, change_of, changed_box, joined_box
from napari_unet.core.object_index import LARGE_PART, ObjectIndex
from napari_unet.core.packed import Packed, pack
from napari_unet.session.history import History
from napari_unet.session.image import Place

__all__ = ["Ledger"]

MOST_INDEXED = 8  # planes; each takes about half a MB with 5,000 objects

Keep = Callable[[Edit, int], None]
"""Takes an edit that was made, and how many steps of a person there are with it."""


class Ledger:
    """A copy of two arrays that follows them edit by edit, with the edits' history.

    Parameters
    ----------
    labels, checked : ndarray of int
        Whose shapes it has; it begins with zeros.

    Attributes
    ----------
    labels, checked : ndarray of int
        What is known.
    history : History
        The edits of a person, and what the network has made between them.
    keep : callable or None
        Is told of each edit, to keep it on disk.
    changes : int
        Grows with each edit, whoever made it.
    is_opening : bool
        What differs now was there before; no person has edited it here.
    """

    def __init__(self, labels: NDArray[Any], checked: NDArray[Any]) -> None:
        self.labels = np.zeros(labels.shape, labels.dtype)
        self.checked = np.zeros(checked.shape, checked.dtype)
        self.history = History()
        self.keep: Keep | None = None
        self.changes = 0
        self.is_opening = False
        self._index: dict[Place, ObjectIndex] = {}  # of the planes that were edited last

    def index(self, place: Place) -> ObjectIndex:
        """Return where the objects of a plane are, as far as it is known."""
        index = self._index.pop(place, None)
        if index is None:
            index = ObjectIndex(self.labels[place], self.checked[place])
        self._index[place] = index
        if len(self._index) > MOST_INDEXED:
            del self._index[next(iter(self._index))]
        return index

    def box(
        self,
        place: Place,
        labels: NDArray[Any],
        checked: NDArray[Any] | None = None,
        within: Box | None = None,
    ) -> Box | None:
        """Return where planes differ from what is known; None if nowhere."""
        boxes = [changed_box(self.labels[place], labels, within=within)]
        if checked is not None:
            boxes.append(changed_box(self.checked[place], checked, within=within))
        found = [box for box in boxes if box is not None]
        return joined_box(found) if found else None

    def note(
        self,
        place: Place,
        labels: NDArray[Any],
        checked: NDArray[Any],
        *,
        within: Box | None = None,
        join: Hashable = None,
    ) -> Edit | None:
        """Take note of what a person has done to a plane; it can be undone.

        Parameters
        ----------
        place : Place
            Which plane.
        labels, checked : ndarray of int, shape (Y, X)
            The plane as it is now.
        within : tuple of slice, optional
            Nothing has changed outside of it.
        join : hashable, optional
            See `History.record`.

        Returns
        -------
        Edit or None
            None if nothing has changed.
        """
        edit = self._take(place, labels, checked, within, join, not self.is_opening)
        if edit is not None:
            self.history.record(edit, join)
            self._keep(edit)
        return edit

    def note_remade(
        self,
        place: Place,
        labels: NDArray[Any],
        packed: tuple[Packed, Packed] | None,
        *,
        index: ObjectIndex | None,
        made_at: int,
        join: Hashable,
        box: Box | None = None,
    ) -> None:
        """Take note of new labels that the network has made of a plane.

        Parameters
        ----------
        place, labels
            See `note`.
        packed : tuple of Packed or None
            The whole plane as it was known when `changes` was `made_at`, and as it is now.
        index : ObjectIndex or None
            Of the new labels.
        made_at : int
            If there were other changes since, or none are given, both are made here.
        join : hashable
            See `History.record`; None adds it to the step before, be it a person's.
        box : tuple of slice, optional
            What was made, of a part of the plane; `packed` is of that part.
        """
        rows, columns = labels.shape
        if box is None:
            box = slice(0, rows), slice(0, columns)
        if packed is None or made_at != self.changes:
            packed = pack(self.labels[place][box]), pack(labels[box])
        self._index.pop(place, None)
        if index is not None and made_at == self.changes:
            self._index[place] = index
        np.copyto(self.labels[place][box], labels[box])
        self.changes += 1
        last = self.history.next_undo
        folds = join is None and last is not None
        edit = Edit(
            place,
            box,
            BeforeAfter(*packed),
            None,
            last.number if folds and last is not None else self.history.number_for(join),
            time.time(),
            by_person=False,
        )
        if join is None:
            self.history.fold(edit)
        else:
            self.history.record(edit, join)
        self._keep(edit)

    def apply(self, edit: Edit, labels: NDArray[Any], checked: NDArray[Any]) -> Edit | None:
        """Write an edit of the history to a plane; return what has changed, None if nothing."""
        apply_edit(edit, labels, checked)
        done = self._take(edit.place, labels, checked, edit.box, None, edit.by_person)
        if done is not None:
            self._keep(done)
        return done

    def _take(
        self,
        place: Place,
        labels: NDArray[Any],
        checked: NDArray[Any],
        within: Box | None,
        join: Hashable,
        by_person: bool,
    ) -> Edit | None:
        """Make an edit of what differs from what is known, and know it."""
        box = self.box(place, labels, checked, within)
        if box is None:
            return None
        known_labels, known_checked = self.labels[place][box], self.checked[place][box]
        edit = Edit(
            place,
            box,
            change_of(known_labels, labels[box]),
            change_of(known_checked, checked[box]),
            self.history.number_for(join),
            time.time(),
            by_person,
        )
        self._update_index(place, box, labels[box], checked[box])
        np.copyto(known_labels, labels[box], casting="same_kind")
        np.copyto(known_checked, checked[box])
        self.changes += 1
        return edit

    def _update_index(
        self, place: Place, box: Box, labels: NDArray[Any], checked: NDArray[Any]
    ) -> None:
        index = self._index.get(place)
        if index is None:
            return
        if labels.size > self.labels[place].size * LARGE_PART:
            del self._index[place]  # to look through the plane again is as fast
        else:
            before = self.labels[place][box], self.checked[place][box]
            index.update(box, before[0], labels, before[1], checked)

    def _keep(self, edit: Edit) -> None:
        if self.keep is not None:
            self.keep(edit, self.history.strokes)
