"""How far two outlines lie apart: boundary F1, Hausdorff and mean surface distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_unet.core.label_index import IntArray

__all__ = ["SurfaceDistances", "boundary_f1", "surface_distances"]

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SurfaceDistances:
    """Distances between two surfaces: 0 where both are empty, infinite where one is."""

    hausdorff: float
    hausdorff_95: float
    mean: float


def surface_distances(
    truth: BoolArray, prediction: BoolArray, spacing: Sequence[float] | None = None
) -> SurfaceDistances:
    """Measure the surfaces of two masks against each other, both ways.

    The Hausdorff distance is the largest distance from a surface pixel of one to the nearest
    surface pixel of the other; of its 95 % the larger of the two 95th percentiles counts, so that
    one stray pixel does not decide; the mean runs over all surface pixels of both. A surface pixel
    is one that touches background by a side, or the image's edge.
    """
    surface, other = _surface(truth), _surface(prediction)
    if not surface.any() and not other.any():
        return SurfaceDistances(0.0, 0.0, 0.0)
    if not surface.any() or not other.any():
        return SurfaceDistances(np.inf, np.inf, np.inf)
    ways = [_distances(surface, other, spacing), _distances(other, surface, spacing)]
    distances = np.concatenate(ways)
    most = max(float(np.percentile(way, 95)) for way in ways)
    return SurfaceDistances(float(distances.max()), most, float(distances.mean()))


def boundary_f1(
    truth: IntArray,
    prediction: IntArray,
    tolerance: float = 2.0,
    spacing: Sequence[float] | None = None,
) -> float:
    """F1 of the boundary pixels that have one of the other within the tolerance.

    Boundaries between touching objects count, the image's edge does not. 1 where neither has
    a boundary, 0 where one has.
    """
    lines, others = _boundaries(truth), _boundaries(prediction)
    if not lines.any() and not others.any():
        return 1.0
    if not lines.any() or not others.any():
        return 0.0
    recall = float((_distances(lines, others, spacing) <= tolerance).mean())
    precision = float((_distances(others, lines, spacing) <= tolerance).mean())
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def _surface(mask: BoolArray) -> BoolArray:
    surface: BoolArray = mask & ~ndimage.binary_erosion(mask)
    return surface


def _boundaries(labels: IntArray) -> BoolArray:
    """Cell pixels with another label at one of their sides."""
    edge = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        ahead, behind = np.moveaxis(labels, axis, 0)[1:], np.moveaxis(labels, axis, 0)[:-1]
        differs = ahead != behind
        marked = np.moveaxis(edge, axis, 0)
        marked[1:] |= differs
        marked[:-1] |= differs
    edge &= labels > 0
    return edge


def _distances(
    points: BoolArray, targets: BoolArray, spacing: Sequence[float] | None
) -> npt.NDArray[np.float64]:
    """From each point to the nearest target."""
    away: npt.NDArray[np.float64] = ndimage.distance_transform_edt(~targets, sampling=spacing)
    return away[points]
