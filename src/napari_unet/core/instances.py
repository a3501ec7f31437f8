"""From foreground probabilities to instance labels; fast enough for live sliders."""

from __future__ import annotations

from typing import Any  # probabilities come as float or quantised

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.errors import InputError
from napari_unet.core.split_touching import split_objects
from napari_unet.core.targets import fill_gaps

__all__ = ["check_settings", "probability_to_labels", "remove_small"]


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
        0 leaves objects as they are connected; up to 1, waists are cut ever more eagerly, see
        `napari_unet.core.split_touching`.

    Returns
    -------
    ndarray of int32, shape (Y, X)
        Objects are numbered from 1 without holes in the numbering.
    """
    check_settings(threshold, split)
    foreground = _foreground(probability, threshold)
    if split > 0:
        scale = np.float32(1 / 255 if probability.dtype == np.uint8 else 1)
        belief = probability.astype(np.float32) * scale
        labels = split_objects(foreground, belief, split, min_size=min_size)
    else:
        labels = np.zeros(foreground.shape, np.int32)
        ndimage.label(foreground, np.ones((3, 3), bool), output=labels)
    # What is too small goes first: no gap is filled on its account.
    return fill_gaps(remove_small(labels, min_size)).astype(np.int32, copy=False)


def _foreground(probability: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    if probability.ndim != 2:
        raise InputError(f"Probabilities of shape {probability.shape} are not one plane.")
    if probability.dtype == np.uint8:
        is_there: NDArray[np.bool_] = probability >= max(1, round(threshold * 255))
    elif probability.dtype.kind == "f":
        # Never all of the plane: what a byte cannot tell from 0 is background.
        is_there = probability >= max(threshold, 0.5 / 255)
    else:
        raise InputError(f"Probabilities are {probability.dtype}; they must be float or uint8.")
    return is_there


def check_settings(threshold: float, split: float) -> None:
    """Refuse settings of `probability_to_labels` that are out of their bounds.

    Raises
    ------
    InputError
        With a sentence that names the setting.
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"The threshold is {threshold}; it must be from 0 to 1.")
    if not 0 <= split <= 1:
        raise InputError(f"Split is {split}; it must be from 0 to 1.")


def remove_small(labels: NDArray[np.int32], min_size: int) -> NDArray[np.int32]:
    """Drop objects of fewer pixels than `min_size` and number the rest from 1."""
    sizes = np.bincount(labels.ravel())
    if len(sizes) <= 1:
        return labels
    keep = sizes >= max(1, min_size)
    keep[0] = False
    number = np.cumsum(keep, dtype=np.int32)
    return np.where(keep, number, 0).astype(np.int32)[labels]
