"""How large objects are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray

__all__ = ["diameter_of", "median_diameter"]

# With fewer whole objects than this, those that the border cuts count too (chosen).
FEWEST_WHOLE = 3


def median_diameter(planes: Iterable[NDArray[Any]]) -> float | None:
    """Return how wide objects are, in pixels: half of their area is in objects wider than this.

    A median by number would follow the debris that people label too: in some images of
    nuclei-dsb2018 every second object is a crumb of a tenth of a nucleus. Objects cut by the
    border are left out where others are there.

    Parameters
    ----------
    planes : iterable of ndarray of int, shape (Y, X)
        Instance labels; 0 is background.

    Returns
    -------
    float or None
        Diameter of the disc of equal area; None if there is no object.
    """
    areas = [_areas(np.asarray(labels)) for labels in planes]
    return diameter_of(np.concatenate(areas)) if areas else None


def diameter_of(areas: NDArray[Any]) -> float | None:
    """Return the diameter of the disc whose area is the median, weighted by area; None of none."""
    areas = np.sort(areas[areas > 0])
    if not areas.size:
        return None
    total = np.cumsum(areas)
    middle = areas[np.searchsorted(total, total[-1] / 2)]
    return math.sqrt(4 / math.pi * float(middle))


def _areas(labels: NDArray[Any]) -> NDArray[np.intp]:
    if not labels.size:
        return np.zeros(0, np.intp)
    values, counts = np.unique(labels, return_counts=True)
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    is_object = values != 0
    is_whole = is_object & ~np.isin(values, rim)
    areas: NDArray[np.intp] = counts[is_whole if is_whole.sum() >= FEWEST_WHOLE else is_object]
    return areas
