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

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["split_objects"]

# Chosen on 60 training images of nuclei-dsb2018 with tests/benchmarks/accuracy.py; around these
# values the scores are flat. Outlines and probabilities are ragged, and are smoothed by as many
# pixels; the probability counts with a power.
DEPTH_SMOOTHING = 1.5
PROBABILITY_SMOOTHING = 1.0
PROBABILITY_POWER = 1.5

# A pass of this part of the lower hill is none at eagerness 0, and any dip is one at 1.
RATIO_AT_ZERO = 0.5

Indices = NDArray[np.int64]
Floats = NDArray[np.float32]


def split_objects(
    foreground: NDArray[np.bool_],
    probability: NDArray[np.float32],
    eagerness: float,
    *,
    min_size: int = 1,
    spacing: Sequence[float] | None = None,
) -> NDArray[np.int32]:
    """Number the objects of a foreground from 1, touching ones parted at their waists.

    Parameters
    ----------
    foreground : ndarray of bool, shape ([Z,] Y, X)
        Where there are objects.
    probability : ndarray of float32, shape ([Z,] Y, X)
        Probability of the foreground.
    eagerness : float
        Above 0, where almost nothing is cut, to 1, where every dip is.
    min_size : int
        Smaller pieces are not cut off.
    spacing : sequence of float, optional
        How far pixels lie apart along each axis, by default 1: depth is measured so.
    """
    hills = _hills(_relief(foreground, probability, spacing))
    passes = _passes(hills)
    ratio = RATIO_AT_ZERO + (1 - RATIO_AT_ZERO) * eagerness
    number = _merged(hills, passes, ratio, min_size)
    labels = np.zeros(foreground.size, np.int32)
    labels[np.flatnonzero(foreground)] = number[hills.hill]
    return labels.reshape(foreground.shape)


def _relief(
    foreground: NDArray[np.bool_], probability: Floats, spacing: Sequence[float] | None
) -> Floats:
    """Height of each pixel, in pixels; minus infinity outside the foreground."""
    steps = tuple(spacing or foreground.ndim * (1.0,))
    depth = ndimage.distance_transform_edt(foreground, sampling=spacing).astype(np.float32)
    depth = ndimage.gaussian_filter(depth, [DEPTH_SMOOTHING / step for step in steps])
    belief = ndimage.gaussian_filter(probability, [PROBABILITY_SMOOTHING / step for step in steps])
    # Objects thinner than the smoothing keep some height.
    height = np.maximum(depth, 0.5) * np.maximum(belief, 0.01) ** PROBABILITY_POWER
    return np.where(foreground, height, np.float32(-np.inf))


@dataclass(frozen=True, slots=True, eq=False)
class _Hills:
    """Foreground pixels in reading order.

    ``height`` and ``hill`` have one entry a pixel; ``peak`` and ``size`` one a hill;
    ``pairs`` are the pixels that are neighbours, each pair once.
    """

    height: Floats
    hill: Indices
    peak: Floats
    size: Indices
    pairs: tuple[Indices, Indices]


def _hills(relief: Floats) -> _Hills:
    padded = np.pad(relief, 1, constant_values=-np.inf)
    strides = [math.prod(padded.shape[axis + 1 :]) for axis in range(padded.ndim)]
    flat = padded.ravel()
    pixels = np.flatnonzero(flat > -np.inf)
    place = np.full(flat.shape, -1)
    place[pixels] = np.arange(len(pixels))
    height = flat[pixels]
    highest, uphill = height.copy(), np.arange(len(pixels))
    pairs = []
    for offset in itertools.product((-1, 0, 1), repeat=padded.ndim):
        if offset <= (0,) * padded.ndim:  # of two opposite neighbours one
            continue
        step = sum(o * stride for o, stride in zip(offset, strides, strict=True))
        there = place[pixels + step]
        here = np.flatnonzero(there >= 0)
        pairs.append((here, there[here]))
    first, second = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    for here, there in (*pairs, *((there, here) for here, there in pairs)):
        # Equally high ones are climbed towards the end, so that no walk goes in circles.
        up = (height[there] > highest[here]) | (
            (height[there] == highest[here]) & (there > uphill[here])
        )
        highest[here[up]], uphill[here[up]] = height[there[up]], there[up]
    while True:
        further = uphill[uphill]
        if np.array_equal(further, uphill):
            break
        uphill = further
    tops, hill = np.unique(uphill, return_inverse=True)
    size = np.bincount(hill, minlength=len(tops))
    return _Hills(height, hill, height[tops], size, (first, second))


def _passes(hills: _Hills) -> tuple[Indices, Indices, Floats]:
    """Hills that are neighbours and the height of the pass between them, highest first."""
    first, second = hills.pairs
    one, other = hills.hill[first], hills.hill[second]
    apart = one != other
    one, other = one[apart], other[apart]
    height = np.minimum(hills.height[first[apart]], hills.height[second[apart]])
    count = len(hills.peak)
    key = np.minimum(one, other) * count + np.maximum(one, other)
    order = np.argsort(-height, kind="stable")
    highest = np.sort(order[np.unique(key[order], return_index=True)[1]])
    highest = highest[np.argsort(-height[highest], kind="stable")]
    return one[highest], other[highest], height[highest]


def _merged(
    hills: _Hills, passes: tuple[Indices, Indices, Floats], ratio: float, min_size: int
) -> NDArray[np.int32]:
    """Number of the object that each hill becomes a part of, from 1."""
    peak, size = hills.peak.tolist(), hills.size.tolist()
    parent = list(range(len(peak)))

    def top(hill: int) -> int:
        while parent[hill] != hill:
            parent[hill] = hill = parent[parent[hill]]
        return hill

    for one, other, height in zip(*(ends.tolist() for ends in passes), strict=True):
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
