"""How objects look: size, shape, how sure the network is inside, on the rim and around them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar  # whole numbers of any dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.object_score import LOOKS
from napari_unet.core.runs import runs_in_rows

__all__ = ["described", "looks_of"]

# Logarithms of sizes against the usual are cut here; nothing is odder than e^3.
FARTHEST = 3.0
AROUND = 2  # pixels from the rim to what is around
SIDES = ((-1, 0), (1, 0), (0, -1), (0, 1))
BAND = 32  # rows that are gone through at a time: they stay in the cache (chosen)

Floats = NDArray[np.float64]
Number = TypeVar("Number", np.int32, np.float32)


def looks_of(
    labels: NDArray[np.int32],
    probability: NDArray[np.float32],
    diameter: float,
    *,
    is_upper: bool = False,
    typical_area: float | None = None,
) -> Floats:
    """Describe how each object looks.

    Parameters
    ----------
    labels : ndarray of int32, shape (Y, X)
        Objects, numbered from 1 without holes; 0 is background.
    probability : ndarray of float32, shape (Y, X)
        Probability of the foreground.
    diameter : float
        Of usual objects, in pixels.
    is_upper : bool
        Whether they were made at the upper threshold.
    typical_area : float, optional
        Median of the objects of all the image in pixels, where this is a part of one.

    Returns
    -------
    ndarray of float, shape (objects, looks)
        In the order of `LOOKS`.
    """
    return described(labels, probability, diameter, is_upper, typical_area)[0]


def described(
    labels: NDArray[np.int32],
    probability: NDArray[np.float32],
    diameter: float,
    is_upper: bool,
    typical_area: float | None,
) -> tuple[Floats, float]:
    """Return the looks of `looks_of`, and the typical area against which they are.

    For the parameters see there.
    """
    runs = runs_in_rows(labels)
    count = int(runs.values.max(initial=0))
    if not count:
        return np.zeros((0, len(LOOKS))), typical_area or 1.0
    row = runs.starts // labels.shape[1]
    left: NDArray[np.int64] = runs.starts - row * labels.shape[1]
    length: NDArray[np.int64] = runs.ends - runs.starts
    of_run = runs.values - 1
    right = left + length - 1

    def total(values: NDArray[Any]) -> Floats:
        """Sum over the runs of each object; whole numbers, so that it is exact."""
        each: Floats = np.bincount(of_run, values, count).astype(np.float64, copy=False)
        return each

    # Sums of x and of x^2 from left to right.
    sum_x = (left + right) * length // 2
    sum_xx = length * left * right + (length - 1) * length * (2 * length - 1) // 6
    area = total(length)
    y = total(row * length) / area
    x = total(sum_x) / area
    # A pixel is a square, and has a spread of its own.
    yy = total(row**2 * length) / area - y**2 + 1 / 12
    xx = total(sum_xx) / area - x**2 + 1 / 12
    yx = total(row * sum_x) / area - y * x
    determinant = np.maximum(yy * xx - yx**2, 1e-6)
    spread = np.sqrt(np.maximum((yy + xx) ** 2 / 4 - determinant, 0))
    size = _limited_log(area / (math.pi / 4 * diameter**2))
    rim = _Rim(labels, probability, count)
    cut = np.zeros(count + 1)
    cut[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = 1
    typical = float(np.median(area)) if typical_area is None else typical_area
    looks = np.stack(
        [
            size,
            np.full(count, float(is_upper)),
            rim.inside / area,
            np.minimum(area / (4 * math.pi * np.sqrt(determinant)), 1.5),
            2 * spread / (yy + xx),
            rim.shared,
            rim.steepness,
            rim.probability,
            rim.around,
            cut[1:],
            _limited_log(area / typical),
        ],
        axis=1,
    )
    return looks, typical


class _Rim:
    """Means over the pixels of each object, and over its rim: pixels beside other ones."""

    def __init__(
        self, labels: NDArray[np.int32], probability: NDArray[np.float32], count: int
    ) -> None:
        bands = [_RimOfBand.of(*padded) for padded in _padded_bands(labels, probability)]

        def joined(name: str) -> NDArray[Any]:
            found: list[NDArray[Any]] = [getattr(band, name) for band in bands]
            return np.concatenate(found)

        def total(of: NDArray[np.int32], values: NDArray[Any] | None = None) -> Floats:
            each: Floats = np.bincount(of, values, count + 1)[1:].astype(np.float64, copy=False)
            return each

        own = joined("own")
        pixels = np.maximum(1, total(own))
        self.inside = total(joined("inside_of"), joined("inside"))  # a sum
        self.shared = total(own, joined("is_shared")) / pixels
        self.steepness = total(own, joined("steepness")) / pixels
        self.probability = total(own, joined("probability")) / pixels
        around_of = np.concatenate([band.around_of[side] for side in range(4) for band in bands])
        around = np.concatenate([band.around[side] for side in range(4) for band in bands])
        self.around = total(around_of, around) / np.maximum(1, total(around_of))


@dataclass(frozen=True, slots=True, eq=False)
class _RimOfBand:
    """What is at each pixel of objects, and of their rims, in some rows of a plane.

    Gone through while the rows are in the processor's cache: a look at a pixel that is not there
    takes ten times as long.
    """

    inside_of: NDArray[np.int32]
    inside: NDArray[np.float32]
    own: NDArray[np.int32]
    is_shared: NDArray[np.bool_]
    steepness: NDArray[np.float32]
    probability: NDArray[np.float32]
    around_of: list[NDArray[np.int32]]
    around: list[NDArray[np.float32]]

    @classmethod
    def of(cls, labels: NDArray[np.int32], probability: NDArray[np.float32]) -> _RimOfBand:
        """Find it; both have `AROUND` more pixels on each side, labels 0 outside of the plane."""
        width = labels.shape[1]
        label, belief = labels.ravel(), probability.ravel()
        first, last = AROUND * width, label.size - AROUND * width
        here = label[first:last]
        sides = [y * width + x for y, x in SIDES]
        is_inner = here == label[first + sides[0] : last + sides[0]]
        for side in sides[1:]:
            is_inner &= here == label[first + side : last + side]
        is_object = here != 0
        inside = np.flatnonzero(is_object) + first
        rim = np.flatnonzero(is_object > is_inner) + first
        own = _at(label, rim)
        is_shared = np.zeros(len(rim), bool)
        for side in sides:
            beside = _at(label, rim + side)
            is_shared |= (beside != own) & (beside > 0)
        up, down, left, right = (_at(belief, rim + side) for side in sides)
        around_of, around = [], []
        for side in sides:
            outside = rim + AROUND * side
            is_free = _at(label, outside) == 0
            around_of.append(own[is_free])
            around.append(_at(belief, outside[is_free]))
        return cls(
            _at(label, inside),
            _at(belief, inside),
            own,
            is_shared,
            np.hypot(down - up, right - left) / 2,
            _at(belief, rim),
            around_of,
            around,
        )


def _at(values: NDArray[Number], places: NDArray[np.intp]) -> NDArray[Number]:
    """Look up places that are all there; quicker than by an index."""
    return values.take(places, mode="clip")


def _padded_bands(
    labels: NDArray[np.int32], probability: NDArray[np.float32]
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32]]]:
    """Yield rows of both planes, with `AROUND` more pixels on each side; they change at the next.

    Outside of the plane no object is, and the probability goes on as on its edge.
    """
    rows, columns = labels.shape
    inner = slice(AROUND, AROUND + columns)
    label = np.zeros((BAND + 2 * AROUND, columns + 2 * AROUND), np.int32)
    belief = np.empty(label.shape, np.float32)
    for top in range(0, rows, BAND):
        first, last = max(0, top - AROUND), min(rows, top + BAND + AROUND)
        begin = first - top + AROUND
        end = begin + last - first
        label[begin:end, inner] = labels[first:last]
        belief[begin:end, inner] = probability[first:last]
        belief[begin:end, :AROUND] = probability[first:last, :1]
        belief[begin:end, -AROUND:] = probability[first:last, -1:]
        belief[:begin], belief[end:] = belief[begin], belief[end - 1]
        label[end:] = 0
        height = min(rows - top, BAND) + 2 * AROUND
        yield label[:height], belief[:height]


def _limited_log(values: Floats) -> Floats:
    limited: Floats = np.clip(np.log(values), -FARTHEST, FARTHEST)
    return limited
