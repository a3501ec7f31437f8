"""Which objects are large enough to count as such.

The border of an image cuts objects off, and what is left of a cell may be smaller than any whole
one. It is kept down to a part of the smallest size::

    +----------------+
    |##     ####     |    ## at the border: kept from a quarter of the size
    |##    ######    |    .  elsewhere: a crumb, left out
    |       ####   . |
    +----------------+
"""

from __future__ import annotations

from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray

__all__ = ["at_border", "large_enough", "remove_small"]

# Chosen among 2, 4 and 8 on looks held out, and on images held out at random (docs/measured.md).
CUT_OFF = 4


def large_enough(
    pixels: NDArray[np.integer[Any]], cut_off: NDArray[Any], min_size: int
) -> NDArray[np.bool_]:
    """Return by number whether an object is large enough; number 0, the background, is not.

    Parameters
    ----------
    pixels : ndarray of int, shape (n + 1,)
        Of each object, by number.
    cut_off : ndarray of int or bool
        Numbers of the objects at the border of the image, or by number whether they are.
    min_size : int
        What whole objects have at the least, in pixels.
    """
    enough = pixels >= max(1, min_size)
    enough[cut_off] = pixels[cut_off] >= max(1, min_size // CUT_OFF)
    enough[:1] = False
    return enough


def at_border(
    labels: NDArray[np.integer[Any]],
    part: tuple[slice, slice] | None = None,
    shape: tuple[int, int] | None = None,
) -> NDArray[np.integer[Any]]:
    """Return the numbers on the outermost pixels of an image; some more than once.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        Of a part of the image.
    part : tuple of slice, optional
        Its rows and columns; by default it is the whole.
    shape : tuple of int, optional
        Rows and columns of the image, where it is not the whole.
    """
    edges = [np.zeros(0, labels.dtype)]
    for axis, along in enumerate((labels, labels.T) if labels.size else ()):
        if part is None or part[axis].start == 0:
            edges.append(along[0])
        if part is None or shape is None or part[axis].stop == shape[axis]:
            edges.append(along[-1])
    return np.concatenate(edges)


def remove_small(labels: NDArray[np.int32], min_size: int) -> NDArray[np.int32]:
    """Drop objects of fewer pixels than `min_size` and number the rest from 1.

    What the border of a plane cuts off may be smaller, see `large_enough`; of a volume, whose first
    and last planes cut many objects, it may not.
    """
    inside = np.flatnonzero(labels != 0)
    numbers = labels.ravel()[inside]
    cut_off = at_border(labels) if labels.ndim == 2 else np.zeros(0, np.intp)
    keep = large_enough(np.bincount(numbers, minlength=1), cut_off, min_size)
    if keep[1:].all():
        return labels
    number = np.cumsum(keep, dtype=np.int32)
    number[~keep] = 0
    kept = np.zeros(labels.shape, np.int32)
    kept.ravel()[inside] = number[numbers]
    return kept
