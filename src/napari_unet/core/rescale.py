"""Bring an image to the size at which a model knows its objects, and labels along with it."""

from __future__ import annotations

import math
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.normalize import apply_range
from napari_unet.core.resample import Resampled

__all__ = [
    "model_scale",
    "object_scale",
    "rescale_image",
    "resize_image",
    "resize_labels",
    "scaled_shape",
    "smoothed",
    "smoothing_reach",
    "to_model_size",
    "usable_diameter",
    "usual_area",
    "usual_min_size",
]

# Pixels of a plane that is enlarged to the model's object size (chosen: 1 GB a channel).
MAX_RESCALED = 2**28

# An image that is to change by less than this is left as it is: resampling costs sharpness.
LEAST = 1.1


def model_scale(config: ModelConfig, diameter: float | None, shape_yx: tuple[int, ...]) -> float:
    """Return by how much to enlarge an image, so that its objects have the model's size.

    Parameters
    ----------
    config : ModelConfig
        Names the size of objects that the model knows.
    diameter : float or None
        Of the objects in the image, in pixels; None leaves the image as it is.
    shape_yx : tuple of int
        Rows and columns of the image.

    Raises
    ------
    InputError
        If the diameter is out of its bounds, the model does not know the size of its objects,
        or the image would become too large.
    """
    scale = object_scale(config, diameter)
    if scale > 1 and scale**2 * float(np.prod(shape_yx)) > MAX_RESCALED:
        raise InputError(
            f"With a diameter of {diameter} px the image would be enlarged {scale:.1f} times, "
            "which is too large; give a larger diameter or leave it out."
        )
    return scale


def object_scale(config: ModelConfig, diameter: float | None) -> float:
    """Return the same of an image that is rescaled in parts, and may become as large as it likes.

    Raises
    ------
    InputError
        If the diameter is out of its bounds, or the model does not know the size of its objects.
    """
    if diameter is None:
        return 1.0
    if not 1 <= diameter <= 10_000:
        raise InputError(f"The diameter is {diameter} px; it must be from 1 to 10,000.")
    if config.diameter is None:
        raise InputError("The model does not know the size of its objects; leave diameter out.")
    scale = config.diameter / diameter
    return scale if not 1 / LEAST < scale < LEAST else 1.0


def usable_diameter(
    config: ModelConfig, diameter: float | None, shape_yx: tuple[int, ...]
) -> float | None:
    """Return a measured diameter, or the smallest that the size of the image allows."""
    if diameter is None or config.diameter is None:
        return None
    # a thousandth more: rounding must not make it too small
    least = 1.001 * config.diameter * math.sqrt(float(np.prod(shape_yx)) / MAX_RESCALED)
    return max(diameter, min(least, config.diameter))


def to_model_size(
    image_cyx: NDArray[Any],
    config: ModelConfig,
    diameter: float | None,
    ranges: NDArray[np.float64] | None = None,
) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
    """Rescale an image (C, Y, X) to the model's object size.

    It is normalised before, with the ranges of the image as it is (see `intensity_range`), and
    returned with the ranges that are left to apply. An image that keeps its size is returned as
    it came.
    """
    scale = model_scale(config, diameter, image_cyx.shape[1:])
    if scale == 1:
        return image_cyx, ranges
    if ranges is None:
        ranges = config.range_of(image_cyx)
    scaled = rescale_image(apply_range(image_cyx, ranges), scale)
    return scaled, np.array([[0.0, 1.0]] * len(image_cyx))


def scaled_shape(shape_yx: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Return rows and columns of an image after it is rescaled; at least one of each."""
    y, x = (max(1, round(size * scale)) for size in shape_yx)
    return y, x


def usual_min_size(config: ModelConfig, diameter: float | None) -> int:
    """Return the model's smallest object in pixels of an image with objects of that diameter."""
    return max(1, round(config.min_size * usual_area(config, diameter)))


def usual_area(config: ModelConfig, diameter: float | None) -> float:
    """Return how many pixels of an image one of the model's is, see `usual_min_size`."""
    if diameter is None or config.diameter is None:
        return 1.0
    return (diameter / config.diameter) ** 2


def rescale_image(image_cyx: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Enlarge or shrink an image (C, Y, X) bilinearly; shrunk ones are smoothed before."""
    shape = scaled_shape(image_cyx.shape[1:], scale)
    return resize_image(smoothed(image_cyx, scale), shape)


def smoothed(image_cyx: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Return an image without what it could not show when it is rescaled: that would alias."""
    if scale >= 1:
        return image_cyx
    sigma = 0.5 * (1 / scale - 1)
    return ndimage.gaussian_filter(  # type: ignore[no-any-return]
        image_cyx, (0.0, sigma, sigma), radius=smoothing_reach(scale)
    )


def smoothing_reach(scale: float) -> int:
    """Return how many pixels around one it depends on when an image is rescaled: four sigma."""
    return int(4 * 0.5 * (1 / scale - 1) + 0.5) if scale < 1 else 0


def resize_image(image_cyx: NDArray[np.float32], shape_yx: tuple[int, ...]) -> NDArray[np.float32]:
    """Bilinear, with pixel centres kept where they are."""
    for axis, new in ((1, shape_yx[0]), (2, shape_yx[1])):
        image_cyx = Resampled(image_cyx.shape[axis], new).linear(image_cyx, axis, 0, new)
    return image_cyx


def resize_labels(labels: NDArray[np.int32], shape_yx: tuple[int, ...]) -> NDArray[np.int32]:
    """Each pixel takes the label that its centre lies in; shape (Y, X)."""
    rows, columns = (
        Resampled(old, new).nearest(0, new) for new, old in zip(shape_yx, labels.shape, strict=True)
    )
    return labels[np.ix_(rows, columns)]
