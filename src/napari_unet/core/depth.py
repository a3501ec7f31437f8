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
FEW = 1 / 32  # part of the pixels that is looked up one by one instead (about where both are alike)
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
            squared = _along_rows(self._columns[start:stop])
            if squared is not None:
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


def _along_rows(columns: NDArray[np.uint8]) -> NDArray[np.uint16] | None:
    """Squared distances, the nearest along each row; None where something is too deep.

    All rows are one line, with room between them in which there is no background: numpy goes
    through a long line two to three times as fast as through many rows of up to 2048 pixels.
    """
    rows, width = columns.shape
    line = np.full(DEEPEST + rows * (width + DEEPEST), FAR**2, np.uint16)
    squared = line[DEEPEST:].reshape(rows, width + DEEPEST)[:, :width]  # a view
    np.multiply(columns, columns, out=squared, dtype=np.uint16)
    before, end = line.copy(), len(line) - DEEPEST
    nearest = line[DEEPEST:end]
    moved = np.empty_like(nearest)
    for step in range(1, DEEPEST + 1):
        if step % LOOKS == 1:
            is_deeper = squared > step * step
            count = int(np.count_nonzero(is_deeper))
            if not count:
                return squared
            if count < FEW * is_deeper.size:
                places = np.flatnonzero(is_deeper)
                places += DEEPEST * (places // width + 1)
                return squared if _at_places(line, before, places, step, width) else None
        if step >= width:
            break
        left, right = before[DEEPEST - step : end - step], before[DEEPEST + step : end + step]
        np.minimum(left, right, out=moved)
        moved += np.uint16(step * step)
        np.minimum(nearest, moved, out=nearest)
    return squared if int(squared.max(initial=0)) <= DEEPEST * DEEPEST else None


def _at_places(
    line: NDArray[np.uint16],
    before: NDArray[np.uint16],
    places: NDArray[np.intp],
    first: int,
    width: int,
) -> bool:
    """Go on from some step where it is still deeper; False where something is too deep."""
    for step in range(first, min(width, DEEPEST + 1)):
        left = before.take(places - step, mode="clip")
        moved = np.minimum(left, before.take(places + step, mode="clip"), out=left)
        moved += np.uint16(step * step)
        nearest = np.minimum(line.take(places, mode="clip"), moved, out=moved)
        line[places] = nearest
        places = places[nearest > (step + 1) ** 2]
        if not len(places):
            return True
    return int(line.take(places).max(initial=0)) <= DEEPEST * DEEPEST
