"""A plane at the model's object size, of which each part is computed when it is read."""

from __future__ import annotations

from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.normalize import apply_range
from napari_unet.core.resample import Resampled
from napari_unet.core.rescale import scaled_shape, smoothed, smoothing_reach

__all__ = ["RescaledPlane"]


class RescaledPlane:
    """What `to_model_size` makes of a plane, to the last bit, without ever holding all of it.

    Parameters
    ----------
    image_cyx : array-like, shape (C, Y, X)
        Lazy or not.
    ranges : ndarray, shape (C, 2)
        Of the whole plane, see `intensity_range`.
    scale : float
        By how much it is enlarged.
    """

    def __init__(self, image_cyx: Any, ranges: NDArray[np.float64], scale: float) -> None:
        self._image, self._ranges, self._scale = image_cyx, ranges, scale
        self._axes = tuple(
            Resampled(old, new)
            for old, new in zip(
                image_cyx.shape[1:], scaled_shape(image_cyx.shape[1:], scale), strict=True
            )
        )
        self.shape = (image_cyx.shape[0], *(axis.new for axis in self._axes))
        self.ndim, self.dtype = 3, np.dtype(np.float32)

    def __getitem__(self, index: tuple[slice, slice, slice]) -> NDArray[np.float32]:
        """Return a part; slices without steps."""
        spans = [
            part.indices(size)[:2] for part, size in zip(index[1:], self.shape[1:], strict=True)
        ]
        reach = smoothing_reach(self._scale)
        read, wanted = [], []
        for axis, span in zip(self._axes, spans, strict=True):
            first, end = axis.span(*span)
            start, stop = max(0, first - reach), min(axis.old, end + reach)
            read.append(slice(start, stop))
            wanted.append((first - start, first, end - first))
        pixels = apply_range(np.asarray(self._image[:, read[0], read[1]]), self._ranges)[index[0]]
        pixels = smoothed(pixels, self._scale)
        for number, (axis, span) in enumerate(zip(self._axes, spans, strict=True)):
            offset, first, length = wanted[number]
            pixels = pixels.take(np.arange(offset, offset + length), number + 1)
            pixels = axis.linear(pixels, number + 1, *span, first)
        return pixels
