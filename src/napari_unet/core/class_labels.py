"""Label images whose numbers are classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # probabilities come as float or quantised

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.instances import check_settings
from napari_unet.core.rescale import resize_image

__all__ = ["class_map", "classes_with", "without_specks"]


def classes_with(config: ModelConfig, names: Sequence[str]) -> tuple[str, ...]:
    """Return the classes of a model to which some were added, the background first.

    Those that it knows keep their place; a model of objects knows none.

    Raises
    ------
    InputError
        If a name is empty, occurs twice, or is that of the background.
    """
    background, *known = config.classes
    if not config.semantic:
        known = []
    if not all(map(str.strip, names)) or len({background, *names}) <= len(names):
        raise InputError("Each class needs a name of its own, other than that of the background.")
    return (background, *known, *(name for name in names if name not in known))


def class_map(
    probability: NDArray[Any],
    *,
    threshold: float = 0.5,
    min_size: int = 0,
    shape: tuple[int, int] | None = None,
) -> NDArray[np.int32]:
    """Return the likeliest class of each pixel that is not background.

    Parameters
    ----------
    probability : ndarray of float (0 to 1) or uint8 (255 is 1.0), shape (C, Y, X)
        Of each class, the background first.
    threshold : float
        Pixels whose probability not to be background is at least this are of a class.
    min_size : int
        Connected pixels of one class that are fewer become background.
    shape : tuple of int, optional
        Rows and columns of the image, where the probability is of that image rescaled.

    Returns
    -------
    ndarray of int32, shape (Y, X) or `shape`
        0 is background, others the index of the class.
    """
    check_settings(threshold, 0.0)
    scale = np.float32(1 / 255 if probability.dtype == np.uint8 else 1)
    belief = probability.astype(np.float32) * scale
    if shape is not None and shape != probability.shape[1:]:
        belief = resize_image(belief, shape)
    winner = belief[1:].argmax(axis=0).astype(np.int32) + 1
    labels = np.where(1 - belief[0] >= max(threshold, 0.5 / 255), winner, 0).astype(np.int32)
    return without_specks(labels, min_size)


def without_specks(labels: NDArray[np.int32], min_size: int) -> NDArray[np.int32]:
    """Make background of connected pixels of one class that are fewer than `min_size`."""
    if min_size <= 1:
        return labels
    out = labels.copy()
    for number in np.unique(labels[labels > 0]):
        pieces, _ = ndimage.label(labels == number, np.ones((3, 3), bool))
        is_speck = np.bincount(pieces.ravel()) < min_size
        is_speck[0] = False
        out[is_speck[pieces]] = 0
    return out
