"""What became of each object: found, missed, made up, wrongly split or merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any  # columns of any dtype

import numpy as np
import numpy.typing as npt

from napari_unet.core.label_index import IntArray, index_labels, whole_numbers
from napari_unet.core.matching import Overlap, overlap_of

__all__ = ["Comparison", "ObjectVerdicts", "Verdict", "compare_objects", "joined"]

FloatArray = npt.NDArray[np.float64]


class Verdict(IntEnum):
    """What became of an object; the number is its colour in a map of verdicts."""

    HIT = 1
    MISSED = 2
    FALSE = 3
    SPLIT = 4
    MERGED = 5


@dataclass(frozen=True, eq=False)
class ObjectVerdicts:
    """One entry for each pair that matches, and one for each object that has no partner.

    Attributes
    ----------
    verdict : ndarray of uint8, shape (N,)
        Of `Verdict`. An object of the truth that is missed, split or merged has an entry, and so
        has each predicted object that is false, a part of a split one, or a merged one.
    truth, prediction : ndarray of int, shape (N,)
        The labels; 0 where there is no partner. Of an object that was split or merged the other
        one is that of the largest IoU.
    iou : ndarray of float64, shape (N,)
    pixels : ndarray of int64, shape (N,)
        Size of the true object, or of the predicted one where there is no true one.
    center : ndarray of float64, shape (N, axes)
        Its middle, in pixels.
    is_true : ndarray of bool, shape (N,)
        The entry is that of a true object: each has one, so they add up to all of them.
    """

    verdict: IntArray
    truth: IntArray
    prediction: IntArray
    iou: FloatArray
    pixels: IntArray
    center: FloatArray
    is_true: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.verdict)

    def columns(self, axes: str) -> dict[str, npt.NDArray[Any]]:
        """Return a column for each thing that is known, to be shown or written."""
        names = np.array(["", *(verdict.name.lower() for verdict in Verdict)])
        places = {axis.lower(): self.center[:, number] for number, axis in enumerate(axes)}
        return {
            "verdict": names[self.verdict],
            "truth": self.truth,
            "prediction": self.prediction,
            "iou": self.iou,
            "pixels": self.pixels,
            **places,
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """The verdict of each object, and where each verdict applies.

    Attributes
    ----------
    objects : ObjectVerdicts
    map : ndarray of uint8, shape of the labels
        The verdict of the predicted object at each pixel, and where there is none that of a true
        one that is not found; 0 elsewhere.
    """

    objects: ObjectVerdicts
    map: npt.NDArray[np.uint8]


def compare_objects(
    truth: npt.ArrayLike, prediction: npt.ArrayLike, iou: float = 0.5
) -> Comparison:
    """Say of each object of two label images what became of it.

    A pair that overlaps by `iou` at the least is a hit (see `match_objects`). Of the others, two
    predicted objects or more that lie mostly in the same true one have split it; a predicted object
    in which two true ones or more mostly lie has merged them. "Mostly" is more than half of
    the pixels. What is left was missed, or is false.

    Parameters
    ----------
    truth, prediction
        Integer labels of the same shape, 0 is background.
    iou
        Smallest intersection over union of a hit.
    """
    overlap = overlap_of(truth, prediction)
    of_truth, of_predicted = _verdicts(overlap, iou)
    true_index = index_labels(whole_numbers(truth))[0]
    index = index_labels(whole_numbers(prediction))[0]
    centers = _centers(true_index, overlap.truth_sizes), _centers(index, overlap.predicted_sizes)
    not_found = np.where(of_truth == Verdict.HIT, 0, of_truth)
    painted = np.where(index > 0, of_predicted[index], not_found[true_index]).astype(np.uint8)
    return Comparison(_listed(overlap, iou, (of_truth, of_predicted), centers), painted)


def joined(parts: Sequence[tuple[tuple[int, ...], ObjectVerdicts]]) -> ObjectVerdicts:
    """Put the verdicts of planes one below the other; centers get the index of the plane."""
    every = [part for _, part in parts]
    columns = {
        item.name: np.concatenate([getattr(part, item.name) for part in every])
        for item in fields(ObjectVerdicts)
        if item.name != "center"
    }
    centers = [
        np.column_stack([np.tile(np.array(place, float), (len(part), 1)), part.center])
        for place, part in parts
    ]
    return ObjectVerdicts(**columns, center=np.concatenate(centers))


def _verdicts(overlap: Overlap, iou: float) -> tuple[IntArray, IntArray]:
    """Return the verdict of each row of the truth and of the prediction; 0 for background."""
    hits, hit_columns, _ = overlap.matched(iou)
    truth, predicted, _ = overlap.iou_pairs()
    shared = overlap.pixels[(overlap.truth > 0) & (overlap.predicted > 0)]
    n, width = len(overlap.truth_sizes), len(overlap.predicted_sizes)
    part_of = 2 * shared > overlap.predicted_sizes[predicted]  # mostly in the true one
    inside = 2 * shared > overlap.truth_sizes[truth]  # mostly in the predicted one
    is_split = np.bincount(truth[part_of], minlength=n) > 1
    has_merged = np.bincount(predicted[inside], minlength=width) > 1
    of_truth, of_predicted = np.full(n, int(Verdict.MISSED)), np.full(width, int(Verdict.FALSE))
    of_truth[truth[inside & has_merged[predicted]]] = Verdict.MERGED
    of_truth[is_split] = Verdict.SPLIT
    of_predicted[has_merged] = Verdict.MERGED
    of_predicted[predicted[part_of & is_split[truth]]] = Verdict.SPLIT
    of_truth[hits], of_predicted[hit_columns] = Verdict.HIT, Verdict.HIT
    of_truth[0] = of_predicted[0] = 0
    return of_truth, of_predicted


def _listed(
    overlap: Overlap,
    iou: float,
    verdicts: tuple[IntArray, IntArray],
    centers: tuple[FloatArray, FloatArray],
) -> ObjectVerdicts:
    """List the hits, then true objects that are none, then predicted ones."""
    rows, columns, ious = overlap.matched(iou)
    truth, predicted, every_iou = overlap.iou_pairs()
    of_truth, of_predicted = verdicts
    partner, partner_iou = _best(truth, predicted, every_iou, len(of_truth))
    other, other_iou = _best(predicted, truth, every_iou, len(of_predicted))
    lost = np.flatnonzero((overlap.truth_sizes > 0) & (of_truth > Verdict.HIT))
    extra = np.flatnonzero((overlap.predicted_sizes > 0) & (of_predicted > Verdict.HIT))
    has_partner = of_truth[lost] != Verdict.MISSED
    has_other = of_predicted[extra] != Verdict.FALSE
    from_truth = np.concatenate([rows, lost])
    return ObjectVerdicts(
        np.concatenate([of_truth[from_truth], of_predicted[extra]]).astype(np.uint8),
        overlap.truth_names[np.concatenate([from_truth, np.where(has_other, other[extra], 0)])],
        overlap.predicted_names[
            np.concatenate([columns, np.where(has_partner, partner[lost], 0), extra])
        ],
        np.concatenate([ious, partner_iou[lost], other_iou[extra]]),
        np.concatenate([overlap.truth_sizes[from_truth], overlap.predicted_sizes[extra]]),
        np.concatenate([centers[0][from_truth], centers[1][extra]]),
        np.arange(len(from_truth) + len(extra)) < len(from_truth),
    )


def _best(
    rows: IntArray, others: IntArray, ious: FloatArray, n: int
) -> tuple[IntArray, FloatArray]:
    """Return for each of n rows the other one with the largest IoU, and that; 0 where none."""
    partner, largest = np.zeros(n, int), np.zeros(n)
    order = np.argsort(ious, kind="stable")  # the last one to be written stays
    partner[rows[order]], largest[rows[order]] = others[order], ious[order]
    return partner, largest


def _centers(index: IntArray, sizes: IntArray) -> FloatArray:
    """Return the middle (rows, axes) of each row's pixels."""
    flat = index.ravel()
    sums = []
    for axis, size in enumerate(index.shape):
        places = np.arange(size, dtype=float).reshape([-1, *[1] * (index.ndim - axis - 1)])
        weights = np.broadcast_to(places, index.shape).ravel()
        sums.append(np.bincount(flat, weights=weights, minlength=len(sizes)))
    centers: FloatArray = np.stack(sums, axis=1) / np.maximum(sizes, 1)[:, None]
    return centers
