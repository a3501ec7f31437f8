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
from napari_unet.core.smallest import large_enough
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

    @property
    def at_border(self) -> NDArray[np.int32]:
        """The hills on the outermost pixels, some more than once; of a volume none."""
        if len(self.shape) != 2 or not len(self.pixels):
            return np.zeros(0, np.int32)
        rows, columns = self.shape
        first, begin = np.arange(columns), columns * np.arange(rows)
        places = np.concatenate([first, columns * (rows - 1) + first, begin, begin + columns - 1])
        found = np.searchsorted(self.pixels, places).clip(max=len(self.pixels) - 1)
        there = self.pixels[found] == places
        hills: NDArray[np.int32] = self.hill[found[there]]
        return hills

    def objects(self, eagerness: float, min_size: int, *, least: int = 1) -> NDArray[np.int32]:
        """Return the objects of at least so many pixels, numbered from 1; see `split_objects`.

        At the border they may be smaller, see `napari_unet.core.smallest`.
        """
        ratio = RATIO_AT_ZERO + (1 - RATIO_AT_ZERO) * eagerness
        number = _merged(self, ratio, min_size)
        is_kept = large_enough(np.bincount(number, self.size), number[self.at_border], least)
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
    relief = _relief(foreground, raised)
    rank = np.empty(len(relief.pixels), np.int32)
    rank[relief.tops] = np.arange(len(relief.tops), dtype=np.int32)
    hill = rank.take(relief.top, mode="clip")
    size = np.bincount(hill, minlength=len(relief.tops))
    passes = _passes(foreground, relief.pixels, hill, relief.height)
    peak = relief.height[relief.tops]
    return Hills(foreground.shape, relief.pixels, hill, peak, size, passes)


@dataclass(frozen=True, slots=True, eq=False)
class _Relief:
    """The pixels of a foreground, and where steepest ascent from each ends.

    Attributes
    ----------
    pixels : ndarray of int
        Where they are, in reading order.
    height : ndarray of float32
        Of each, in pixels.
    top : ndarray of int
        Which of them is the end of the way up from each. A step goes to the highest of those
        around; of equally high ones to the last, so that no walk goes in circles.
    tops : ndarray of int
        Those that are such ends.
    """

    pixels: Indices
    height: Floats
    top: NDArray[np.int32]
    tops: Indices


def _relief(foreground: NDArray[np.bool_], raised: Floats) -> _Relief:
    """Find the relief of a foreground, band by band."""
    depth = Depth(foreground)
    room = reach_of(DEPTH_SMOOTHING) + 1  # and of a neighbour
    rows, columns = foreground.shape
    width = columns + 2
    relief = np.zeros((BAND + 2, width), np.float32)  # 0 where there is no foreground
    place = np.empty(relief.size, np.int32)  # of each pixel among those of the foreground
    away = np.array([y * width + x for y, x in AROUND])
    count = int(np.count_nonzero(foreground))
    pixels, height = np.empty(count, np.int64), np.empty(count, np.float32)
    ends = np.empty(count, np.int32)
    tops, leaving = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]  # of a plane of no rows
    before = 0  # so many pixels of the foreground come before the band
    for top in range(0, rows, BAND):
        stop = min(rows, top + BAND)
        first, last = max(0, top - 1), min(rows, stop + 1)
        seen = max(0, top - room)
        deep = smooth(depth.rows(seen, stop + room), DEPTH_SMOOTHING)
        deep = deep[first - seen :][: last - first]
        # Objects thinner than the smoothing keep some height.
        np.maximum(deep, 0.5, out=deep)
        deep *= raised[first:last]
        begin = first - top + 1
        if begin == 1 or stop == rows:
            relief.fill(0)  # what is beyond the plane
        inside = foreground[first:last]
        np.multiply(deep, inside, out=relief[begin : begin + last - first, 1:-1])
        at = np.flatnonzero(inside)
        row_ends = np.searchsorted(at, np.arange(last - first + 1) * columns)
        start, end = int(row_ends[top - first]), int(row_ends[stop - first])
        here = slice(before, before + end - start)
        np.add(at[start:end], first * columns, out=pixels[here])
        at += np.repeat(begin * width + 1 + 2 * np.arange(last - first), np.diff(row_ends))
        own = at[start:end]
        relief.ravel().take(own, mode="clip", out=height[here])
        place[at] = np.arange(len(at), dtype=np.int32)
        way = np.arange(len(at))  # of what is in the band; its neighbours are ends
        step = _highest(relief.ravel(), width, own)
        way[start:end] = place.take(own + away.take(step, mode="clip"), mode="clip")
        is_top = step == AROUND.index((0, 0))
        tops.append(np.flatnonzero(is_top) + before)
        way = _ends_of(way)[start:end]
        leaving.append(np.flatnonzero((way < start) | (way >= end)) + before)
        ends[here] = way + (before - start)
        before = here.stop
    left = np.concatenate(leaving)  # of those that end on the rim of their band
    while True:
        further = ends[ends[left]]
        if np.array_equal(further, ends[left]):
            return _Relief(pixels, height, ends, np.concatenate(tops))
        ends[left] = further


def _ends_of(way: Indices) -> Indices:
    """Return where each walk ends that goes on from place to place."""
    while True:
        further = way.take(way, mode="clip")
        if np.array_equal(further, way):
            return way
        way = further


def _highest(relief: Floats, width: int, places: Indices) -> NDArray[np.uint8]:
    """Which of `AROUND` is the highest at some places, the last of equal ones.

    The relief is that of rows one after the other, with a pixel more on each side.
    """
    # Along rows first: of three columns the last highest, then of three rows.
    high, column = _last_highest(relief[:-2], relief[1:-1], relief[2:])
    _, row = _last_highest(high[: -2 * width], high[width:-width], high[2 * width :])
    at = places - (width + 1)
    step = row.take(at, mode="clip")
    at += np.multiply(step, width, dtype=np.int64)
    step *= 3
    step += column.take(at, mode="clip")
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
    at_row = np.searchsorted(pixels, np.arange(rows + 1) * columns)
    # Rows are one line: what lies beside the end of one is sorted out at the end.
    number = np.zeros((BAND + 1) * columns + 1, np.int32)  # of the hill, in a band
    is_there = np.zeros(number.shape, bool)
    for top in range(0, rows, BAND):
        stop = min(rows, top + BAND + 1)
        inside = foreground[top:stop].ravel()
        is_there[: inside.size], is_there[inside.size :] = inside, False
        own = slice(at_row[top], at_row[stop])
        number[pixels[own] - top * columns] = hill[own]
        size = BAND * columns
        for (y, x), found in zip(AROUND[5:], ends, strict=True):
            beside = slice(y * columns + x, y * columns + x + size)
            apart = number[:size] != number[beside]
            apart &= is_there[:size]
            apart &= is_there[beside]
            found.append(np.flatnonzero(apart) + top * columns)
    begins, others = [], []
    for (y, x), found in zip(AROUND[5:], ends, strict=True):
        begin = np.concatenate(found)
        if x:
            begin = begin[begin % columns != (columns - 1 if x > 0 else 0)]
        begins.append(begin)
        others.append(begin + y * columns + x)
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
