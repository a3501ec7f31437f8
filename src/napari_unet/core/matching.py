"""Which predicted object is which true one: overlaps, IoU and the best assignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from napari_unet.core.errors import InputError
from napari_unet.core.label_index import IntArray, index_labels, whole_numbers

__all__ = ["Matches", "Overlap", "average_precision", "match_objects", "overlap_of"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many pixels each true label shares with each predicted one, 0 included.

    Attributes
    ----------
    truth, predicted
        One entry a pair that occurs: rows of `truth_names` and `predicted_names`.
    pixels
        How often the pair occurs.
    truth_names, predicted_names
        The labels; row 0 is background, and a label that never occurs has size 0.
    truth_sizes, predicted_sizes
        Pixels of each label.
    """

    truth: IntArray
    predicted: IntArray
    pixels: IntArray
    truth_names: IntArray
    predicted_names: IntArray
    truth_sizes: IntArray
    predicted_sizes: IntArray

    @property
    def n_truth(self) -> int:
        """Number of true objects."""
        return int(np.count_nonzero(self.truth_sizes[1:]))

    @property
    def n_predicted(self) -> int:
        """Number of predicted objects."""
        return int(np.count_nonzero(self.predicted_sizes[1:]))

    def iou_pairs(self) -> tuple[IntArray, IntArray, FloatArray]:
        """Rows of the objects that share pixels, and the IoU of each pair."""
        cells = (self.truth > 0) & (self.predicted > 0)
        truth, predicted, shared = self.truth[cells], self.predicted[cells], self.pixels[cells]
        union = self.truth_sizes[truth] + self.predicted_sizes[predicted] - shared
        return truth, predicted, shared / union

    def matched(self, iou: float) -> tuple[IntArray, IntArray, FloatArray]:
        """Rows and IoU of the one-to-one pairs with at least this IoU."""
        truth, predicted, ious = self.iou_pairs()
        good = ious >= iou
        truth, predicted, ious = truth[good], predicted[good], ious[good]
        if iou > 0.5:  # two objects cannot both share more than half of a third
            return truth, predicted, ious
        keep = _assigned(truth, predicted, ious)
        return truth[keep], predicted[keep], ious[keep]


@dataclass(frozen=True, slots=True)
class Matches:
    """The pairs of true and predicted objects, by label, and those left alone.

    Attributes
    ----------
    truth, predicted, iou
        One entry a pair.
    missed
        True objects without a partner.
    extra
        Predicted objects without a partner.
    """

    truth: IntArray
    predicted: IntArray
    iou: FloatArray
    missed: IntArray
    extra: IntArray


def overlap_of(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> Overlap:
    """Count the pixels of every pair of labels in one pass."""
    truth, prediction = whole_numbers(truth), whole_numbers(prediction)
    if truth.shape != prediction.shape:
        raise InputError(
            f"Truth and prediction must have the same shape, "
            f"but they are {truth.shape} and {prediction.shape}."
        )
    rows, truth_names = index_labels(truth)
    columns, predicted_names = index_labels(prediction)
    width = len(predicted_names)
    keys, pixels = _counted(rows.ravel(), columns.ravel(), len(truth_names), width)
    of_truth, of_predicted = keys // width, keys % width
    return Overlap(
        truth=of_truth,
        predicted=of_predicted,
        pixels=pixels,
        truth_names=truth_names,
        predicted_names=predicted_names,
        truth_sizes=_summed(of_truth, pixels, len(truth_names)),
        predicted_sizes=_summed(of_predicted, pixels, width),
    )


def match_objects(truth: npt.ArrayLike, prediction: npt.ArrayLike, iou: float = 0.5) -> Matches:
    """Pair true and predicted objects one to one where they overlap enough.

    Parameters
    ----------
    truth, prediction
        Integer labels of the same shape, 0 is background.
    iou
        Smallest intersection over union of a pair. At 0.5 and below, where several pairs are
        possible, the assignment with the most pairs is taken, then the one with the largest
        IoU.

    Returns
    -------
    Matches
        Labels of the pairs, of the missed and of the extra objects.
    """
    overlap = overlap_of(truth, prediction)
    rows, columns, ious = overlap.matched(iou)
    return Matches(
        truth=overlap.truth_names[rows],
        predicted=overlap.predicted_names[columns],
        iou=ious,
        missed=_unmatched(overlap.truth_names, overlap.truth_sizes, rows),
        extra=_unmatched(overlap.predicted_names, overlap.predicted_sizes, columns),
    )


def average_precision(
    truth: npt.ArrayLike, prediction: npt.ArrayLike, thresholds: Sequence[float] = (0.5,)
) -> tuple[float, ...]:
    """TP / (TP + FP + FN) at each IoU threshold; 1 where neither has an object."""
    overlap = overlap_of(truth, prediction)
    found = [len(overlap.matched(threshold)[0]) for threshold in thresholds]
    objects = overlap.n_truth + overlap.n_predicted
    return tuple(tp / (objects - tp) if objects else 1.0 for tp in found)


def _counted(rows: IntArray, columns: IntArray, n: int, width: int) -> tuple[IntArray, IntArray]:
    """The keys ``row * width + column`` that occur, and how often."""
    keys = rows.astype(np.int64) * width + columns
    if n * width > 4 * keys.size + 1_000_000:
        return np.unique(keys, return_counts=True)
    counts = np.bincount(keys, minlength=n * width)
    present = counts.nonzero()[0]
    return present, counts[present]


def _summed(rows: IntArray, pixels: IntArray, n: int) -> IntArray:
    sums = np.zeros(n, np.int64)
    np.add.at(sums, rows, pixels)
    return sums


def _assigned(truth: IntArray, predicted: IntArray, ious: FloatArray) -> npt.NDArray[np.bool_]:
    """Which candidate pairs to keep so that each object has at most one partner."""
    if len(truth) == 0:
        return np.zeros(0, bool)
    alone = (np.bincount(truth)[truth] == 1) & (np.bincount(predicted)[predicted] == 1)
    keep: npt.NDArray[np.bool_] = alone.copy()
    rest = np.flatnonzero(~alone)
    rows, row = np.unique(truth[rest], return_inverse=True)
    columns, column = np.unique(predicted[rest], return_inverse=True)
    most = min(len(rows), len(columns))
    if most == 0:
        return keep
    # a pair counts 1, and IoU decides between equal numbers of pairs
    gain = np.zeros((len(rows), len(columns)))
    gain[row, column] = 1 + ious[rest] / (2 * most)
    pair = np.full(gain.shape, -1)
    pair[row, column] = rest
    chosen = pair[linear_sum_assignment(gain, maximize=True)]
    keep[chosen[chosen >= 0]] = True
    return keep


def _unmatched(names: IntArray, sizes: IntArray, rows: IntArray) -> IntArray:
    alone = sizes > 0
    alone[0] = False
    alone[rows] = False
    return names[alone]
