"""How large objects are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray

__all__ = ["choose_min_size", "diameter_of", "median_diameter"]

# Of a hundred objects so many are smaller than the smallest that is kept (chosen: on predictions
# there are more crumbs of this size than objects).
SMALLEST_PERCENT = 2.0
LEAST_SIZE = 4

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


def choose_min_size(planes: Iterable[NDArray[Any]]) -> int | None:
    """Return the size in pixels that nearly all whole objects exceed; None if there are none."""
    areas = [_areas(np.asarray(labels)) for labels in planes]
    together = np.concatenate([np.zeros(0, np.intp), *areas])
    if not together.size:
        return None
    return max(LEAST_SIZE, round(float(np.percentile(together, SMALLEST_PERCENT))))


def _areas(labels: NDArray[Any]) -> NDArray[np.intp]:
    if not labels.size:
        return np.zeros(0, np.intp)
    values, counts = np.unique(labels, return_counts=True)
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    is_object = values != 0
    is_whole = is_object & ~np.isin(values, rim)
    areas: NDArray[np.intp] = counts[is_whole if is_whole.sum() >= FEWEST_WHOLE else is_object]
    return areas
