"""Label images whose numbers are classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError

__all__ = ["classes_with", "without_specks"]


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
