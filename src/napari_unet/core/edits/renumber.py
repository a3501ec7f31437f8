"""Give objects other numbers: merge, relabel, delete."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_unet.core.boxes import Box, box_around, is_any
from napari_unet.core.edits.change import Change, change_to, numbered
from napari_unet.core.errors import InputError
from napari_unet.core.label_index import IntArray, count_objects

__all__ = ["EMPTY_BOX", "delete", "delete_in", "merge", "objects_in", "relabel"]

ONE_CELL = "The line passes over one cell only; drag from a piece of the cell to the others."
EMPTY_BOX = "No cell lies with more than half of it in the box; drag it wider."
NO_CELL = "The line passes over no cell; drag from a piece of the cell to the others."


def merge(labels: IntArray, numbers: Sequence[int]) -> Change | None:
    """Give several objects the number of the first; they need not touch.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
    numbers : sequence of int
        In the order in which a drag passed over them; see `numbers_along`.

    Raises
    ------
    InputError
        If there are fewer than two.
    """
    if len(numbers) < 2:
        raise InputError(ONE_CELL if numbers else NO_CELL)
    return _renumber(labels, numbers[1:], numbers[0])


def relabel(labels: IntArray, number: int, new: int) -> Change | None:
    """Give an object another number; if that is another object's, both become one."""
    return _renumber(labels, [number], new)


def delete(labels: IntArray, numbers: Sequence[int]) -> Change | None:
    """Remove objects; background stays where they were."""
    return _renumber(labels, numbers, 0)


def _renumber(labels: IntArray, numbers: Sequence[int], new: int) -> Change | None:
    box = box_around(labels, numbers)
    if box is None:
        return None
    before = labels[box]
    return change_to(labels, box, numbered(before, is_any(before, numbers), new))


def objects_in(labels: IntArray, box: Box) -> list[int]:
    """Return the objects of which more than half lies in a box.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
    box : tuple of slice
        Rows and columns, inside of the plane.
    """
    return _mostly_in(labels, box)[0]


def delete_in(labels: IntArray, box: Box) -> Change | None:
    """Remove the objects of which more than half lies in a box.

    Raises
    ------
    InputError
        If there is none.
    """
    numbers, around = _mostly_in(labels, box)
    if not numbers:
        raise InputError(EMPTY_BOX)
    before = labels[around]
    return change_to(labels, around, numbered(before, is_any(before, numbers), 0))


def _mostly_in(labels: IntArray, box: Box) -> tuple[list[int], Box]:
    """Return the objects that lie mostly in a box, and a box around all of each."""
    found, inside = count_objects(labels[box])
    around = box_around(labels, found.tolist())
    if around is None:
        return [], box
    everywhere, area = count_objects(labels[around])
    is_mostly_in = 2 * inside > area[np.searchsorted(everywhere, found)]
    return [int(number) for number in found[is_mostly_in]], around
