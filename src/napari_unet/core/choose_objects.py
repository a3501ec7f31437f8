"""Choosing among the objects of two thresholds by how well each is likely to fit a true one.

Of those that overlap the better one is taken; what is likely no object at all is left out.
Choosing among nested regions by a learnt score is due to Arteta et al. 2012 ("Learning to detect
cells using non-overlapping extremal regions"), taking the best and dropping what it covers to
non-maximum suppression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.object_looks import described
from napari_unet.core.object_score import ObjectScore
from napari_unet.core.threads import in_threads

__all__ = ["choose_objects"]

# An object is left out if its score is less than this times the threshold: 0.35 at 0.5 (of 0.35,
# 0.45 and 0.55 the best over looks held out and the images held out at random).
LEAST = 0.7

# Of two that share more than this part of the smaller one, one has to go.
SHARED = 0.3

BAND = 2**17  # pixels that are gone through at a time: they stay in the processor's cache (chosen)

Floats = NDArray[np.float64]


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
        return described(labels, probability, score.diameter, is_upper, given[number])

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
        part[parts[number].starts] = np.diff(chosen, prepend=np.int32(0))
        np.cumsum(part, out=part)  # of one dtype: other threads go on meanwhile

    in_threads(write, (0, 1), probability.size)
    return labels, np.concatenate([[False], order >= first]), typical


@dataclass(frozen=True, slots=True, eq=False)
class _Both:
    """A part of the plane in runs of the same lower and upper object, background included."""

    starts: NDArray[np.intp]
    lengths: NDArray[np.int64]
    low: NDArray[np.int32]
    high: NDArray[np.int32]

    @classmethod
    def of(cls, lower: NDArray[np.int32], upper: NDArray[np.int32]) -> _Both:
        """Find them; there are far fewer runs to sort and to look up than pixels."""
        low, high = lower.ravel(), upper.ravel()
        begins = [np.zeros(min(1, low.size), np.intp)]
        for first in range(1, low.size, BAND):
            here, before = slice(first, first + BAND), slice(first - 1, first - 1 + BAND)
            differs = low[here] != low[before][: low[here].size]
            differs |= high[here] != high[before][: high[here].size]
            begins.append(np.flatnonzero(differs) + first)
        starts = np.concatenate(begins)
        return cls(starts, np.diff(starts, append=low.size), low[starts], high[starts])


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
