"""How eagerly touching objects are to be parted, measured on objects of known shape."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.config import ModelConfig
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.matching import overlap_of
from napari_unet.core.targets import labels_to_classes

__all__ = ["choose_split"]

CANDIDATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
IOUS = (0.5, 0.7, 0.9)

# Precisions that differ less are equally good.
SAME = 0.005

# A network sees gaps of one pixel about as well as a blur of this many leaves them (chosen: the
# best split of blurred nuclei-dsb2018 labels is then that of real predictions).
BLUR = 1.0

# More objects than are in so many pixels change the answer no more (chosen: a second's work).
MAX_PIXELS = 1_500_000


def choose_split(planes: Iterable[NDArray[Any]], *, min_size: int = 20) -> float | None:
    """Return the `split` at which blurred labels come back best: round objects bear a high one.

    Parameters
    ----------
    planes : iterable of ndarray of int, shape (Y, X)
        Instance labels; 0 is background. No more are read than are needed.
    min_size : int
        As for `probability_to_labels`.

    Returns
    -------
    float or None
        Of those that are as good as the best, the nearest to the default of `ModelConfig`;
        None if there are fewer than two objects.
    """
    hits = np.zeros((len(CANDIDATES), len(IOUS)))
    objects = np.zeros((len(CANDIDATES), 1))
    truths = pixels = 0
    for labels in planes:
        truth = np.asarray(labels).astype(np.int32)
        blurred = ndimage.gaussian_filter(labels_to_classes(truth).astype(np.float32), BLUR)
        for row, split in enumerate(CANDIDATES):
            found = probability_to_labels(blurred, min_size=min_size, split=split)
            overlap = overlap_of(truth, found)
            objects[row] += overlap.n_truth + overlap.n_predicted
            hits[row] += [len(overlap.matched(iou)[0]) for iou in IOUS]
        truths += overlap.n_truth
        pixels += truth.size
        if pixels > MAX_PIXELS:
            break
    if truths < 2:
        return None
    precision = (hits / np.maximum(1, objects - hits)).mean(axis=1)
    good = [
        split
        for split, value in zip(CANDIDATES, precision, strict=True)
        if value >= precision.max() - SAME
    ]
    return min(good, key=lambda split: abs(split - ModelConfig.split))
