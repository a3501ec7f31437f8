"""Probabilities of the foreground, as numbers from 0 to 1 or in 8 bits, and what is foreground."""

from __future__ import annotations

from typing import Any  # probabilities come as float or quantised

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError

__all__ = ["belief_of", "foreground_of"]


def belief_of(probability: NDArray[Any]) -> NDArray[np.float32]:
    """Probabilities as float32 from 0 to 1."""
    belief = probability.astype(np.float32)
    belief *= np.float32(1 / 255 if probability.dtype == np.uint8 else 1)
    return belief


def foreground_of(probability: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Return where a probability, as float or in 8 bits, is at least the threshold."""
    if probability.dtype == np.uint8:
        is_there: NDArray[np.bool_] = probability >= max(1, round(threshold * 255))
    elif probability.dtype.kind == "f":
        # Never all of the plane: what a byte cannot tell from 0 is background.
        is_there = probability >= max(threshold, 0.5 / 255)
    else:
        raise InputError(f"Probabilities are {probability.dtype}; they must be float or uint8.")
    return is_there
