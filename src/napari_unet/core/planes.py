"""What the axes of an image mean, and its planes, or volumes, one by one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError

__all__ = ["check_image", "cut_plane", "name_axes", "name_depth", "plane_places"]


def name_axes(shape: tuple[int, ...], axes: str | None, channels: int) -> str:
    """Return one capital letter a dimension; None is guessed as `segment` says.

    Raises
    ------
    InputError
        If the axes do not fit the shape, or cannot be guessed.
    """
    if axes is None:
        axes = _guessed(shape, channels)
    axes = axes.upper()
    fits = len(axes) == len(shape) and axes.isalpha()
    if not fits or len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes):
        raise InputError(
            f"Axes {axes!r} do not fit an image of shape {shape}; name each dimension once, "
            "Y and X among them."
        )
    return axes


def check_image(shape: tuple[int, ...], dtype: np.dtype[Any], axes: str, channels: int) -> None:
    """Refuse what a model of that many channels cannot segment, before any work.

    Raises
    ------
    InputError
        If the image has no pixels, is not of real numbers, or has other channels.
    """
    if 0 in shape:
        raise InputError(f"The image of shape {shape} has no pixels; open another.")
    if dtype.kind not in "buif":
        raise InputError(f"Images of {dtype} cannot be used; convert to real numbers.")
    count = shape[axes.index("C")] if "C" in axes else 1
    if count != channels:
        raise InputError(
            f"The model takes {channels} channel{'s' * (channels != 1)} and the image has "
            f"{count}; choose which to use."
        )


def name_depth(axes: str) -> str:
    """Return the axes of an image in which one must be Z, for a model of volumes.

    Where none is named so, and there is one axis beside C, Y and X of which a file does not say
    what it is, that is meant.

    Raises
    ------
    InputError
        If there is no such axis.
    """
    unnamed = [axis for axis in axes if axis not in "CYXT"]
    if "Z" in axes or len(unnamed) != 1:
        if "Z" not in axes:
            raise InputError(
                f"The model is of volumes, and of the axes {axes} none is Z; name the axes, such "
                "as ZYX, or choose a model of planes."
            )
        return axes
    return axes.replace(unnamed[0], "Z")


def plane_places(shape: tuple[int, ...], axes: str, space: str = "YX") -> Iterator[tuple[int, ...]]:
    """Go through the indices of the axes other than C, Y and X, the last one fastest.

    With "ZYX" as `space` not through Z: then the places are those of volumes.
    """
    kept = f"C{space}"
    ranges = [range(size) for size, axis in zip(shape, axes, strict=True) if axis not in kept]
    return itertools.product(*ranges)


def cut_plane(image: Any, axes: str, place: tuple[int, ...], space: str = "YX") -> NDArray[Any]:
    """Read the plane at an index of `plane_places` as (C, Y, X), or the volume as (C, Z, Y, X)."""
    rest, kept = iter(place), f"C{space}"
    index: tuple[slice | int, ...] = tuple(
        slice(None) if axis in kept else next(rest) for axis in axes
    )
    plane = np.asarray(image[index])
    left = [axis for axis in axes if axis in kept]
    if "C" not in left:
        plane, left = plane[None], ["C", *left]
    return plane.transpose([left.index(axis) for axis in kept])


def _guessed(shape: tuple[int, ...], channels: int) -> str:
    if len(shape) == 2:
        return "YX"
    if len(shape) not in (3, 4):
        raise InputError(f"An image of shape {shape} needs its axes named, as in 'TZCYX'.")
    stack = "Z" * (len(shape) - 3)
    first, last = shape[-3], shape[-1]
    if (channels > 1 and first == channels) or (stack and first == channels):
        return stack + "CYX"
    if last == channels or (last in (3, 4) and min(shape[-3:-1]) > 4):
        return stack + "YXC"
    if channels > 1:
        return stack + "CYX"
    return "TZYX"[-len(shape) :]
