"""The pixel weights of Ronneberger 2015 that make a network learn the gaps between cells.

    w = wc + w0 exp(-(d1 + d2)^2 / (2 sigma^2))                       (equation 2 of the paper)

``d1`` and ``d2`` are the distances to the nearest and the second nearest cell, 0 inside one.
Each cell's distances are taken only around it: farther out the exponential has died away. So
the cost grows with the area of the image and not with area times cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_unet.core.errors import InputError
from napari_unet.core.label_index import IntArray, index_labels, whole_numbers

__all__ = ["touching_cell_weights"]

FloatArray = npt.NDArray[np.float32]

REACH = 3.8  # in sigma: what is left out is below w0 exp(-3.8^2 / 2), 0.0073 for w0 = 10


def touching_cell_weights(
    labels: IntArray,
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    class_weights: tuple[float, float] | None = None,
    spacing: Sequence[float] | None = None,
) -> FloatArray:
    """Weight every pixel by how close it lies to two cells.

    Parameters
    ----------
    labels
        Integer labels of 2 or 3 axes, 0 is background. With fewer than two cells the
        exponential is 0.
    w0, sigma
        Height and width of the added weight, 10 and 5 in the paper; sigma in pixels, or in
        units of `spacing`.
    class_weights
        Weight wc of background and of cells; by default 1 everywhere.
    spacing
        Size of a pixel along each axis; by default 1.

    Returns
    -------
    numpy.ndarray
        float32 weights of the same shape, within 0.001 `w0` of the equation.
    """
    labels = whole_numbers(labels)
    if sigma <= 0:
        raise InputError(f"Sigma is {sigma}; it must be above 0.")
    steps = (1.0,) * labels.ndim if spacing is None else tuple(spacing)
    if len(steps) != labels.ndim or min(steps) <= 0:
        raise InputError(f"Spacing {steps} must have {labels.ndim} values above 0.")
    nearest, second = _two_nearest(labels, steps, REACH * sigma)
    weights = _wave(nearest, second, w0, sigma)
    if class_weights is None:
        weights += 1
    else:
        background, cell = np.asarray(class_weights, np.float32)
        weights += np.where(labels == 0, background, cell)
    return weights


def _two_nearest(
    labels: IntArray, steps: tuple[float, ...], reach: float
) -> tuple[FloatArray, FloatArray]:
    """Squared distances to the two nearest cells; infinite where that is out of reach."""
    index, names = index_labels(labels)
    nearest = np.full(index.shape, np.inf, np.float32)
    second = nearest.copy()
    sizes = np.bincount(index.ravel(), minlength=len(names))
    margins = [math.ceil(reach / step) for step in steps]
    for cell, box in enumerate(ndimage.find_objects(index), 1):
        if box is None:
            continue
        around = tuple(
            slice(max(side.start - margin, 0), side.stop + margin)
            for side, margin in zip(box, margins, strict=True)
        )
        crop = index[around]
        if np.count_nonzero(crop) == sizes[cell]:  # no other cell within reach
            continue
        squared = _squared_distance(crop != cell, steps)
        first, next_one = nearest[around], second[around]
        np.minimum(next_one, np.maximum(first, squared), out=next_one)
        np.minimum(first, squared, out=first)
    return nearest, second


def _squared_distance(outside: npt.NDArray[np.bool_], steps: tuple[float, ...]) -> FloatArray:
    """Squared distance to the nearest pixel that is not outside."""
    sampling = None if all(step == 1 for step in steps) else steps
    # where that pixel lies is enough: scipy would take roots in float64
    there: npt.NDArray[Any] = ndimage.distance_transform_edt(
        outside, sampling=sampling, return_distances=False, return_indices=True
    )
    squared = np.zeros(outside.shape, np.float32)
    for axis, (places, step) in enumerate(zip(there, steps, strict=True)):
        here = np.arange(outside.shape[axis], dtype=np.int32)
        away = places - here.reshape([-1 if i == axis else 1 for i in range(outside.ndim)])
        away *= away
        squared += away if step == 1 else away * np.float32(step**2)
    return squared


def _wave(nearest: FloatArray, second: FloatArray, w0: float, sigma: float) -> FloatArray:
    """The exponential of the equation, in place of the two squared distances."""
    total = np.sqrt(nearest, out=nearest)
    total += np.sqrt(second, out=second)
    total *= total
    total *= np.float32(-1 / (2 * sigma**2))
    np.exp(total, out=total)
    total *= np.float32(w0)
    return total
