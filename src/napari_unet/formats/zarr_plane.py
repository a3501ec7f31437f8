"""One plane of an array of zarr, read and written in parts; other processes open it by its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any  # labels and probabilities are of several kinds

import numpy as np
from numpy.typing import NDArray

from napari_unet.formats.ome_zarr import import_zarr, open_array

__all__ = ["ZarrPlane", "create_plane"]

Index = tuple[slice, slice]


class ZarrPlane:
    """A plane (Y, X) of an array with more axes.

    Parameters
    ----------
    path : Path
        Of the array, which is opened when it is first used.
    axes : str
        One letter a dimension, Y and X among them.
    place : tuple of int
        Where the plane lies along the others.
    """

    def __init__(self, path: Path, axes: str = "YX", place: tuple[int, ...] = ()) -> None:
        self.path, self._axes, self._place = path.resolve(), axes, place
        self._array: Any = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        sizes = dict(zip(self._axes, self._opened().shape, strict=True))
        return int(sizes["Y"]), int(sizes["X"])

    def __getitem__(self, part: Index) -> NDArray[Any]:
        """Read a part, (Y, X)."""
        pixels = np.asarray(self._opened()[self._at(part)])
        return pixels.T if self._is_turned else pixels

    def __setitem__(self, part: Index, pixels: NDArray[Any]) -> None:
        """Write a part, (Y, X)."""
        self._opened()[self._at(part)] = pixels.T if self._is_turned else pixels

    def __getstate__(self) -> dict[str, Any]:
        """Another process opens the array by itself."""
        return self.__dict__ | {"_array": None}

    @property
    def _is_turned(self) -> bool:
        return self._axes.index("Y") > self._axes.index("X")

    def _opened(self) -> Any:
        if self._array is None:
            self._array = open_array(self.path, "r+")
        return self._array

    def _at(self, part: Index) -> tuple[slice | int, ...]:
        along = dict(zip("YX", part, strict=True))
        rest = iter(self._place)
        return tuple(along[axis] if axis in along else next(rest) for axis in self._axes)


def create_plane(
    path: Path, shape: tuple[int, int], chunks: tuple[int, int], dtype: str
) -> ZarrPlane:
    """Make an array of zeros; parts that begin and end with chunks may be written at once."""
    small = tuple(min(pair) for pair in zip(shape, chunks, strict=True))
    import_zarr().create_array(str(path), shape=shape, chunks=small, dtype=dtype, fill_value=0)
    return ZarrPlane(path)
