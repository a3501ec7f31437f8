"""Tiles of volumes: the geometry of `napari_unet.core.tiling`, along three axes.

Halos are dear in a volume: of a tile of 64 voxels a side with a halo of 48, fifteen of sixteen
voxels that are read are halo. So those tiles are taken that read the fewest voxels in all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any  # volumes come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.tiling import NetworkGeometry, axis_spans, mirrored

__all__ = ["VolumeTile", "cut_volume", "plan_volume", "read_volume_tile"]

# Tiles are no smaller than this along any axis, and an axis is parted into no more than so many:
# smaller ones would be almost all halo (chosen).
LEAST_SIDE, MOST_PARTS = 16, 24


@dataclass(frozen=True, slots=True)
class VolumeTile:
    """One tile, along each axis: what it answers for, what it reads, and where the answer begins.

    ``start`` and ``stop`` are voxels of the volume; ``spans`` (start, stop) are the input and may
    reach outside the volume; ``crop`` is where the output begins in what the network returns.
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    crop: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what it answers for."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def place(self) -> tuple[slice, ...]:
        """Where that lies in the volume."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    @property
    def voxels_read(self) -> int:
        """How many voxels it reads."""
        return math.prod(b - a for a, b in self.spans)


def plan_volume(
    shape: Sequence[int], geometries: Sequence[NetworkGeometry], most_read: int
) -> list[VolumeTile]:
    """Cover a volume with tiles that read the fewest voxels in all, nearest to its middle first.

    Parameters
    ----------
    shape : sequence of int
        Of the volume, Z, Y and X.
    geometries : sequence of NetworkGeometry
        What the network needs along each axis.
    most_read : int
        Voxels that a tile may read. Where not even the smallest tile reads so few, those are taken.
    """
    along = [_ways(size, geometry) for size, geometry in zip(shape, geometries, strict=True)]
    ways = list(itertools.product(*along))
    fitting = [way for way in ways if math.prod(axis.longest for axis in way) <= most_read]
    if fitting:
        best = min(fitting, key=lambda way: math.prod(axis.total for axis in way))
    else:
        best = min(ways, key=lambda way: math.prod(axis.longest for axis in way))
    return _tiles([axis.outs for axis in best], shape, geometries)


def cut_volume(
    shape: Sequence[int], geometries: Sequence[NetworkGeometry], side: int
) -> list[VolumeTile]:
    """Cover a volume with tiles of at most so many voxels a side, rounded to the grid."""
    along = zip(shape, geometries, strict=True)
    return _tiles([axis_spans(size, one, side) for size, one in along], shape, geometries)


def read_volume_tile(image_czyx: NDArray[Any], tile: VolumeTile) -> NDArray[Any]:
    """Return what a tile reads, (C, d, h, w): the volume continued by mirroring at its borders."""
    indices = [
        mirrored(*span, size) for span, size in zip(tile.spans, image_czyx.shape[1:], strict=True)
    ]
    inside = (slice(None), *(slice(i.min(), i.max() + 1) for i in indices))
    part = np.asarray(image_czyx[inside])
    return part[(slice(None), *np.ix_(*(i - i.min() for i in indices)))]


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to part an axis: the outputs, and what is read for the longest and for all."""

    outs: tuple[tuple[int, int], ...]
    longest: int
    total: int


def _ways(size: int, geometry: NetworkGeometry) -> list[_Way]:
    ways = []
    most = max(1, min(MOST_PARTS, size // max(LEAST_SIDE, geometry.grid)))
    for count in range(1, most + 1):
        outs = axis_spans(size, geometry, -(-size // count) + geometry.grid - 1)
        spans = [geometry.input_span(*out, size) for out in outs]
        lengths = [stop - start for start, stop in spans]
        ways.append(_Way(tuple(outs), max(lengths), sum(lengths)))
    return ways


def _tiles(
    outs: Sequence[Sequence[tuple[int, int]]],
    shape: Sequence[int],
    geometries: Sequence[NetworkGeometry],
) -> list[VolumeTile]:
    tiles = [_tile(out, shape, geometries) for out in itertools.product(*outs)]
    return sorted(tiles, key=lambda tile: _from_middle(tile, shape))


def _tile(
    out: tuple[tuple[int, int], ...], shape: Sequence[int], geometries: Sequence[NetworkGeometry]
) -> VolumeTile:
    start, stop = (tuple(side[end] for side in out) for end in (0, 1))
    spans = tuple(
        geometry.input_span(*side, size)
        for side, size, geometry in zip(out, shape, geometries, strict=True)
    )
    crop = tuple(
        geometry.crop_start(at, span[0])
        for at, span, geometry in zip(start, spans, geometries, strict=True)
    )
    return VolumeTile(start, stop, spans, crop)


def _from_middle(tile: VolumeTile, shape: Sequence[int]) -> float:
    sides = zip(tile.start, tile.stop, shape, strict=True)
    return sum((a + b - size) ** 2 for a, b, size in sides)
