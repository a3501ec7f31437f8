"""What an edit makes of a plane of labels: a box, and the labels in it afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.boxes import Box
from napari_unet.core.label_index import IntArray

__all__ = ["Change", "change_to", "numbered"]


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
