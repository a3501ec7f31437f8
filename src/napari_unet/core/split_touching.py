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
from scipy.ndimage import gaussian_filter

from napari_unet.core.depth import Depth

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
BAND = 64

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
    """Return probabilities as `find_hills` takes them."""
    return _smooth(probability, PROBABILITY_SMOOTHING)


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


def find_hills(foreground: NDArray[np.bool_], belief: Floats) -> Hills:
    """Find the hills of a foreground.

    Parameters
    ----------
    foreground : ndarray of bool, shape (Y, X)
        Where there are objects.
    belief : ndarray of float32, shape (Y, X)
        Of `smoothed`.
    """
    pixels = np.flatnonzero(foreground)
    height, step = _relief(foreground, belief)
    scratch = np.empty((foreground.shape[0] + 1) * (foreground.shape[1] + 2), np.int32)
    place = scratch[: foreground.size]  # of each pixel of the foreground among these
    place[pixels] = np.arange(len(pixels), dtype=np.int32)
    width = foreground.shape[1]
    away = np.array([y * width + x for y, x in AROUND])
    uphill = place[pixels + away[step]].astype(np.int64)
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
    number = scratch.reshape(foreground.shape[0] + 1, -1)  # `place` is not needed any more
    number.fill(0)
    number[:-1, 1:-1][foreground] = hill + 1
    passes = _passes(number, pixels, hill, height)
    return Hills(foreground.shape, pixels, hill, height[tops], size, passes)


def _relief(foreground: NDArray[np.bool_], belief: Floats) -> tuple[Floats, NDArray[np.uint8]]:
    """Height of the pixels of the foreground, and the way to the highest around them.

    Returns
    -------
    height : ndarray of float32
        In pixels.
    step : ndarray of uint8
        Which of `AROUND`; of equally high ones the last, so that no walk goes in circles.
    """
    depth = Depth(foreground)
    room = round(4 * DEPTH_SMOOTHING) + 1  # of the filter, see `_smooth`, and of a neighbour
    rows, columns = foreground.shape
    heights, steps = [np.zeros(0, np.float32)], [np.zeros(0, np.uint8)]  # of a plane of no rows
    relief = np.empty((BAND + 2, columns + 2), np.float32)
    for top in range(0, rows, BAND):
        stop = min(rows, top + BAND)
        first, last = max(0, top - 1), min(rows, stop + 1)
        seen = max(0, top - room)
        deep = gaussian_filter(depth.rows(seen, stop + room), DEPTH_SMOOTHING)
        deep = deep[first - seen :][: last - first]
        # Objects thinner than the smoothing keep some height.
        inside = foreground[first:last]
        high = np.maximum(deep[inside], 0.5)
        high *= np.maximum(belief[first:last][inside], 0.01) ** PROBABILITY_POWER
        relief.fill(-np.inf)
        begin = first - top + 1
        relief[begin : begin + last - first, 1:-1][inside] = high
        is_own = foreground[top:stop]
        heights.append(relief[1:-1, 1:-1][: stop - top][is_own])
        steps.append(_highest(relief)[: stop - top][is_own])
    return np.concatenate(heights), np.concatenate(steps)


def _highest(relief: Floats) -> NDArray[np.uint8]:
    """Which of `AROUND` is the highest; the relief has one pixel more on all sides."""
    rows, columns = relief.shape[0] - 2, relief.shape[1] - 2
    highest = relief[:-2, :-2].copy()
    step = np.zeros((rows, columns), np.uint8)
    for number, (y, x) in enumerate(AROUND[1:], start=1):
        there = relief[1 + y : 1 + y + rows, 1 + x : 1 + x + columns]
        is_higher = (there >= highest).view(np.uint8)
        np.maximum(step, is_higher * np.uint8(number), out=step)
        np.maximum(highest, there, out=highest)
    return step


def _smooth(plane: Floats, sigma: float) -> Floats:
    """Filter a plane band by band, which is faster than all at once and gives the same."""
    room = round(4 * sigma)  # the filter ends there, as scipy's does
    out = np.empty_like(plane)
    for top in range(0, len(plane), BAND):
        first = max(0, top - room)
        band = gaussian_filter(plane[first : top + BAND + room], sigma, radius=room)
        out[top : top + BAND] = band[top - first :][:BAND]
    return out


def _passes(
    number: NDArray[np.int32], pixels: Indices, hill: NDArray[np.int32], height: Floats
) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
    """Hills that are neighbours and the height of the pass between them, highest first.

    `number` is that of the hill from 1, with a row of zeros below and columns on both sides.
    """
    ends = []
    rows, columns = number.shape[0] - 1, number.shape[1] - 2
    for y, x in AROUND[5:]:
        here, there = number[:-1, 1:-1], number[y : y + rows, 1 + x : 1 + x + columns]
        apart = np.flatnonzero((here != there) & (here > 0) & (there > 0))
        pair = apart, apart + y * columns + x
        ends.append(tuple(np.searchsorted(pixels, end) for end in pair))
    first, second = (np.concatenate(side) for side in zip(*ends, strict=True))
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
