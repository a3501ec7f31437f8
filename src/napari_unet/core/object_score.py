"""How well an object is likely to fit a true one, judged by how it looks; and choosing by it.

A threshold that is right for one object is wrong for another: haze around a nucleus takes up its
neighbours, dim ones end too early. Objects are therefore proposed at two thresholds, each is
given the IoU that objects of such a look have had with true ones, and of those that overlap the
better one is taken; what is likely no object at all is left out. Choosing among nested regions
by a learnt score is due to Arteta et al. 2012 ("Learning to detect cells using non-overlapping
extremal regions"), taking the best and dropping what it covers to non-maximum suppression.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any  # whole numbers of any dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.core.runs import runs_in_rows
from napari_unet.core.threads import in_threads

__all__ = ["LOOKS", "ObjectScore", "choose_objects", "fit_score", "looks_of", "upper_threshold"]

LOOKS = (
    "size",
    "is of the upper threshold",
    "probability",
    "fill of the ellipse",
    "elongation",
    "rim shared with others",
    "steepness of the rim",
    "probability of the rim",
    "probability around",
    "is cut by the border",
    "size against the others",
)
"""What is looked at, in the order of the coefficients."""

# An object is left out if its score is less than this times the threshold: 0.35 at 0.5 (of 0.35,
# 0.45 and 0.55 the best over looks held out and the images held out at random).
LEAST = 0.7

# Of two that share more than this part of the smaller one, one has to go.
SHARED = 0.3

# The upper threshold lies so far between the lower one and 1.
UPPER = 0.4

# Logarithms of sizes against the usual are cut here; nothing is odder than e^3.
FARTHEST = 3.0
AROUND = 2  # pixels from the rim to what is around
SIDES = ((-1, 0), (1, 0), (0, -1), (0, 1))
RIDGE = 1e-3
BAND = 32  # rows that are gone through at a time: they stay in the cache (chosen)
ROUNDS = 30  # of Newton's method, at most

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ObjectScore:
    """What a model has learnt about the looks of objects that are right.

    Attributes
    ----------
    coefficients : tuple of float
        For each of `LOOKS`, and a constant at the end, of the logit of the IoU.
    diameter : float
        Of usual objects, in pixels of what the network sees.

    Raises
    ------
    InputError
        If there are too many or too few coefficients, or they are not finite.
    """

    coefficients: tuple[float, ...]
    diameter: float

    def __post_init__(self) -> None:
        if len(self.coefficients) != len(LOOKS) + 1 or not np.isfinite(self.coefficients).all():
            raise InputError(
                f"The score of objects has {len(self.coefficients)} coefficients; "
                f"it must have {len(LOOKS) + 1} finite ones."
            )

    def score(self, looks: Floats) -> Floats:
        """Return the likely IoU with a true object, 0 to 1, of each row of looks."""
        return _logistic(looks @ np.array(self.coefficients[:-1]) + self.coefficients[-1])


def upper_threshold(threshold: float) -> float:
    """Return the second threshold at which objects are proposed."""
    return threshold + UPPER * (1 - threshold)


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
    return _looks(labels, probability, diameter, is_upper, typical_area)[0]


def _looks(
    labels: NDArray[np.int32],
    probability: NDArray[np.float32],
    diameter: float,
    is_upper: bool,
    typical_area: float | None,
) -> tuple[Floats, float]:
    """Return the looks of `looks_of`, and the typical area against which they are."""
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
    inside = probability.ravel()[np.flatnonzero(labels)]
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


def choose_objects(
    lower: NDArray[np.int32],
    upper: NDArray[np.int32],
    probability: NDArray[np.float32],
    score: ObjectScore,
    threshold: float,
    typical_areas: tuple[float, float] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.bool_], tuple[float, float]]:
    """Choose among the objects of two thresholds those that look most like true ones.

    Parameters
    ----------
    lower, upper : ndarray of int32, shape (Y, X)
        Objects at the threshold and at the upper one, each numbered from 1 without holes.
    probability : ndarray of float32, shape (Y, X)
        Probability of the foreground.
    score : ObjectScore
        How they are judged.
    threshold : float
        The lower it is, the less likely objects are taken too.
    typical_areas : tuple of float, optional
        Median of the lower and of the upper objects, see `looks_of`.

    Returns
    -------
    labels : ndarray of int32, shape (Y, X)
        The chosen objects, numbered from 1 without holes.
    is_upper : ndarray of bool, shape (objects + 1,)
        By number, whether an object is of the upper threshold.
    typical_areas : tuple of float
        What was given, or else the medians of these objects.
    """
    given = typical_areas or (None, None)

    def looks_at(number: int) -> tuple[Floats, float]:
        labels, is_upper = (lower, upper)[number], number == 1
        return _looks(labels, probability, score.diameter, is_upper, given[number])

    (lower_looks, typical_low), (upper_looks, typical_high) = in_threads(
        looks_at, (0, 1), probability.size
    )
    looks, typical = [lower_looks, upper_looks], (typical_low, typical_high)
    scores = score.score(np.concatenate(looks))
    first = len(looks[0])
    half = len(lower) // 2
    halves = [slice(0, half), slice(half, len(lower))]
    parts = in_threads(lambda rows: _Both.of(lower[rows], upper[rows]), halves, probability.size)
    taken = _take_best(scores, LEAST * threshold, _rivals(parts, first, len(looks[1])))
    order = np.flatnonzero(taken)
    number = np.zeros(len(scores) + 1, np.int32)
    number[order + 1] = np.arange(1, len(order) + 1)
    none = np.zeros(1, np.int32)
    below = np.concatenate([none, number[1 : first + 1]])
    above = np.concatenate([none, number[first + 1 :]])
    rank = np.concatenate([[-1.0], scores[order]])
    labels = np.zeros(lower.shape, np.int32)

    def write(number: int) -> None:
        one, other = below[parts[number].low], above[parts[number].high]
        chosen = np.where(rank[other] > rank[one], other, one)
        part = labels[halves[number]].ravel()  # a view
        part[parts[number].pixels] = np.repeat(chosen, parts[number].lengths)

    in_threads(write, (0, 1), probability.size)
    return labels, np.concatenate([[False], order >= first]), typical


@dataclass(frozen=True, slots=True, eq=False)
class _Both:
    """The pixels of objects of either threshold, in runs of the same lower and upper object."""

    pixels: NDArray[np.intp]
    lengths: NDArray[np.int64]
    low: NDArray[np.int32]
    high: NDArray[np.int32]

    @classmethod
    def of(cls, lower: NDArray[np.int32], upper: NDArray[np.int32]) -> _Both:
        """Find them; there are far fewer runs to sort and to look up than pixels."""
        pixels = np.flatnonzero(lower | upper)
        low, high = lower.ravel()[pixels], upper.ravel()[pixels]
        ends = np.flatnonzero((low[1:] != low[:-1]) | (high[1:] != high[:-1])) + 1
        ends = np.append(ends, len(pixels)) if len(pixels) else ends
        return cls(pixels, np.diff(ends, prepend=0), low[ends - 1], high[ends - 1])


def _rivals(parts: Sequence[_Both], first: int, second: int) -> list[list[int]]:
    """For each object those of the other threshold that cannot be there with it."""
    all_low, all_high, lengths = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("low", "high", "lengths")
    )
    size_low = np.bincount(all_low, lengths, first + 1)[1:]
    size_high = np.bincount(all_high, lengths, second + 1)[1:]
    rivals: list[list[int]] = [[] for _ in range(first + second)]
    is_both = (all_low > 0) & (all_high > 0)
    if not is_both.any():
        return rivals
    key = (all_low[is_both].astype(np.int64) - 1) * second + all_high[is_both] - 1
    pairs, which = np.unique(key, return_inverse=True)
    shared = np.bincount(which, lengths[is_both])
    low, high = np.divmod(pairs, second)
    is_rival = shared > SHARED * np.minimum(size_low[low], size_high[high])
    for one, other in zip(low[is_rival].tolist(), (first + high[is_rival]).tolist(), strict=True):
        rivals[one].append(other)
        rivals[other].append(one)
    return rivals


def _take_best(scores: Floats, least: float, rivals: list[list[int]]) -> NDArray[np.bool_]:
    taken, gone = np.zeros(len(scores), bool), np.zeros(len(scores), bool)
    for one in np.argsort(-scores, kind="stable").tolist():
        if scores[one] < least:
            break
        if not gone[one]:
            taken[one] = True
            gone[rivals[one]] = True
    return taken


def fit_score(
    looks: Sequence[Floats], ious: Sequence[Floats], diameter: float
) -> ObjectScore | None:
    """Fit a score to objects whose IoU with true ones is known; logistic regression.

    Parameters
    ----------
    looks : sequence of ndarray, shape (objects, looks)
        Of the objects of each image, see `looks_of`. An image counts by the root of their number:
        objects of one image are alike.
    ious : sequence of ndarray, shape (objects,)
        The IoU with the true object that each fits best.
    diameter : float
        Of usual objects, in pixels.

    Returns
    -------
    ObjectScore or None
        None if there are too few objects to tell.
    """
    x, y = np.concatenate(looks), np.concatenate(ious)
    if len(x) < 10 * len(LOOKS):
        return None
    weight = np.concatenate(
        [np.full(len(one), 1 / math.sqrt(len(one))) for one in ious if len(one)]
    )
    weight /= weight.sum()
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
    z = np.concatenate([(x - mean) / spread, np.ones((len(x), 1))], axis=1)
    ridge = np.full(z.shape[1], RIDGE)
    ridge[-1] = 0
    b = np.zeros(z.shape[1])
    for _ in range(ROUNDS):
        guess = _logistic(z @ b)
        slope = z.T @ (weight * (guess - y)) + ridge * b
        curve = (z * (weight * np.maximum(guess * (1 - guess), 1e-6))[:, None]).T @ z
        step = np.linalg.solve(curve + np.diag(ridge + 1e-9), slope)
        b -= step
        if np.abs(step).max() < 1e-6:
            break
    slopes = b[:-1] / spread
    constant = b[-1] - slopes @ mean
    return ObjectScore((*map(float, slopes), float(constant)), diameter)


def _limited_log(values: Floats) -> Floats:
    limited: Floats = np.clip(np.log(values), -FARTHEST, FARTHEST)
    return limited


def _logistic(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(values, -50, 50)))
