"""The pixel weights of Ronneberger 2015 that make a network learn the gaps between cells.

    w = wc + w0 exp(-(d1 + d2)^2 / (2 sigma^2))                       (equation 2 of the paper)

``d1`` and ``d2`` are the distances to the nearest and the second nearest cell, 0 inside one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["touching_cell_weights"]

REACH = 4.2  # in sigma: what is cut off is below w0 exp(-8.8) = 0.0015 for w0 = 10


def touching_cell_weights(
    labels: npt.NDArray[Any],
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    class_weights: tuple[float, float] | None = None,
    spacing: Sequence[float] | None = None,
) -> npt.NDArray[np.float32]:
    """Weight every pixel by how close it lies to two cells.

    Parameters
    ----------
    labels
        Integer labels of 2 or 3 axes, 0 is background.
    w0, sigma
        Height and width of the added weight; sigma in pixels, or in units of `spacing`.
    class_weights
        Weight of background and of cells; by default 1 everywhere.
    spacing
        Size of a pixel along each axis; by default 1.

    Returns
    -------
    numpy.ndarray
        float32 weights of the same shape.
    """
    labels = np.asarray(labels)
    steps = np.ones(labels.ndim) if spacing is None else np.asarray(spacing, float)
    reach = REACH * sigma
    first = np.full(labels.shape, np.inf, np.float32)
    second = first.copy()
    margin = np.ceil(reach / steps).astype(int)
    values = labels if labels.dtype.kind in "iu" and labels.itemsize <= 4 else _compact(labels)
    for value, box in enumerate(ndimage.find_objects(values.astype(np.int32)), 1):
        if box is None:
            continue
        grown = tuple(
            slice(max(s.start - m, 0), s.stop + m) for s, m in zip(box, margin, strict=True)
        )
        distance = ndimage.distance_transform_edt(values[grown] != value, sampling=steps)
        distance = distance.astype(np.float32)
        near, next_near = first[grown], second[grown]
        np.minimum(next_near, np.maximum(near, distance), out=next_near)
        np.minimum(near, distance, out=near)
    weights = w0 * np.exp(-((first + second) ** 2) / np.float32(2 * sigma**2))
    weights += (
        1.0 if class_weights is None else np.where(labels > 0, class_weights[1], class_weights[0])
    )
    return weights.astype(np.float32)


def _compact(labels: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    values, inverse = np.unique(labels, return_inverse=True)
    order = np.cumsum(values != 0)
    order[values == 0] = 0
    return order[inverse.reshape(labels.shape)].astype(np.int32)
