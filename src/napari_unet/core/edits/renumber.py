"""Give objects other numbers: merge, relabel, delete."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_unet.core.checked import Box
from napari_unet.core.edits.change import Change, box_around, change_to, is_any, numbered
from napari_unet.core.errors import InputError
from napari_unet.core.label_index import IntArray

__all__ = ["delete", "merge", "objects_in", "relabel"]

ONE_CELL = "The line passes over one cell only; drag from a piece of the cell to the others."
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
    found, inside = np.unique(labels[box], return_counts=True)
    numbers, inside = found[found > 0], inside[found > 0]
    around = box_around(labels, numbers.tolist())
    if around is None:
        return []
    everywhere, area = np.unique(labels[around], return_counts=True)
    is_mostly_in = 2 * inside > area[np.searchsorted(everywhere, numbers)]
    return [int(number) for number in numbers[is_mostly_in]]
