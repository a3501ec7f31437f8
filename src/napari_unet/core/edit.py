"""One edit of a plane: what was in a box of its labels and its checked area, and what is now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any  # labels may be any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.boxes import Box
from napari_unet.core.packed import Packed, pack, unpack

__all__ = [
    "BeforeAfter",
    "Edit",
    "apply_edit",
    "change_of",
    "changed_box",
    "joined_box",
    "pixels_of",
]


@dataclass(frozen=True, slots=True, eq=False)
class BeforeAfter:
    """A box of one array before and after."""

    before: Packed
    after: Packed

    @property
    def n_bytes(self) -> int:
        """How much memory it holds."""
        return len(self.before.data) + len(self.after.data)


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """An edit of one plane of a stack.

    Attributes
    ----------
    place : tuple of int
        Which plane.
    box : tuple of slice
        Rows and columns.
    labels, checked : BeforeAfter or None
        None where the edit left that array as it was.
    step : int
        Edits with the same number, of one plane or of several, are undone together.
    time : float
        When, in seconds since 1970.
    by_person : bool
        Whether a person has edited; else labels were made of probabilities, or opened.
    """

    place: tuple[int, ...]
    box: Box
    labels: BeforeAfter | None
    checked: BeforeAfter | None
    step: int
    time: float
    by_person: bool = True

    @property
    def n_bytes(self) -> int:
        """How much memory it holds."""
        return sum(change.n_bytes for change in (self.labels, self.checked) if change is not None)

    def reversed(self) -> Edit:
        """Return the edit that takes this one back."""
        return replace(self, labels=_turned(self.labels), checked=_turned(self.checked))


def _turned(change: BeforeAfter | None) -> BeforeAfter | None:
    return None if change is None else BeforeAfter(change.after, change.before)


def changed_box(
    before: NDArray[Any], after: NDArray[Any], *, within: Box | None = None
) -> Box | None:
    """Return the smallest box around what differs in two planes (Y, X); None if nothing does."""
    rows, columns = within or (slice(0, before.shape[0]), slice(0, before.shape[1]))
    differs = before[rows, columns] != after[rows, columns]
    at_row = np.flatnonzero(differs.any(axis=1))
    if not len(at_row):
        return None
    at_column = np.flatnonzero(differs[at_row[0] : at_row[-1] + 1].any(axis=0))
    top, left = int(rows.start or 0), int(columns.start or 0)
    return (
        slice(top + int(at_row[0]), top + int(at_row[-1]) + 1),
        slice(left + int(at_column[0]), left + int(at_column[-1]) + 1),
    )


def joined_box(boxes: Sequence[Box]) -> Box:
    """Return the smallest box with all of some boxes, at least one, in it."""
    rows, columns = zip(*boxes, strict=True)
    return _joined(rows), _joined(columns)


def _joined(sides: Sequence[slice]) -> slice:
    return slice(min(side.start for side in sides), max(side.stop for side in sides))


def change_of(before: NDArray[Any], after: NDArray[Any]) -> BeforeAfter | None:
    """Pack two states of a box, shape (Y, X); None if they are equal."""
    return None if np.array_equal(before, after) else BeforeAfter(pack(before), pack(after))


def pixels_of(edit: Edit, labels: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Return which pixels of its box `apply_edit` would write in a plane of labels, and what."""
    part = labels[edit.box]
    if edit.labels is None:
        return np.zeros(part.shape, bool), part[:0, :0].ravel()
    before, after = unpack(edit.labels.before), unpack(edit.labels.after)
    where = (part == before) & (before != after)
    return where, after[where]


def apply_edit(edit: Edit, labels: NDArray[Any], checked: NDArray[Any]) -> None:
    """Write an edit again, in place, wherever pixels are what they were before it.

    Parameters
    ----------
    edit : Edit
    labels, checked : ndarray of int, shape (Y, X)
        The plane that it is of. Pixels that were changed otherwise meanwhile stay as they are.
    """
    for change, plane in ((edit.labels, labels), (edit.checked, checked)):
        if change is not None:
            part = plane[edit.box]
            still = part == unpack(change.before)
            part[still] = unpack(change.after)[still]
