"""From foreground probabilities to instance labels; fast enough for live sliders."""

from __future__ import annotations

from typing import Any  # probabilities come as float or quantised

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.core.targets import classes_to_labels

__all__ = ["check_threshold", "probability_to_labels", "remove_small"]


def probability_to_labels(
    probability: NDArray[Any],
    *,
    threshold: float = 0.5,
    min_size: int = 20,
    split: float = 0.0,
) -> NDArray[np.int32]:
    """Label the connected pixels above a threshold and close the gaps between them.

    Parameters
    ----------
    probability : ndarray of float (0 to 1) or uint8 (255 is 1.0), shape (Y, X)
        Probability of the foreground.
    threshold : float
        Pixels of at least this probability are foreground, 0 to 1.
    min_size : int
        Objects of fewer pixels are left out.
    split : float
        0 leaves objects as they are connected; up to 1, waists are cut ever more eagerly
        (watershed of the smoothed distance to the background).

    Returns
    -------
    ndarray of int32, shape (Y, X)
        Objects are numbered from 1 without holes in the numbering.
    """
    check_threshold(threshold)
    if probability.dtype == np.uint8:
        foreground = probability >= max(1, round(threshold * 255))
    else:
        foreground = probability >= threshold
    if split > 0:
        from napari_unet.core.split_touching import cut_waists  # scikit-image: slow to import

        foreground = cut_waists(foreground, eagerness=split)
    labels = classes_to_labels(foreground.view(np.uint8))
    return remove_small(labels, min_size)


def check_threshold(threshold: float) -> float:
    """Return the threshold if it is one.

    Raises
    ------
    InputError
        If it is not from 0 to 1.
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"The threshold is {threshold}; it must be from 0 to 1.")
    return threshold


def remove_small(labels: NDArray[np.int32], min_size: int) -> NDArray[np.int32]:
    """Drop objects of fewer pixels than `min_size` and number the rest from 1."""
    sizes = np.bincount(labels.ravel())
    if len(sizes) <= 1:
        return labels
    keep = sizes >= max(1, min_size)
    keep[0] = False
    number = np.cumsum(keep, dtype=np.int32)
    return np.where(keep, number, 0).astype(np.int32)[labels]
