"""Where a person should look next: objects and places that are likely to be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # labels and probabilities come in several dtypes

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.boxes import Box
from napari_unet.core.errors import InputError
from napari_unet.core.label_index import index_labels

__all__ = ["WORTH_LOOKING", "Doubt", "rank_doubts"]

# An object is worth a look if it is wrong with this probability (chosen: of those that are, two in
# five are wrong on images held out, of all objects one in fourteen).
WORTH_LOOKING = 0.2

# How likely an object is wrong: logistic regression on what the bundled nuclei model finds in 61
# images of its training set, wrong being an IoU below 0.5. Checked on the images held out by
# tests/benchmarks/doubts.py; asking mirror images too gave nothing (see docs/measured.md).
USUALLY_RIGHT = -5.6
DOUBT = 19.0  # mean probability of background within the object
SMALL, LARGE = 0.33, 0.85  # robust deviations of the logarithm of its area from the others'
SHAPE = 0.45  # and of its depth for its area: a disc is as deep as can be, two in one are not

# How likely a place without an object is one that was missed, in the same way: by the mean
# probability there.
USUALLY_EMPTY = -4.3
FAINTLY_SEEN = 9.3

# With fewer objects than this nobody knows what is usual, and beyond so many robust deviations
# nothing is odder (chosen).
FEWEST_OTHERS = 8
FARTHEST = 8.0

# Above this probability of the foreground something may be there (chosen).
FAINT = 0.1

UNSURE = "the network is unsure of it"
MISSED = "something may have been missed here"
TOO_SMALL = "it is small beside the others"
TOO_LARGE = "it is large beside the others; it may be two"
ODD_SHAPE = "its shape is unlike the others'; it may be two"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Doubt:
    """An object, or a place without one, that may be wrong.

    Attributes
    ----------
    number : int
        The object; 0 where something may have been missed.
    score : float
        How likely it is wrong, 0 to 1.
    reason : str
        What is odd, as the end of a sentence.
    center : tuple of float
        Row and column of its middle.
    box : tuple of slice
        Rows and columns that it covers.
    """

    number: int
    score: float
    reason: str
    center: tuple[float, float]
    box: Box


def rank_doubts(
    labels: NDArray[Any],
    probability: NDArray[Any],
    *,
    checked: NDArray[Any] | None = None,
    threshold: float = 0.5,
    min_size: int = 1,
) -> list[Doubt]:
    """List what is worth looking at, the most doubtful first.

    An object is doubted where the network is unsure of its pixels, and where its size or its
    shape is unlike that of the others in the plane. A place without an object is doubted where
    the probability comes near to the threshold over the area of an object.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        Objects; 0 is background.
    probability : ndarray of float32 (0 to 1) or uint8 (255 is 1.0), shape (Y, X)
        Probability of the foreground.
    checked : ndarray, shape (Y, X), optional
        Nonzero where the labels are true: what lies there for the most part is not doubted.
    threshold : float
        Above it lies what is labelled.
    min_size : int
        Pixels of the smallest object.

    Returns
    -------
    list of Doubt
        The highest score first.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    for name, plane in (("probabilities", probability), ("checked area", checked)):
        if plane is not None and plane.shape != labels.shape:
            raise InputError(
                f"Labels have shape {labels.shape} and the {name} {plane.shape}; "
                "they must be equal."
            )
    belief = probability.astype(np.float32)
    if probability.dtype == np.uint8:
        belief /= np.float32(255)
    index, names = index_labels(labels)
    open_to_doubt = np.ones(labels.shape, bool) if checked is None else np.asarray(checked) == 0
    doubts = _objects(index, names, belief, open_to_doubt)
    doubts += _missed(index, belief, open_to_doubt, threshold, min_size)
    return sorted(doubts, key=lambda doubt: (-doubt.score, doubt.center))


def _objects(
    index: NDArray[np.int32],
    names: NDArray[Any],
    belief: NDArray[np.float32],
    open_to_doubt: NDArray[np.bool_],
) -> list[Doubt]:
    area = np.bincount(index.ravel(), minlength=len(names)).astype(float)
    here = np.flatnonzero(area[1:]) + 1
    if not len(here):
        return []
    area = area[here]
    doubted = 1 - np.asarray(ndimage.mean(belief, index, here), float)
    deepest = np.asarray(ndimage.maximum(_depth(index), index, here), float)
    size = _from_usual(np.log(area))
    depth = _from_usual(np.log(deepest**2 / area))
    parts = {
        UNSURE: DOUBT * doubted,
        TOO_SMALL: SMALL * np.maximum(-size, 0),
        TOO_LARGE: LARGE * np.maximum(size, 0),
        ODD_SHAPE: SHAPE * np.maximum(-depth, 0),
    }
    scores = _logistic(USUALLY_RIGHT + np.sum(list(parts.values()), axis=0))
    reasons = [list(parts)[part] for part in _beyond_usual(list(parts.values())).argmax(axis=0)]
    unchecked = np.asarray(ndimage.mean(open_to_doubt, index, here))
    boxes = ndimage.find_objects(index, max_label=len(names) - 1)
    doubts = []
    for i in np.flatnonzero(unchecked > 0.5):
        box: Box = boxes[here[i] - 1]
        number, score = int(names[here[i]]), float(scores[i])
        doubts.append(Doubt(number, score, reasons[i], _middle(box), box))
    return doubts


def _beyond_usual(parts: list[Floats]) -> Floats:
    """Each part less what is usual for it: what an object has more of than others is the reason."""
    together = np.array(parts)
    beyond: Floats = together - np.median(together, axis=1, keepdims=True)
    if together.shape[1] < FEWEST_OTHERS:
        beyond = together
    return beyond


def _missed(
    index: NDArray[np.int32],
    belief: NDArray[np.float32],
    open_to_doubt: NDArray[np.bool_],
    threshold: float,
    min_size: int,
) -> list[Doubt]:
    """Places of at least half the smallest object's area that are no rim of an object."""
    threshold = max(threshold, 0.5 / 255)  # as objects are made
    free = ndimage.distance_transform_cdt(index == 0, "chessboard") > 1
    faint = free & open_to_doubt & (belief > min(FAINT, threshold / 2))
    regions, count = ndimage.label(faint, np.ones((3, 3), bool))
    if not count:
        return []
    numbers = np.arange(1, count + 1)
    area = np.bincount(regions.ravel(), minlength=count + 1)[1:]
    seen = np.asarray(ndimage.mean(belief, regions, numbers), float)
    scores = _logistic(USUALLY_EMPTY + FAINTLY_SEEN * np.minimum(1, seen * 0.5 / threshold))
    boxes = ndimage.find_objects(regions)
    doubts = []
    for i in np.flatnonzero(2 * area >= max(2, min_size)):
        box: Box = boxes[i]
        doubts.append(Doubt(0, float(scores[i]), MISSED, _middle(box), box))
    return doubts


def _depth(index: NDArray[np.int32]) -> Floats:
    """How deep each pixel lies in its object, 1 at the rim; a neighbour is a rim too."""
    rim = index == 0
    for axis in (0, 1):
        apart = np.diff(index, axis=axis) != 0
        before, after = [slice(None)] * 2, [slice(None)] * 2
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        rim[tuple(before)] |= apart
        rim[tuple(after)] |= apart
    depth: Floats = ndimage.distance_transform_edt(~rim) + 1.0
    depth[index == 0] = 0
    return depth


def _from_usual(values: Floats) -> Floats:
    """Robust standard deviations from the others; 0 of few."""
    if len(values) < FEWEST_OTHERS:
        return np.zeros(len(values))
    away = values - np.median(values)
    spread = 1.4826 * float(np.median(np.abs(away))) + 0.05
    limited: Floats = np.clip(away / spread, -FARTHEST, FARTHEST)
    return limited


def _logistic(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-values))


def _middle(box: Box) -> tuple[float, float]:
    y, x = ((side.start + side.stop - 1) / 2 for side in box)
    return y, x
