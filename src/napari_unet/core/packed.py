"""Planes of labels as few bytes: runs of equal pixels, squeezed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any  # labels may be any integer dtype

import numpy as np
from numpy.typing import NDArray

__all__ = ["Packed", "pack", "runs_of", "unpack"]

# The fastest of zlib: on runs the next two are 1.3 and 1.7 times slower for a tenth fewer bytes
# (measured on 5,000 objects in 4096 x 4096 pixels).
LEVEL = 1
LENGTH = np.dtype("<u4")


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A part of a plane.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns.
    dtype : str
        Of the pixels, as numpy writes it with its byte order, such as ``"<i4"``.
    data : bytes
        Lengths of the runs in reading order (uint32), then their values, each with all first
        bytes before all second ones, under zlib.
    """

    shape: tuple[int, int]
    dtype: str
    data: bytes


def pack(plane: NDArray[Any]) -> Packed:
    """Pack an array of whole numbers, shape (Y, X), without any loss."""
    ends, values = runs_of(plane)
    dtype = plane.dtype.newbyteorder("<")
    lengths = np.diff(ends, prepend=0).astype(LENGTH)
    values = values.astype(dtype)
    height, width = plane.shape
    return Packed(
        (height, width), dtype.str, zlib.compress(_by_byte(lengths) + _by_byte(values), LEVEL)
    )


def runs_of(plane: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return where each run of equal pixels ends, in reading order, and its value."""
    flat = np.ascontiguousarray(plane).ravel()
    inside = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    ends = np.append(inside, flat.size) if flat.size else inside
    return ends, flat[ends - 1]


def unpack(packed: Packed) -> NDArray[Any]:
    """Return what was packed.

    Raises
    ------
    ValueError
        If the bytes are not those of such an array; they may come from a damaged file.
    """
    height, width = packed.shape
    try:
        dtype = np.dtype(packed.dtype)
    except TypeError as error:
        raise ValueError(f"no dtype: {packed.dtype}") from error
    if dtype.kind not in "iub" or min(height, width) < 0:
        raise ValueError(f"no labels: {packed.dtype}, {packed.shape}")
    a_run = LENGTH.itemsize + dtype.itemsize
    most = height * width * a_run  # a damaged file does not fill the memory
    try:
        data = zlib.decompressobj().decompress(packed.data, most) if most else b""
    except zlib.error as error:
        raise ValueError("the bytes are damaged") from error
    count = len(data) // a_run
    if count * a_run != len(data):
        raise ValueError("the bytes are cut off")
    lengths = _from_bytes(data[: count * LENGTH.itemsize], LENGTH)
    if int(lengths.sum(dtype=np.uint64)) != height * width:
        raise ValueError("the bytes are those of another shape")
    values = _from_bytes(data[count * LENGTH.itemsize :], dtype)
    return np.repeat(values, lengths).reshape(height, width)


def _by_byte(array: NDArray[Any]) -> bytes:
    """Neighbouring values differ in their low bytes alone: apart from those all is zeros."""
    return array.view(np.uint8).reshape(-1, array.dtype.itemsize).T.tobytes()


def _from_bytes(data: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    apart = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, -1)
    return np.ascontiguousarray(apart.T).view(dtype).ravel()
