"""The planes of an OME-Zarr with the channels that were chosen, read where they are sliced."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.commands.inputs import Reading
from napari_unet.formats.ome_zarr import open_ome_zarr

__all__ = ["Picked", "PlaneOf"]


class Picked:
    """A lazy image of which only the chosen channels are seen; read plane by plane."""

    def __init__(self, data: Any, axes: str, reading: Reading, path: Path) -> None:
        self._data, self._axes, self._reading, self._path = data, axes, reading, path
        sizes = dict(zip(axes, data.shape, strict=True))
        corner = np.empty([sizes[axis] if axis == "C" else 1 for axis in axes])
        found, self.axes = reading.picked(corner, axes, path)
        seen = zip(self.axes, found.shape, strict=True)
        self.shape = tuple(count if axis == "C" else sizes[axis] for axis, count in seen)
        self.dtype = data.dtype

    def __getitem__(self, index: tuple[slice | int, ...]) -> NDArray[Any]:
        """Return the channels of a plane, at an index as `cut_plane` makes it."""
        at: dict[str, slice | int] = dict(zip(self.axes, index, strict=True))
        whole = [at.get(axis, slice(None)) for axis in self._axes]
        left = "".join(
            axis for axis, one in zip(self._axes, whole, strict=True) if isinstance(one, slice)
        )
        return self._reading.picked(np.asarray(self._data[tuple(whole)]), left, self._path)[0]


@dataclass(frozen=True)
class PlaneOf:
    """Opens one plane of an OME-Zarr, in any process.

    Attributes
    ----------
    path : Path
        Of the image.
    reading : Reading
        Which axes and channels it has.
    place : tuple of int
        Of the plane, see `plane_places`.
    """

    path: Path
    reading: Reading
    place: tuple[int, ...]

    def __call__(self) -> LazyPlane:
        """Return the plane; nothing but the description is read yet."""
        image = open_ome_zarr(self.path)
        axes = self.reading.named(image.data.shape, image.axes, self.path)
        return LazyPlane(Picked(image.data, axes, self.reading, self.path), self.place)


class LazyPlane:
    """A plane as (C, Y, X), of which only what is sliced is read."""

    def __init__(self, picked: Picked, place: tuple[int, ...]) -> None:
        self._picked, self._place = picked, place
        sizes = dict(zip(picked.axes, picked.shape, strict=True))
        self.shape = sizes.get("C", 1), sizes["Y"], sizes["X"]
        self.ndim, self.dtype = 3, picked.dtype

    def __getitem__(self, index: tuple[slice, slice, slice]) -> NDArray[Any]:
        """Read a part."""
        along = {"C": slice(None), "Y": index[1], "X": index[2]}
        rest = iter(self._place)
        axes = self._picked.axes
        found = self._picked[tuple(along[a] if a in along else next(rest) for a in axes)]
        left = [axis for axis in axes if axis in along]
        if "C" not in left:
            found, left = found[None], ["C", *left]
        return found.transpose([left.index(axis) for axis in "CYX"])[index[0]]
