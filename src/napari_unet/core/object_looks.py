"""How objects look: size, shape, how sure the network is inside, on the rim and around them."""

from __future__ import annotations

import math
from typing import Any  # whole numbers of any dtype

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
    count = int(labels.max(initial=0))
    if not count:
        return np.zeros((0, len(LOOKS))), typical_area or 1.0
    runs = runs_in_rows(labels)
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
    inside = probability[labels != 0]
    mean_belief = np.bincount(np.repeat(of_run, length), weights=inside, minlength=count) / area
    rim = _Rim(labels, probability, count)
    cut = np.zeros(count + 1)
    cut[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = 1
    typical = float(np.median(area)) if typical_area is None else typical_area
    looks = np.stack(
        [
            size,
            np.full(count, float(is_upper)),
            mean_belief,
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
    """Means over the rim of each object: its pixels beside other ones."""

    def __init__(
        self, labels: NDArray[np.int32], probability: NDArray[np.float32], count: int
    ) -> None:
        self._shape = rows, columns = (labels.shape[0], labels.shape[1])
        self._labels, self._probability = labels.ravel(), probability.ravel()
        self._rim = _rim_pixels(labels)
        y, x = np.divmod(self._rim, columns)
        is_near = (np.minimum(y, rows - 1 - y) < AROUND) | (np.minimum(x, columns - 1 - x) < AROUND)
        self._near = np.flatnonzero(is_near)  # to the border of the image
        self._y, self._x = y[self._near], x[self._near]
        own = self._labels[self._rim]
        is_shared = np.zeros(len(own), bool)
        for step in SIDES:
            beside = self._labels_at(step)
            is_shared |= (beside != own) & (beside > 0)

        def mean(values: NDArray[np.generic], of: NDArray[np.int32] = own) -> Floats:
            pixels_of = np.bincount(of, minlength=count + 1)[1:]
            total = np.bincount(of, weights=values, minlength=count + 1)[1:]
            each: Floats = total / np.maximum(1, pixels_of)
            return each

        down = self._belief_at((1, 0)) - self._belief_at((-1, 0))
        right = self._belief_at((0, 1)) - self._belief_at((0, -1))
        self.shared = mean(is_shared)
        self.steepness = mean(np.hypot(down, right) / 2)
        self.probability = mean(self._belief_at((0, 0)))
        outside = [(AROUND * y, AROUND * x) for y, x in SIDES]
        is_free = [self._labels_at(step) == 0 for step in outside]
        self.around = mean(
            np.concatenate(
                [self._belief_at(step)[f] for step, f in zip(outside, is_free, strict=True)]
            ),
            np.concatenate([own[f] for f in is_free]),
        )

    def _at(self, step: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Where the rim is, moved; what leaves the image stays on its edge, and which that are."""
        rows, columns = self._shape
        at = self._rim + (step[0] * columns + step[1])
        y, x = self._y + step[0], self._x + step[1]
        inside_y, inside_x = np.clip(y, 0, rows - 1), np.clip(x, 0, columns - 1)
        at[self._near] = inside_y * columns + inside_x
        return at, (inside_y != y) | (inside_x != x)

    def _belief_at(self, step: tuple[int, int]) -> NDArray[np.float32]:
        return self._probability[self._at(step)[0]]

    def _labels_at(self, step: tuple[int, int]) -> NDArray[np.int32]:
        """Labels at a step from the rim; outside of the image is background."""
        at, has_left = self._at(step)
        labels = self._labels[at]
        labels[self._near[has_left]] = 0
        return labels


def _rim_pixels(labels: NDArray[np.int32]) -> NDArray[np.intp]:
    """Return the places of pixels of objects beside other ones, or on the border of the image."""
    rows, columns = labels.shape
    found = [np.zeros(0, np.intp)]
    for top in range(0, rows, BAND):
        band = labels[top : top + BAND]
        is_rim = band > 0
        first, last = max(1, top), min(rows - 1, top + len(band))
        inner = is_rim[first - top : last - top, 1:-1]
        own = labels[first:last, 1:-1]
        same = own == labels[first - 1 : last - 1, 1:-1]
        for there in (
            labels[first + 1 : last + 1, 1:-1],
            labels[first:last, :-2],
            labels[first:last, 2:],
        ):
            same &= own == there
        inner &= ~same
        found.append(np.flatnonzero(is_rim) + top * columns)
    return np.concatenate(found)


def _limited_log(values: Floats) -> Floats:
    limited: Floats = np.clip(np.log(values), -FARTHEST, FARTHEST)
    return limited
