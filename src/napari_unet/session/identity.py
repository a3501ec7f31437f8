"""Knowing an image again, whatever it is called by then."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass

import numpy as np

from napari_unet.session.image import Image

__all__ = ["ImageIdentity", "identify"]

CROP = 64  # pixels wide is what is compared, at nine points of three planes (chosen)


@dataclass(frozen=True, slots=True)
class ImageIdentity:
    """What tells an image from others.

    Attributes
    ----------
    name, path : str
        What it was called and where it lay; it may have another name now. No path stands for an
        image that was not read from a file.
    shape : tuple of int
        Of the whole image.
    dtype : str
        As numpy writes it.
    checksum : str
        Of some of its pixels; empty if they could not be read.
    """

    name: str
    path: str
    shape: tuple[int, ...]
    dtype: str
    checksum: str

    def is_same(self, other: ImageIdentity) -> bool:
        """Whether both are the same image, by what is in it."""
        mine, its = ((one.shape, one.dtype, one.checksum) for one in (self, other))
        return mine == its and (bool(self.checksum) or self.name == other.name)


def identify(image: Image) -> ImageIdentity:
    """Read some pixels of an image, and return its identity; slow where it is lazy."""
    shape, dtype = tuple(map(int, image.data.shape)), np.dtype(image.data.dtype).str
    return ImageIdentity(image.name, image.path, shape, dtype, _checksum(image))


def _checksum(image: Image) -> str:
    """Pixels are read crop by crop: of a large lazy image a few chunks are enough."""
    digest = hashlib.blake2b(digest_size=12)
    points = [
        _starts(size, axis in "YX") for size, axis in zip(image.data.shape, image.axes, strict=True)
    ]
    sides = [
        [slice(start, min(size, start + CROP)) for start in starts] if axis in "YX" else None
        for size, starts, axis in zip(image.data.shape, points, image.axes, strict=True)
    ]
    try:
        for step in range(3):
            places = [
                side if side is not None else [starts[step]]
                for side, starts in zip(sides, points, strict=True)
            ]
            for index in itertools.product(*places):
                digest.update(np.ascontiguousarray(image.data[index]).tobytes())
    except Exception:  # a lazy array may fail with anything; who reads it next says so
        return ""
    return digest.hexdigest()


def _starts(size: int, is_side: bool) -> list[int]:
    """First, middle and last plane of a stack, or where crops of a side begin."""
    last = max(0, size - CROP) if is_side else max(0, size - 1)
    return [0, last // 2, last]
