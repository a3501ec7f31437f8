"""Correct a few objects the way a user would, and score the ones nobody touched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.boxes import box_of
from napari_unet.core.matching import overlap_of
from napari_unet.core.metrics import Scores, score

__all__ = ["Correction", "correct_worst", "score_untouched"]

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]

MARGIN = 4  # pixels around a stroke that are looked at with it (chosen)
MOAT = 6  # pixels kept unknown around other objects: the edge of the checked area shows no outline
JUNK_IOU = 0.1  # a predicted object that overlaps every true one by less is not an object


@dataclass(frozen=True, eq=False)
class Correction:
    """What a user did to a prediction.

    Attributes
    ----------
    labels : ndarray of int32
        The prediction, with the truth inside the checked area.
    checked : ndarray of bool
        Where the labels are true.
    corrected : tuple of int
        True objects that were drawn or put right.
    erased : int
        Predicted objects that were taken away because nothing is there.
    """

    labels: Labels
    checked: Mask
    corrected: tuple[int, ...]
    erased: int


def correct_worst(truth: Labels, prediction: Labels, count: int = 6) -> Correction:
    """Put the worst objects of the left half right, and erase what is no object there.

    Where nothing else lies among those that were drawn, the ground between them is right too.

    Parameters
    ----------
    truth, prediction : ndarray of int32, shape (Y, X)
    count : int
        How many objects are corrected (objects that were found as one are corrected
        together, so there may be a few more), and at the most erased.

    Returns
    -------
    Correction
        Other true objects and their surroundings are not in its checked area, and of the right half
        only those of objects that reach into it.
    """
    best = _best_iou(truth, prediction)
    in_reach = [number for number in best if _is_left(truth == number)]
    by_badness = sorted(in_reach, key=lambda number: (round(best[number], 2), number))
    chosen = _with_fellows(by_badness, _fused(truth, prediction), count)
    drawn = np.isin(truth, chosen)
    junk = _junk(truth, prediction, count)
    checked = ndimage.binary_dilation(drawn | np.isin(prediction, junk), iterations=MARGIN)
    around = box_of(drawn, MARGIN)
    if not ((truth > 0) & ~drawn)[around].any():  # as "All I see is right" does
        checked[around] = True
    others = ndimage.binary_dilation((truth > 0) & ~drawn, iterations=MOAT)
    checked &= drawn | ~others
    checked[:, checked.shape[1] // 2 :] &= drawn[:, checked.shape[1] // 2 :]
    top = int(prediction.max(initial=0))
    inside = np.where(drawn, truth + top, 0)
    labels = np.where(checked, inside, prediction).astype(np.int32)
    return Correction(labels, checked, tuple(chosen), len(junk))


def score_untouched(truth: Labels, prediction: Labels, correction: Correction) -> Scores:
    """Score a segmentation on the objects that were not corrected.

    Predicted objects that lie mostly in the checked area are left out with them.
    """
    taught = np.isin(truth, correction.corrected)
    sizes = np.bincount(prediction.ravel())
    inside = np.bincount(prediction[correction.checked], minlength=len(sizes))
    mostly = np.flatnonzero(2 * inside > sizes)
    return score(np.where(taught, 0, truth), np.where(np.isin(prediction, mostly), 0, prediction))


def _best_iou(truth: Labels, prediction: Labels) -> dict[int, float]:
    """Return the largest IoU of each true object with a predicted one."""
    overlap = overlap_of(truth, prediction)
    best = dict.fromkeys((int(n) for n in np.unique(truth) if n), 0.0)
    for row, _, iou in zip(*overlap.iou_pairs(), strict=True):
        number = int(overlap.truth_names[row])
        best[number] = max(best[number], float(iou))
    return best


def _fused(truth: Labels, prediction: Labels) -> list[set[int]]:
    """Return the true objects that each predicted one covers for the most part."""
    overlap = overlap_of(truth, prediction)
    covers: dict[int, set[int]] = {}
    for row, column, pixels in zip(overlap.truth, overlap.predicted, overlap.pixels, strict=True):
        if row and column and 2 * pixels > overlap.truth_sizes[row]:
            covers.setdefault(int(column), set()).add(int(overlap.truth_names[row]))
    return list(covers.values())


def _with_fellows(ordered: list[int], fused: list[set[int]], count: int) -> list[int]:
    """Take objects in order, each with those it was found as one with."""
    chosen: set[int] = set()
    for number in ordered:
        if len(chosen) >= count:
            break
        chosen.update(*(group for group in fused if number in group), {number})
    return sorted(chosen)


def _junk(truth: Labels, prediction: Labels, count: int) -> list[int]:
    """Return the largest predicted objects of the left half where nothing is."""
    best = _best_iou(prediction, truth)
    wrong = [n for n, iou in best.items() if iou < JUNK_IOU and _is_left(prediction == n)]
    sizes = np.bincount(prediction.ravel())
    on_nothing = np.bincount(prediction[truth == 0], minlength=len(sizes))
    wrong = [n for n in wrong if 2 * on_nothing[n] > sizes[n]]
    return sorted(wrong, key=lambda number: -sizes[number])[:count]


def _is_left(mask: Mask) -> bool:
    return bool(np.nonzero(mask)[1].mean() < mask.shape[1] / 2)
