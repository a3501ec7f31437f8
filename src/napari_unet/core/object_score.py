"""How well an object is likely to fit a true one, judged by how it looks.

A threshold that is right for one object is wrong for another: haze around a nucleus takes up its
neighbours, dim ones end too early. Objects are therefore proposed at two thresholds, and each is
given the IoU that objects of such a look have had with true ones. `napari_unet.core.object_looks`
describes the looks, `napari_unet.core.choose_objects` chooses by the score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError

__all__ = ["LOOKS", "ObjectScore", "fit_score", "outline_of_upper", "upper_threshold"]

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

# The upper threshold lies so far between the lower one and 1.
UPPER = 0.4

# Objects of the upper threshold are drawn out to here: 0.55 at 0.5. What parts them from haze or
# from neighbours is further in than where a person draws them (0 to 0.3 are equal within 0.003 of
# mean precision on 200 images learnt from; chosen among them).
OUTLINE = 0.1

RIDGE = 1e-3
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


def outline_of_upper(threshold: float) -> float:
    """Return the probability out to which objects of the upper threshold are drawn."""
    return threshold + OUTLINE * (1 - threshold)


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


def _logistic(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(values, -50, 50)))
