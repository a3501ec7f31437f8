"""How good a map of classes is: of each class how much overlaps, and how many pixels are right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_unet.core.errors import InputError
from napari_unet.core.label_index import whole_numbers

__all__ = ["ClassScores", "class_measures", "pool_classes", "score_classes"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Counts of pixels of one image, or sums over several, and what follows from them.

    Attributes
    ----------
    counts : ndarray of int64, shape (classes, classes)
        Pixels of each true class (row) that were given each class (column); 0 is background.
    """

    counts: npt.NDArray[np.int64]

    @property
    def iou(self) -> FloatArray:
        """Intersection over union of each class, (classes,); not a number where it never occurs."""
        return self._ratio(self._right, self._true + self._given - self._right)

    @property
    def dice(self) -> FloatArray:
        """Dice coefficient of each class, (classes,); not a number where it never occurs."""
        return self._ratio(2 * self._right, self._true + self._given)

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that occur, background among them; 1 without pixels."""
        known = self.iou[~np.isnan(self.iou)]
        return float(known.mean()) if len(known) else 1.0

    @property
    def pixel_accuracy(self) -> float:
        """Share of the pixels whose class is right."""
        every = int(self.counts.sum())
        return float(self._right.sum()) / every if every else 1.0

    @property
    def _right(self) -> npt.NDArray[np.int64]:
        return np.diagonal(self.counts)

    @property
    def _true(self) -> npt.NDArray[np.int64]:
        return np.asarray(self.counts.sum(axis=1))

    @property
    def _given(self) -> npt.NDArray[np.int64]:
        return np.asarray(self.counts.sum(axis=0))

    @staticmethod
    def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> FloatArray:
        return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def score_classes(truth: npt.ArrayLike, prediction: npt.ArrayLike, classes: int) -> ClassScores:
    """Compare two maps of classes.

    Parameters
    ----------
    truth, prediction
        Class of each pixel, 0 to classes - 1, of the same shape.
    classes
        How many there are, background included.

    Raises
    ------
    InputError
        If shapes differ or a class is out of its bounds.
    """
    truth, prediction = whole_numbers(truth), whole_numbers(prediction)
    if truth.shape != prediction.shape:
        raise InputError(
            f"Truth and prediction must have the same shape, "
            f"but they are {truth.shape} and {prediction.shape}."
        )
    for name, labels in (("truth", truth), ("prediction", prediction)):
        low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
        if low < 0 or high >= classes:
            raise InputError(
                f"The {name} has the class {low if low < 0 else high}; "
                f"classes are from 0 to {classes - 1}."
            )
    keys = truth.ravel().astype(np.int64) * classes + prediction.ravel()
    return ClassScores(np.bincount(keys, minlength=classes**2).reshape(classes, classes))


def pool_classes(scores: Iterable[ClassScores]) -> ClassScores:
    """Add up the pixels of many images."""
    every = [one.counts for one in scores]
    if not every:
        raise InputError("There are no scores to pool: give at least one image.")
    return ClassScores(np.sum(every, axis=0))


def class_measures(scores: ClassScores, classes: Sequence[str]) -> dict[str, float]:
    """Return every measure by its name; without those of a class that never occurs."""
    each = zip(classes, scores.iou, scores.dice, strict=True)
    shown = {"mean IoU": scores.mean_iou, "pixel accuracy": scores.pixel_accuracy}
    for name, iou, dice in each:
        shown |= {f"IoU {name}": float(iou), f"Dice {name}": float(dice)}
    return {name: round(value, 4) for name, value in shown.items() if not math.isnan(value)}
