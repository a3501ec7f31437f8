"""Cut the objects of a volume at their waists, as `split_touching` does in planes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.split_touching import (
    DEPTH_SMOOTHING,
    PROBABILITY_POWER,
    PROBABILITY_SMOOTHING,
    Floats,
    Hills,
    Indices,
)

__all__ = ["split_volume"]


def split_volume(
    foreground: NDArray[np.bool_],
    probability: Floats,
    eagerness: float,
    *,
    min_size: int = 1,
    spacing: Sequence[float] | None = None,
) -> NDArray[np.int32]:
    """Number the objects of a foreground from 1, touching ones parted at their waists.

    Parameters
    ----------
    foreground : ndarray of bool, shape (Z, Y, X)
        Where there are objects; any number of axes will do.
    probability : ndarray of float32, of the same shape
        Probability of the foreground.
    eagerness, min_size
        See `split_objects`.
    spacing : sequence of float, optional
        How far voxels lie apart along each axis, by default 1: depth is measured so.
    """
    hills = _hills(_relief(foreground, probability, spacing))
    return hills.objects(eagerness, min_size)


def _relief(
    foreground: NDArray[np.bool_], probability: Floats, spacing: Sequence[float] | None
) -> Floats:
    """Height of each voxel, in pixels; minus infinity outside the foreground."""
    steps = tuple(spacing or foreground.ndim * (1.0,))
    depth = ndimage.distance_transform_edt(foreground, sampling=spacing).astype(np.float32)
    depth = ndimage.gaussian_filter(depth, [DEPTH_SMOOTHING / step for step in steps])
    belief = ndimage.gaussian_filter(probability, [PROBABILITY_SMOOTHING / step for step in steps])
    # Objects thinner than the smoothing keep some height.
    height = np.maximum(depth, 0.5) * np.maximum(belief, 0.01) ** PROBABILITY_POWER
    return np.where(foreground, height, np.float32(-np.inf))


def _hills(relief: Floats) -> Hills:
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
    passes = _passes(pairs, hill, height)
    inside = np.flatnonzero(relief > -np.inf)
    return Hills(relief.shape, inside, hill.astype(np.int32), height[tops], size, passes)


def _passes(
    pairs: list[tuple[Indices, Indices]], hill: Indices, height: Floats
) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
    """Hills that are neighbours and the height of the pass between them, highest first."""
    first, second = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    one, other = hill[first], hill[second]
    apart = one != other
    one, other = one[apart].astype(np.int32), other[apart].astype(np.int32)
    low = np.minimum(height[first[apart]], height[second[apart]])
    key = np.minimum(one, other) * np.int64(hill.max(initial=0) + 1) + np.maximum(one, other)
    order = np.argsort(-low, kind="stable")
    highest = np.sort(order[np.unique(key[order], return_index=True)[1]])
    highest = highest[np.argsort(-low[highest], kind="stable")]
    return one[highest], other[highest], low[highest]
