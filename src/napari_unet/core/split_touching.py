r"""Cut objects at their waists: hills of depth and probability, parted where a valley is low.

Each foreground pixel stands as high as it lies deep inside the foreground, and lower where
the network doubts. Every pixel belongs to the hill that steepest ascent from it ends on. Two
hills become one object unless the pass between them is low for the lower of the two::

        /\                 height of the pass  >=  ratio * height of the lower hill
       /  \    _             one object
      /    \__/ \         otherwise
     /           \           two

Plain numpy on foreground pixels, so that a slider can act on it at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.depth import Depth
from napari_unet.core.smooth import reach_of, smooth

__all__ = ["Hills", "find_hills", "smoothed", "split_objects"]

# Chosen on 60 training images of nuclei-dsb2018 with tests/benchmarks/accuracy.py; around these
# values the scores are flat. Outlines and probabilities are ragged, and are smoothed by as many
# pixels; the probability counts with a power.
DEPTH_SMOOTHING = 1.5
PROBABILITY_SMOOTHING = 1.0
PROBABILITY_POWER = 1.5

# A pass of this part of the lower hill is none at eagerness 0, and any dip is one at 1.
RATIO_AT_ZERO = 0.5

# Rows whose relief is made at a time: they stay in the processor's cache (chosen).
BAND = 128

# Neighbours in reading order.
AROUND = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1))

Indices = NDArray[np.int64]
Floats = NDArray[np.float32]


def split_objects(
    foreground: NDArray[np.bool_],
    probability: NDArray[np.float32],
    eagerness: float,
    *,
    min_size: int = 1,
) -> NDArray[np.int32]:
    """Number the objects of a foreground from 1, touching ones parted at their waists.

    Parameters
    ----------
    foreground : ndarray of bool, shape (Y, X)
        Where there are objects.
    probability : ndarray of float32, shape (Y, X)
        Probability of the foreground.
    eagerness : float
        Above 0, where almost nothing is cut, to 1, where every dip is.
    min_size : int
        Smaller pieces are not cut off.
    """
    return find_hills(foreground, smoothed(probability)).objects(eagerness, min_size)


def smoothed(probability: Floats) -> Floats:
    """Return by how much a probability, smoothed, raises a pixel, as `find_hills` takes it."""
    sure = smooth(probability, PROBABILITY_SMOOTHING)
    np.maximum(sure, 0.01, out=sure)
    root = np.sqrt(sure)
    sure *= root  # its power of 1.5; a general power takes ten times as long
    return sure


@dataclass(frozen=True, slots=True, eq=False)
class Hills:
    """Hills of a foreground, before it is decided which of them are one object.

    Attributes
    ----------
    shape : tuple of int
        Of the plane.
    pixels : ndarray of int
        Where the foreground is, in reading order.
    hill : ndarray of int
        Of each of these pixels.
    peak, size : ndarray
        Height and pixels of each hill.
    passes : tuple of ndarray
        Two hills that are neighbours and the height of the pass between them, highest first.
    """

    shape: tuple[int, ...]
    pixels: Indices
    hill: NDArray[np.int32]
    peak: Floats
    size: Indices
    passes: tuple[NDArray[np.int32], NDArray[np.int32], Floats]

    def objects(self, eagerness: float, min_size: int, *, least: int = 1) -> NDArray[np.int32]:
        """Return the objects of at least so many pixels, numbered from 1; see `split_objects`."""
        ratio = RATIO_AT_ZERO + (1 - RATIO_AT_ZERO) * eagerness
        number = _merged(self, ratio, min_size)
        is_kept = np.bincount(number, self.size) >= least
        is_kept[:1] = False
        number = np.where(is_kept, np.cumsum(is_kept), 0).astype(np.int32)[number]
        labels = np.zeros(self.shape, np.int32)
        labels.ravel()[self.pixels] = number[self.hill]
        return labels


def find_hills(foreground: NDArray[np.bool_], raised: Floats) -> Hills:
    """Find the hills of a foreground.

    Parameters
    ----------
    foreground : ndarray of bool, shape (Y, X)
        Where there are objects.
    raised : ndarray of float32, shape (Y, X)
        Of `smoothed`.
    """
    pixels = np.flatnonzero(foreground)
    height, uphill = _relief(foreground, raised)
    while True:
        further = uphill[uphill]
        if np.array_equal(further, uphill):
            break
        uphill = further
    tops = np.flatnonzero(uphill == np.arange(len(uphill)))
    rank = np.empty(len(pixels), np.int32)
    rank[tops] = np.arange(len(tops), dtype=np.int32)
    hill = rank[uphill]
    size = np.bincount(hill, minlength=len(tops))
    passes = _passes(foreground, pixels, hill, height)
    return Hills(foreground.shape, pixels, hill, height[tops], size, passes)


def _relief(foreground: NDArray[np.bool_], raised: Floats) -> tuple[Floats, NDArray[np.int32]]:
    """Height of the pixels of the foreground, and the way to the highest around them.

    Returns
    -------
    height : ndarray of float32
        In pixels.
    uphill : ndarray of int
        Which pixel of the foreground is the highest around each, itself included; of equally
        high ones the last, so that no walk goes in circles.
    """
    depth = Depth(foreground)
    room = reach_of(DEPTH_SMOOTHING) + 1  # and of a neighbour
    rows, columns = foreground.shape
    heights, ways = [np.zeros(0, np.float32)], [np.zeros(0, np.int32)]  # of a plane of no rows
    relief = np.zeros((BAND + 2, columns + 2), np.float32)  # 0 where there is no foreground
    place = np.empty(relief.shape, np.int32)  # of each pixel among those of the foreground
    away = np.array([y * (columns + 2) + x for y, x in AROUND])
    before = 0  # so many pixels of the foreground come before the band
    for top in range(0, rows, BAND):
        stop = min(rows, top + BAND)
        first, last = max(0, top - 1), min(rows, stop + 1)
        seen = max(0, top - room)
        deep = smooth(depth.rows(seen, stop + room), DEPTH_SMOOTHING)
        deep = deep[first - seen :][: last - first]
        # Objects thinner than the smoothing keep some height.
        inside = foreground[first:last]
        np.maximum(deep, 0.5, out=deep)
        deep *= raised[first:last]
        begin = first - top + 1
        here = np.s_[begin : begin + last - first, 1:-1]
        if begin == 1 or stop == rows:
            relief.fill(0)  # what is beyond the plane
        np.multiply(deep, inside, out=relief[here])
        above = int(np.count_nonzero(inside[: top - first]))
        count = np.cumsum(inside, dtype=np.int32).reshape(inside.shape)
        np.add(count, before - above - 1, out=place[here])  # of what is foreground
        own = np.flatnonzero(foreground[top:stop])
        own += 2 * (own // columns) + (columns + 3)  # in the relief
        heights.append(relief.ravel()[own])
        step = _highest(relief).ravel()[own - (columns + 3) - 2 * (own // (columns + 2) - 1)]
        ways.append(place.ravel()[own + away[step]])
        before += len(own)
    return np.concatenate(heights), np.concatenate(ways)


def _highest(relief: Floats) -> NDArray[np.uint8]:
    """Which of `AROUND` is the highest, the last of equal ones; the relief has a pixel more."""
    # Along rows first: of three columns the last highest, then of three rows.
    high, column = _last_highest(relief[:, :-2], relief[:, 1:-1], relief[:, 2:])
    _, row = _last_highest(high[:-2], high[1:-1], high[2:])
    step = 3 * row
    for number in range(3):
        there = column[number : number + len(row)]
        step += there * (row == number).view(np.uint8)
    return step


def _last_highest(one: Floats, two: Floats, three: Floats) -> tuple[Floats, NDArray[np.uint8]]:
    """Return the highest of three, and which it is: the last of equal ones."""
    highest = np.maximum(one, two)
    which = (two >= one).view(np.uint8)
    is_third = (three >= highest).view(np.uint8)
    np.maximum(highest, three, out=highest)
    return highest, np.maximum(which, 2 * is_third)


def _passes(
    foreground: NDArray[np.bool_], pixels: Indices, hill: NDArray[np.int32], height: Floats
) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
    """Hills that are neighbours and the height of the pass between them, highest first."""
    rows, columns = foreground.shape
    ends: list[list[Indices]] = [[np.zeros(0, np.int64)] for _ in AROUND[5:]]  # by direction
    number = np.zeros((BAND + 1, columns + 2), np.int32)  # of the hill, in a band
    is_there = np.zeros(number.shape, bool)
    at_row = np.searchsorted(pixels, np.arange(rows + 1) * columns)
    for top in range(0, rows, BAND):
        stop = min(rows, top + BAND + 1)
        inside = foreground[top:stop]
        is_there[stop - top :] = False
        is_there[: stop - top, 1:-1] = inside
        number[is_there] = hill[at_row[top] : at_row[stop]]
        here, is_here = number[:-1, 1:-1], is_there[:-1, 1:-1]
        for (y, x), found in zip(AROUND[5:], ends, strict=True):
            beside = np.s_[y : y + BAND, 1 + x : 1 + x + columns]
            apart = here != number[beside]
            apart &= is_here
            apart &= is_there[beside]
            found.append(np.flatnonzero(apart) + top * columns)
    begins = [np.concatenate(found) for found in ends]
    others = [at + y * columns + x for at, (y, x) in zip(begins, AROUND[5:], strict=True)]
    first, second = (np.searchsorted(pixels, np.concatenate(side)) for side in (begins, others))
    one, other = hill[first], hill[second]
    low = np.minimum(height[first], height[second])
    key = np.minimum(one, other) * np.int64(hill.max(initial=0) + 1) + np.maximum(one, other)
    order = np.argsort(-low, kind="stable")
    highest = np.sort(order[np.unique(key[order], return_index=True)[1]])
    highest = highest[np.argsort(-low[highest], kind="stable")]
    return one[highest], other[highest], low[highest]


def _merged(hills: Hills, ratio: float, min_size: int) -> NDArray[np.int32]:
    """Number of the object that each hill becomes a part of, from 1."""
    peak, size = hills.peak.tolist(), hills.size.tolist()
    parent = list(range(len(peak)))

    def top(hill: int) -> int:
        while parent[hill] != hill:
            parent[hill] = hill = parent[parent[hill]]
        return hill

    for one, other, height in zip(*(ends.tolist() for ends in hills.passes), strict=True):
        high, low = top(one), top(other)
        if peak[high] < peak[low]:
            high, low = low, high
        is_no_waist = height >= ratio * peak[low] or min(size[high], size[low]) < min_size
        if high != low and is_no_waist:
            parent[low] = high
            size[high] += size[low]
    roots = [top(hill) for hill in range(len(peak))]
    number: NDArray[np.int32] = np.unique(roots, return_inverse=True)[1].astype(np.int32) + 1
    return number
