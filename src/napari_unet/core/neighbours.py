"""Neighbouring slices, or frames, as channels: a network of planes that sees some depth (2.5D).

A model of 3 slices sees of each plane the one before it and the one after it too, and says what is
in the middle one. At the ends of a stack the outermost plane stands for those that are not there::

    stack      0  1  2  3            of plane 0:  0 0 1
    slices = 3                       of plane 2:  1 2 3

Channels stay together: all slices of the first one come first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.planes import cut_plane

__all__ = [
    "Reader",
    "channels_needed",
    "neighbours_of",
    "plane_reader",
    "read_with_neighbours",
    "reader_for",
    "through_axis",
]

Reader = Callable[[tuple[int, ...]], NDArray[Any]]
"""Returns the plane, or the volume, at a place of `plane_places`, channels first."""


def through_axis(axes: str, name: str = "The image") -> str:
    """Return the axis along which planes are neighbours: Z, else the last one that is not C, Y, X.

    Raises
    ------
    InputError
        If the image is a single plane.
    """
    stack = [axis for axis in axes if axis not in "CYX"]
    if not stack:
        raise InputError(
            f"{name} is a single plane, and the model looks at neighbouring slices too; give a "
            "stack or a movie, or choose a model of single planes."
        )
    return "Z" if "Z" in stack else stack[-1]


def neighbours_of(index: int, count: int, slices: int) -> list[int]:
    """Return the planes that are seen with one, itself in the middle, of a stack of so many."""
    reach = slices // 2
    return [min(max(index + step, 0), count - 1) for step in range(-reach, reach + 1)]


def read_with_neighbours(
    read: Callable[[tuple[int, ...]], NDArray[Any]],
    place: tuple[int, ...],
    axis: int,
    count: int,
    slices: int,
) -> NDArray[Any]:
    """Read a plane as a model of so many slices sees it.

    Parameters
    ----------
    read : callable
        Returns the plane at a place, (C, Y, X); asked once for each plane that is needed.
    place : tuple of int
        Indices of the plane in its stack.
    axis : int
        Which of these indices goes through the neighbours.
    count : int
        How many planes there are along it.
    slices : int
        How many are seen, an odd number.

    Returns
    -------
    ndarray, shape (C * slices, Y, X)
    """
    wanted = neighbours_of(place[axis], count, slices)
    planes = {at: read((*place[:axis], at, *place[axis + 1 :])) for at in dict.fromkeys(wanted)}
    stacked = np.stack([planes[at] for at in wanted], axis=1)
    return stacked.reshape(-1, *stacked.shape[2:])


def channels_needed(shape: tuple[int, ...], axes: str | None, config: ModelConfig) -> int:
    """Return how many channels an image must have for a model.

    One plane with its axes named may have its neighbours as channels already.
    """
    if config.slices > 1 and axes is not None and sorted(axes.upper()) == ["C", "X", "Y"]:
        fits = len(shape) == 3 and shape[axes.upper().index("C")] == config.in_channels
        return config.in_channels if fits else config.image_channels
    return config.image_channels


def plane_reader(
    image: Any, axes: str, *, slices: int = 1, space: str = "YX", name: str = "The image"
) -> Reader:
    """Return what reads each plane of an image, with its neighbours, or each volume.

    Parameters
    ----------
    image : array-like
        Any real dtype; of a lazy one what is needed is read.
    axes : str
        One letter a dimension.
    slices : int
        How many are seen with each plane, itself among them.
    space : str
        "YX", or "ZYX" for volumes.
    name : str
        What the image is called where it is refused.

    Raises
    ------
    InputError
        If neighbours are to be seen and the image is a single plane.
    """
    if slices == 1:
        return lambda place: cut_plane(image, axes, place, space)
    through = through_axis(axes, name)
    stack = [axis for axis in axes if axis not in "CYX"]
    index, count = stack.index(through), image.shape[axes.index(through)]
    return lambda place: read_with_neighbours(
        lambda at: cut_plane(image, axes, at), place, index, count, slices
    )


def reader_for(config: ModelConfig, image: Any, axes: str) -> Reader:
    """Return what reads each plane, or volume, of an image as a model sees it.

    Raises
    ------
    InputError
        As `plane_reader`.
    """
    is_whole = channels_needed(image.shape, axes, config) == config.in_channels
    slices = 1 if is_whole else config.slices
    return plane_reader(image, axes, slices=slices, space=config.spatial_axes)
