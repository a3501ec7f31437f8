"""How deep pixels lie inside a foreground: exact Euclidean distances, fast where it is thin.

Distances in columns come first; along each row the nearest is then the least of d(x + dx)^2 + dx^2
(Saito and Toriwaki 1994), and only steps up to the greatest depth can win. Objects are thin, so a
few steps over whole rows of small integers are enough; general transforms take ten times as long.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Depth", "depth_of"]

DEEPEST = 64  # px; what is deeper is left to scipy, whose time does not grow with the depth
FAR = 2 * DEEPEST  # stands for "no background in this column"; its square fits into 16 bits
LOOKS = 3  # steps between two looks whether another one can matter: a look costs a third of one
BAND = 64  # rows that are gone through at a time: they stay in the processor's cache (chosen)
STRIP = 256  # columns that are gone through at a time, likewise (128 to 512 are alike)


def depth_of(foreground: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the distance of each pixel to the nearest one of the background, in pixels.

    Equal to `scipy.ndimage.distance_transform_edt` as float32. What is outside of the image is
    no background.

    Parameters
    ----------
    foreground : ndarray of bool, shape (Y, X)
    """
    depth = Depth(foreground)
    bands = [depth.rows(top, top + BAND) for top in range(0, len(foreground) or 1, BAND)]
    return np.concatenate(bands)


class Depth:
    """The depth of a foreground, some rows at a time: no array as large as the plane is made.

    Parameters
    ----------
    foreground : ndarray of bool, shape (Y, X)
    """

    def __init__(self, foreground: NDArray[np.bool_]) -> None:
        self._foreground = foreground
        self._columns = _along_columns(foreground)
        self._exact: NDArray[np.float32] | None = None

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return `depth_of` of rows from start up to stop, or to the end of the plane."""
        if self._exact is None:
            squared = self._columns[start:stop].astype(np.uint16)
            squared *= squared
            if _along_rows(squared):
                return np.sqrt(squared, dtype=np.float32)
            self._exact = ndimage.distance_transform_edt(self._foreground).astype(np.float32)
        return self._exact[start:stop]


def _along_columns(foreground: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Distance to the nearest background above or below, at the most `FAR`."""
    found = np.empty(foreground.shape, np.uint8)
    for left in range(0, foreground.shape[1], STRIP):
        strip = np.ascontiguousarray(foreground[:, left : left + STRIP])
        below = _from_above(np.ascontiguousarray(strip[::-1]))[::-1]
        np.minimum(_from_above(strip), below, out=found[:, left : left + STRIP])
    return found


def _from_above(foreground: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Distance to the nearest background above, at the most `FAR`, which also stands for none.

    Among the next `steps` pixels upwards it is known; then it is among twice as many. A few
    operations on all of it let two threads work at a time, which thousands on a row each do not.
    """
    found = foreground.astype(np.uint8)
    steps = 1
    while steps < min(FAR, len(found)):
        goes_on = (found[steps:] == steps).view(np.uint8)
        if not goes_on.any():
            break
        goes_on *= found[:-steps]
        found[steps:] += goes_on
        steps *= 2
    from_edge = np.ones(found.shape[1], bool)
    for row, inside in zip(found, foreground, strict=True):
        from_edge &= inside
        if not from_edge.any():
            break
        row[from_edge] = FAR
    return found


def _along_rows(squared: NDArray[np.uint16]) -> bool:
    """Take the nearest along each row, in place; False where something is too deep."""
    before = squared.copy()
    width = squared.shape[1]
    moved = np.empty_like(squared)
    for step in range(1, DEEPEST + 1):
        if step % LOOKS == 1 and int(squared.max(initial=0)) <= step * step:
            return True
        if step >= width:
            break
        away = np.uint16(step * step)
        if 2 * step < width:  # the nearer of both sides, and one side at the ends
            both, inner = moved[:, step:-step], squared[:, step:-step]
            np.minimum(before[:, 2 * step :], before[:, : -2 * step], out=both)
            both += away
            np.minimum(inner, both, out=inner)
        ends = min(step, width - step)
        first, last = squared[:, :ends], squared[:, width - ends :]
        np.minimum(first, before[:, step : step + ends] + away, out=first)
        np.minimum(last, before[:, width - step - ends : width - step] + away, out=last)
    return int(squared.max(initial=0)) <= DEEPEST * DEEPEST
