"""An image as the session sees it: an array that may be lazy, and what its axes mean."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any  # numpy, dask, zarr: whatever can be sliced and has shape and dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.core.neighbours import read_with_neighbours, through_axis

__all__ = ["Image", "Place"]

Place = tuple[int, ...]
"""Where a plane lies in a stack: one index for each axis that is not C, Y or X."""


@dataclass(frozen=True, eq=False)
class Image:
    """An open image.

    Attributes
    ----------
    name : str
        What the user calls it.
    data : array-like
        Any real dtype; read one plane at a time.
    axes : str
        One letter a dimension: Y, X, at most one C, any others are gone through one by one.
    channels : tuple of int
        Which of the channels to give to the network, in this order; empty for their mean.
    pixel_size : tuple of float and str, or None
        How wide a pixel is and in which unit, such as ``(0.5, "µm")``; None if that is unknown.
    path : str
        Of the file it was read from; empty if that is unknown.
    """

    name: str
    data: Any
    axes: str
    channels: tuple[int, ...] = (0,)
    pixel_size: tuple[float, str] | None = None
    path: str = ""

    def __post_init__(self) -> None:
        shape, counts = tuple(self.data.shape), [self.axes.count(axis) for axis in "YXC"]
        if len(self.axes) != len(shape) or counts[:2] != [1, 1] or counts[2] > 1:
            raise InputError(
                f"Axes {self.axes!r} do not fit shape {shape}: name each dimension, "
                "with one Y, one X and at most one C."
            )
        if "C" in self.axes and any(not 0 <= n < self.channel_count for n in self.channels):
            raise InputError(
                f"{self.name} has {self.channel_count} channels, counted from 0; "
                f"choose others than {', '.join(map(str, self.channels))}."
            )

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """The shape without channels, rows and columns."""
        return tuple(
            n for n, axis in zip(self.data.shape, self.axes, strict=True) if axis not in "CYX"
        )

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.data.shape[self.axes.index("Y")], self.data.shape[self.axes.index("X")]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its labels."""
        return (*self.stack_shape, *self.plane_shape)

    @property
    def channel_count(self) -> int:
        """How many channels there are to choose from."""
        return int(self.data.shape[self.axes.index("C")]) if "C" in self.axes else 1

    def places(self) -> Iterator[Place]:
        """Yield the place of each plane."""
        return itertools.product(*map(range, self.stack_shape))

    def read_volume(self, place: Place) -> NDArray[Any]:
        """Return one volume as (C, Z, Y, X): Z is the last axis that is not C, Y or X.

        Parameters
        ----------
        place : tuple of int
            One index for each axis of the stack but Z.

        Raises
        ------
        InputError
            If the values cannot be read.
        """
        planes = range(self.stack_shape[-1])
        return np.stack([self.read_plane((*place, z)) for z in planes], axis=1)

    def read_seen(self, place: Place, slices: int) -> NDArray[Any]:
        """Return one plane as (C * slices, Y, X), with its neighbours as a model sees them.

        They are neighbours along Z, or the last axis that is not C, Y or X.

        Raises
        ------
        InputError
            If the values cannot be read, or neighbours of a single plane are wanted.
        """
        if slices == 1:
            return self.read_plane(place)
        stack = [axis for axis in self.axes if axis not in "CYX"]
        axis = stack.index(through_axis(self.axes, self.name))
        return read_with_neighbours(self.read_plane, place, axis, self.stack_shape[axis], slices)

    def read_plane(self, place: Place) -> NDArray[Any]:
        """Return one plane as (C, Y, X) with the chosen channels; slow where it is lazy.

        Raises
        ------
        InputError
            If the values cannot be read.
        """
        rest = iter(place)
        index = tuple(slice(None) if axis in "CYX" else next(rest) for axis in self.axes)
        try:
            plane = np.asarray(self.data[index])
        except Exception as error:  # a lazy array may fail with anything
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise InputError(
                f"{self.name} could not be read ({reason}); check its file and open it again."
            ) from error
        left = [axis for axis in self.axes if axis in "CYX"]
        if "C" not in left:
            return plane[None] if left == ["Y", "X"] else plane.T[None]
        plane = plane.transpose([left.index(axis) for axis in "CYX"])
        if not self.channels:
            return np.asarray(plane.mean(axis=0, keepdims=True, dtype=np.float32))
        return np.asarray(plane[list(self.channels)])
