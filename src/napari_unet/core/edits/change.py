"""What an edit makes of a plane of labels: a box, and the labels in it afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.checked import Box, box_of
from napari_unet.core.label_index import IntArray

__all__ = ["Change", "box_around", "change_to", "is_any", "numbered"]

# A strip of so many rows stays in the processor's cache while it is compared (measured at
# 4096 x 4096 int32: 4 ms for one number, 10 ms with strips of 16 rows).
STRIP = 64

# Up to so many numbers, comparing with each is faster than a table of all (measured as above).
FEW = 6

# A table of the numbers that are looked for is at the most so long (chosen: 16 MB).
LONGEST_TABLE = 2**24


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One edit of one plane.

    Attributes
    ----------
    box : tuple of slice
        Rows and columns of the plane.
    after : ndarray of int, shape of the box
        What the labels in the box become. Its dtype is wider than that of the labels where a
        number would not fit into theirs.
    """

    box: Box
    after: IntArray


def change_to(labels: IntArray, box: Box, after: IntArray) -> Change | None:
    """Return the change that writes `after` into a box, or None where that changes nothing."""
    return None if np.array_equal(labels[box], after) else Change(box, after)


def numbered(labels: IntArray, where: NDArray[np.bool_], number: int) -> IntArray:
    """Return a copy of labels with a number in some pixels, wider if it would not fit."""
    dtype = labels.dtype
    if number > np.iinfo(dtype).max:
        dtype = np.promote_types(dtype, np.min_scalar_type(number))
    after = labels.astype(dtype)
    after[where] = number
    return after


def is_any(labels: IntArray, numbers: Sequence[int]) -> NDArray[np.bool_]:
    """Return where labels are any of some numbers, none of which is negative or background."""
    if not numbers:
        return np.zeros(labels.shape, bool)
    if len(numbers) <= FEW:
        area: NDArray[np.bool_] = labels == numbers[0]
        for number in numbers[1:]:
            area |= labels == number
        return area
    if max(numbers) > LONGEST_TABLE or labels.dtype == np.uint64:  # no index
        return np.isin(labels, numbers)
    table = np.zeros(max(numbers) + 2, bool)
    table[list(numbers)] = True  # the first and the last stay False, for all that is clipped
    return np.take(table, labels, mode="clip")


def box_around(labels: IntArray, numbers: Sequence[int], margin: int = 0) -> Box | None:
    """Return the smallest box that holds all pixels of some objects, and a margin.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
    numbers : sequence of int
        Which objects; every part of them counts, wherever it is.
    margin : int
        By how many pixels it is wider on each side, as far as the plane goes.

    Returns
    -------
    tuple of slice or None
        None where there is no such object.
    """
    rows = np.zeros(labels.shape[0], bool)
    columns = np.zeros(labels.shape[1], bool)
    for top in range(0, labels.shape[0], STRIP):
        hit = is_any(labels[top : top + STRIP], numbers)
        if hit.any():
            rows[top : top + STRIP] = hit.any(axis=1)
            columns |= hit.any(axis=0)
    if not rows.any():
        return None
    height = box_of(rows[:, None], margin)[0]
    width = box_of(columns[None], margin)[1]
    return height, width
