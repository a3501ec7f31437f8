"""How large objects are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray

__all__ = ["median_diameter"]


def median_diameter(planes: Iterable[NDArray[Any]]) -> float | None:
    """Return the median diameter of all objects, in pixels: of the disc of equal area.

    Parameters
    ----------
    planes : iterable of ndarray of int, shape (Y, X)
        Instance labels; 0 is background.

    Returns
    -------
    float or None
        None if there is no object.
    """
    areas = [np.zeros(0)]
    for labels in planes:
        values, counts = np.unique(labels, return_counts=True)
        areas.append(counts[values != 0])
    together = np.concatenate(areas)
    return float(np.median(np.sqrt(4 / np.pi * together))) if together.size else None
