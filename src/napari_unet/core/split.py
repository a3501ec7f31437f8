"""Hold images out of training, by name and reproducibly."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from napari_unet.core.errors import InputError

__all__ = ["hold_out"]


def hold_out(names: Iterable[str], fraction: float, *, seed: int = 0) -> tuple[str, ...]:
    """Return a random part of the names, sorted; the same seed gives the same part.

    Raises
    ------
    InputError
        If the fraction is not from 0 up to, but without, 1.
    """
    if not 0 <= fraction < 1:
        raise InputError(f"The fraction held out is {fraction}; it must be from 0 to below 1.")
    ordered = sorted(names)
    count = round(fraction * len(ordered))
    chosen = np.random.default_rng(seed).permutation(len(ordered))[:count]
    return tuple(sorted(ordered[index] for index in chosen))
