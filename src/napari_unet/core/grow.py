"""Growing objects by a pixel into the background around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.threads import in_threads

__all__ = ["grow_where"]


def grow_where(
    labels: NDArray[np.int32],
    probability: NDArray[np.float32],
    level: float,
    may_grow: NDArray[np.bool_],
) -> None:
    """Grow some objects by a pixel, in place, where the probability is high enough.

    Parameters
    ----------
    labels : ndarray of int32, shape (Y, X)
    probability : ndarray of float32, shape (Y, X)
        Of the foreground.
    level : float
        Background of at least this probability is taken.
    may_grow : ndarray of bool, shape (objects + 1,)
        By number.
    """
    if not may_grow.any():
        return
    rows = len(labels)
    halves = [slice(0, rows // 2), slice(rows // 2, rows)]

    def free(part: slice) -> NDArray[np.intp]:
        found = np.flatnonzero((labels[part] == 0) & (probability[part] >= level))
        found += part.start * labels.shape[1]
        return found

    pixels = np.concatenate(in_threads(free, halves, labels.size))
    y, x = np.divmod(pixels, labels.shape[1])
    taken = np.zeros(len(pixels), np.int32)
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        beside_y, beside_x = y + dy, x + dx
        is_in = (beside_y >= 0) & (beside_y < rows) & (beside_x >= 0) & (beside_x < labels.shape[1])
        beside = np.zeros(len(pixels), np.int32)
        beside[is_in] = labels[beside_y[is_in], beside_x[is_in]]
        np.maximum(taken, np.where(may_grow[beside], beside, 0), out=taken)
    labels.ravel()[pixels] = taken
