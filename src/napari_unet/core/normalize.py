"""Percentile normalisation: the same one for a whole image and all its tiles."""

from __future__ import annotations

from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError

__all__ = ["apply_range", "intensity_range", "normalize"]

# Percentiles are taken from at most this many pixels of a channel (a regular grid of them):
# at 2 million the error of a percentile is far below the noise of any camera.
MAX_PIXELS = 2_000_000

# Normalised values are cut off here, so that one hot pixel cannot drown a neighbourhood.
LOWEST, HIGHEST = -1.0, 5.0


def normalize(
    image_cyx: NDArray[Any], percentiles: tuple[float, float] = (1.0, 99.8)
) -> NDArray[np.float32]:
    """Map two percentiles of each channel to 0 and 1.

    Parameters
    ----------
    image_cyx : ndarray, shape (C, [Z,] Y, X)
        Any real dtype. NaN and infinite values become the lowest finite value.
    percentiles : tuple of float
        Lower and upper percentile.

    Returns
    -------
    ndarray of float32, shape (C, [Z,] Y, X)
        A constant channel becomes 0 everywhere.

    Raises
    ------
    InputError
        If the image is complex or not numeric.
    """
    return apply_range(image_cyx, intensity_range(image_cyx, percentiles))


def intensity_range(
    image_cyx: NDArray[Any], percentiles: tuple[float, float] = (1.0, 99.8)
) -> NDArray[np.float64]:
    """Return the two percentiles of each channel, shape (C, 2); see `normalize`."""
    kind = image_cyx.dtype.kind
    if kind not in "buif":
        raise InputError(f"Images of {image_cyx.dtype} cannot be used; convert to real numbers.")
    axes = len(image_cyx.shape) - 1
    step = max(1, int(np.ceil((np.prod(image_cyx.shape[1:]) / MAX_PIXELS) ** (1 / axes))))
    ranges = np.zeros((image_cyx.shape[0], 2))
    some = image_cyx[(slice(None), *axes * [slice(None, None, step)])]
    for channel, out in zip(some, ranges, strict=True):
        values = np.asarray(channel, np.float64).ravel()
        values = values[np.isfinite(values)]
        if values.size:
            out[:] = np.percentile(values, percentiles)
            if out[0] == out[1]:  # sparse signal: more than the upper percentile is flat
                out[:] = values.min(), values.max()
    return ranges


def apply_range(image_cyx: NDArray[Any], ranges: NDArray[np.float64]) -> NDArray[np.float32]:
    """Map the ranges of `intensity_range` to 0 and 1; works on any part of the image."""
    if image_cyx.dtype.kind == "u" and image_cyx.dtype.itemsize <= 2:
        values = np.arange(np.iinfo(image_cyx.dtype).max + 1, dtype=image_cyx.dtype)
        if image_cyx.size > len(ranges) * len(values):  # a table of all values is shorter
            table = _mapped(np.broadcast_to(values, (len(ranges), 1, len(values))), ranges)
            mapped = [of[0].take(channel) for of, channel in zip(table, image_cyx, strict=True)]
            return np.stack(mapped)
    return _mapped(image_cyx, ranges)


def _mapped(image_cyx: NDArray[Any], ranges: NDArray[np.float64]) -> NDArray[np.float32]:
    low, high = ranges.T.reshape(2, -1, *[1] * (image_cyx.ndim - 1))
    # Halves: the difference of two float64 may be too large for one.
    half = 0.5 * high - 0.5 * low
    scale = np.divide(1.0, half, out=np.zeros_like(half), where=half > np.finfo(np.float64).tiny)
    if image_cyx.dtype.kind == "f":
        finite = np.isfinite(image_cyx)
        image_cyx = np.where(finite, image_cyx, low)
    with np.errstate(over="ignore"):  # a hot pixel: infinite until it is cut off
        out = (0.5 * image_cyx - 0.5 * low) * scale
    clipped: NDArray[np.float64] = np.clip(out, LOWEST, HIGHEST, out=out)
    return clipped.astype(np.float32)
