"""Outlines of objects along the edges of their pixels, and back: what is traced fills exactly.

Corners have whole coordinates, x to the right and y down, 0 at the outer corner of the first
pixel, as in ImageJ, QuPath and COCO. A pixel belongs to an outline if its centre lies inside::

        0   1   2   3  x
      0 +---+---+---+
        | . | # | # |      outer ring  (1,0) (3,0) (3,2) (1,2)
      1 +---+---+---+
        | . | # | # |
      2 +---+---+---+
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.errors import InputError

__all__ = ["Box", "Polygon", "Ring", "fill", "trace"]

Ring = NDArray[np.float64]  # shape (N, 2): x and y of each corner, the first is not repeated
Polygon = list[Ring]  # the outer ring, then those of its holes
Box = tuple[slice, slice]

# Rows that the edges of one object may cross together: a larger number is no outline but an
# attack on the memory (a circle round a plane of 30,000 px crosses 60,000).
MAX_CROSSINGS = 50_000_000

# Pixels that no image reaches.
FARTHEST = 1e9

# Pixels that are filled at a time, to bound the memory.
BAND = 2**22


def trace(mask: NDArray[np.bool_]) -> list[Polygon]:
    """Return the outline of each 4-connected piece, holes included.

    Rings never cross themselves; they may touch at a corner. Outer rings run clockwise as seen
    on the screen, those of holes the other way, so that both rules of filling (even-odd and
    nonzero) agree.

    Parameters
    ----------
    mask : ndarray of bool, shape (Y, X)
        One object.
    """
    pieces, count = ndimage.label(mask)
    polygons = []
    for number, box in enumerate(ndimage.find_objects(pieces, count), start=1):
        offset = np.array([box[1].start, box[0].start], float)
        rings = [ring + offset for ring in _rings(pieces[box] == number)]
        rings.sort(key=lambda ring: -abs(_area(ring)))
        wanted = [1.0, *[-1.0] * (len(rings) - 1)]
        polygons.append(
            [
                ring if _area(ring) * sign > 0 else ring[::-1]
                for ring, sign in zip(rings, wanted, strict=True)
            ]
        )
    return polygons


def fill(rings: Sequence[Ring], shape: tuple[int, int]) -> tuple[Box, NDArray[np.bool_]]:
    """Return the box that rings lie in, and which of its pixels they enclose.

    A pixel is inside if a ray from its centre crosses the rings an odd number of times.

    Parameters
    ----------
    rings : sequence of ndarray of float, shape (N, 2)
        x and y of corners; they may reach outside the image.
    shape : tuple of int
        Rows and columns of the image.

    Raises
    ------
    InputError
        If a coordinate is not finite, or the outline is too long.
    """
    parts = [np.asarray(ring, float).reshape(-1, 2) for ring in rings if len(ring) > 2]
    if not all((np.abs(part) < FARTHEST).all() for part in parts):  # NaN is not below either
        raise InputError("An outline leads far out of any image; remove that object.")
    if not parts:
        return (slice(0, 0), slice(0, 0)), np.zeros((0, 0), bool)
    start = np.concatenate(parts)
    stop = np.concatenate([np.roll(part, -1, axis=0) for part in parts])
    columns = _span(start[:, 0], shape[1])
    rows = _span(start[:, 1], shape[0])
    height, width = rows.stop - rows.start, columns.stop - columns.start
    y, x = _crossings(start, stop, rows)
    at = np.clip(np.ceil(x - 0.5) - columns.start, 0, width).astype(np.intp)
    inside = np.zeros((height, width), bool)
    step = max(1, BAND // (width + 1))
    for top in range(0, height, step):
        band = inside[top : top + step]
        here = (y >= top) & (y < top + step)
        place = (y[here] - top) * (width + 1) + at[here]
        flips = np.bincount(place, minlength=len(band) * (width + 1)) % 2 == 1
        flips = flips.reshape(len(band), width + 1)[:, :-1]
        np.logical_xor.accumulate(flips, axis=1, out=band)
    return (rows, columns), inside


def _span(values: NDArray[np.float64], size: int) -> slice:
    """Pixels of an axis whose centres may lie between the values."""
    low, high = np.clip([np.floor(values.min()), np.ceil(values.max())], 0, size)
    return slice(int(low), int(max(low, high)))


def _crossings(
    start: NDArray[np.float64], stop: NDArray[np.float64], rows: slice
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Where edges cross the centres of rows: the row, counted in the span, and x."""
    low = np.minimum(start[:, 1], stop[:, 1])
    high = np.maximum(start[:, 1], stop[:, 1])
    first, last = (
        np.clip(np.ceil(edge - 0.5), rows.start, rows.stop).astype(np.intp) for edge in (low, high)
    )
    counts = last - first
    if counts.sum() > MAX_CROSSINGS:
        raise InputError("An outline has too many corners to be one of an object; simplify it.")
    edge = np.repeat(np.arange(len(start)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    slope = (stop[edge, 0] - start[edge, 0]) / (stop[edge, 1] - start[edge, 1])
    x = start[edge, 0] + slope * (row + 0.5 - start[edge, 1])
    return row - rows.start, x


def _area(ring: Ring) -> float:
    """Signed; positive if the ring runs clockwise with y down."""
    x, y = ring[:, 0], ring[:, 1]
    return 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


def _rings(mask: NDArray[np.bool_]) -> list[Ring]:
    """Follow the pixel edges of one piece from corner to corner."""
    y, x, goes_east, goes_south = _corners(np.pad(mask, 1))
    along_row = _partners(np.lexsort((goes_east, x, y)))
    along_column = _partners(np.lexsort((goes_south, y, x)))
    seen = [False] * len(x)
    rings = []
    for first in range(len(x)):
        if seen[first]:
            continue
        ring, here = [], first
        while not seen[here]:
            other = along_row[here]
            seen[here] = seen[other] = True
            ring += [here, other]
            here = along_column[other]
        rings.append(np.stack([x[ring], y[ring]], axis=1).astype(float))
    return rings


def _corners(padded: NDArray[np.bool_]) -> tuple[NDArray[np.intp], ...]:
    """Return y and x of the corners, and whether their two edges lead east and south.

    Where two pixels touch by a corner alone it counts twice, once for each of the background's
    two pixels there, so that a ring does not touch itself.
    """
    nw, ne = padded[:-1, :-1], padded[:-1, 1:]
    sw, se = padded[1:, :-1], padded[1:, 1:]
    single = (nw ^ ne) ^ (sw ^ se)
    falling = nw & se & ~ne & ~sw
    rising = ne & sw & ~nw & ~se
    y, x = np.nonzero(single)
    parts = [(y, x, (ne ^ se)[y, x].astype(np.intp), (sw ^ se)[y, x].astype(np.intp))]
    for crossing, turns in ((falling, ((1, 0), (0, 1))), (rising, ((0, 0), (1, 1)))):
        y, x = np.nonzero(crossing)
        for east, south in turns:
            parts.append((y, x, np.full_like(y, east), np.full_like(y, south)))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _partners(order: NDArray[np.intp]) -> list[int]:
    """Corners in the order of a row or column bound an edge two by two."""
    partner = np.empty_like(order)
    partner[order[::2]], partner[order[1::2]] = order[1::2], order[::2]
    found: list[int] = partner.tolist()
    return found
