"""Overlap-tile geometry: where tiles lie, what they must read, and how the border is mirrored.

A network needs a halo of input around each tile that it answers for, and tiles must start on
the grid of its deepest pooling. Then tiled and untiled results are equal to rounding, and
nothing is blended (the overlap-tile strategy of Ronneberger et al. 2015, section 2)::

        lo                                              hi
        |<- border ->|<------- image ------->|<- border ->|    mirrored outside the image
        |            |      +--------+       |            |
        |        +---|------|  tile  |-------|---+        |    output: the tile
        |        |<- halo ->|        |<- halo ->|         |    input: tile and halo,
        |        +---|------|        |-------|---+        |    cut at lo and hi

A same-padded network is given a mirrored border of fixed width, beyond which its own zero
padding stands at the same place tiled or not. A network of valid convolutions reads the whole
halo as mirrored image, as in the paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.architectures import ARCHITECTURES, unet_reach
from napari_unet.core.config import ModelConfig

__all__ = [
    "NetworkGeometry",
    "Tile",
    "axis_spans",
    "border_of",
    "halve_tile",
    "input_lengths",
    "mirrored",
    "nearest_first",
    "network_geometries",
    "network_geometry",
    "plan_sample",
    "plan_tiles",
    "read_mirrored",
]

# Up to how many pixels an axis is taken whole as a sample of an image, and how many each of three
# parts has of a longer one (chosen: nine parts are about as many pixels as the largest whole).
SAMPLE_WHOLE, SAMPLE_PART = 640, 208


@dataclass(frozen=True, slots=True)
class NetworkGeometry:
    """What a network needs to see around what it answers for, in pixels.

    Attributes
    ----------
    grid : int
        Tiles start at its multiples; it is the size of a pixel of the deepest level, or of a
        window of such pixels.
    halo : int
        Input needed on each side of a tile.
    valid : bool
        True for valid convolutions: the output is smaller than the input by two halos.
    window : int
        Pixels of the deepest level along the grid.
    """

    grid: int
    halo: int
    valid: bool
    window: int = 1

    @property
    def border(self) -> int:
        """Width of the mirrored border of a same-padded network: two deepest pixels (chosen)."""
        return _ceil(2 * self.grid // self.window, self.grid)

    def input_span(self, start: int, stop: int, size: int) -> tuple[int, int]:
        """Return the first and last + 1 input pixel for the output from start to stop."""
        if self.valid:
            # Legal outputs of Ronneberger's network: grid * n - 4 (grid - 1).
            shrink = 4 * (self.grid - 1)
            legal = _ceil(stop - start + shrink, self.grid) - shrink
            return start - self.halo, start + legal + self.halo
        first = max(-self.border, start - self.halo)
        last = min(_ceil(size, self.grid) + self.border, _ceil(stop, self.grid) + self.halo)
        return first, last

    def patch_side(self, about: int) -> int:
        """Return the legal input side nearest above `about`, for training patches."""
        if self.valid:
            start, stop = self.input_span(0, max(1, about - 2 * self.halo), about)
            return stop - start
        return _ceil(about, self.grid)

    def crop_start(self, start: int, input_start: int) -> int:
        """Return where in the network's output the pixel `start` of the image lies."""
        return start - input_start - (self.halo if self.valid else 0)


def network_geometry(config: ModelConfig) -> NetworkGeometry:
    """Return the geometry of the network that a config describes, along Y and X."""
    network = ARCHITECTURES[config.architecture]
    grid, reach = network.window * 2**config.depth, network.reach(config.depth)
    halo = reach if network.is_valid else _ceil(reach, grid)
    return NetworkGeometry(grid, halo, network.is_valid, network.window)


def network_geometries(config: ModelConfig) -> tuple[NetworkGeometry, ...]:
    """Return the geometry along each spatial axis; along Z it is that of fewer poolings."""
    if not config.is_volumetric:
        return 2 * (network_geometry(config),)
    geometries = []
    for strides in zip(*config.strides, strict=True):
        grid = math.prod(strides)
        geometries.append(NetworkGeometry(grid, _ceil(unet_reach(strides), grid), valid=False))
    return tuple(geometries)


def border_of(config: ModelConfig) -> list[int]:
    """Return by how much an image is continued along each axis; [] for valid convolutions."""
    geometries = network_geometries(config)
    return [] if geometries[0].valid else [geometry.border for geometry in geometries]


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: what it answers for in the image, and what it reads.

    ``y:y+height, x:x+width`` is the output; ``y_span`` and ``x_span`` (start, stop) are the
    input and may reach outside the image; ``y_crop, x_crop`` is where the output begins in
    what the network returns.
    """

    y: int
    x: int
    height: int
    width: int
    y_span: tuple[int, int]
    x_span: tuple[int, int]
    y_crop: int
    x_crop: int


def plan_tiles(
    shape_yx: tuple[int, int],
    geometry: NetworkGeometry,
    max_tile: int | tuple[int, int],
    center: tuple[float, float] | None = None,
) -> list[Tile]:
    """Cover an image with tiles of about equal size, nearest to `center` first.

    Parameters
    ----------
    shape_yx : tuple of int
        Shape of the image plane in pixels.
    geometry : NetworkGeometry
        What the network needs.
    max_tile : int or tuple of int
        Largest side of a tile's output, or largest height and width, in pixels; rounded to the
        network's grid.
    center : tuple of float, optional
        Row and column where the user is looking; None is the middle of the image.
    """
    most = (max_tile, max_tile) if isinstance(max_tile, int) else max_tile
    rows = axis_spans(shape_yx[0], geometry, most[0])
    columns = axis_spans(shape_yx[1], geometry, most[1])
    tiles = [_tile(row, column, shape_yx, geometry) for row in rows for column in columns]
    return nearest_first(tiles, center or (shape_yx[0] / 2, shape_yx[1] / 2))


def nearest_first(tiles: list[Tile], center: tuple[float, float]) -> list[Tile]:
    """Sort tiles by how far their middle is from a point of the image."""

    def squared_distance(tile: Tile) -> float:
        y, x = tile.y + tile.height / 2 - center[0], tile.x + tile.width / 2 - center[1]
        return y * y + x * x

    return sorted(tiles, key=squared_distance)


def halve_tile(tile: Tile, shape_yx: tuple[int, int], geometry: NetworkGeometry) -> list[Tile]:
    """Cut a tile in two across its longer side; one of a single pixel of the grid stays."""
    spans = [(tile.y, tile.y + tile.height), (tile.x, tile.x + tile.width)]
    axis = int(tile.width > tile.height)
    start, stop = spans[axis]
    middle = start + _ceil(-(-(stop - start) // 2), geometry.grid)
    if middle >= stop:
        return [tile]
    halves = []
    for part in ((start, middle), (middle, stop)):
        spans[axis] = part
        halves.append(_tile(spans[0], spans[1], shape_yx, geometry))
    return halves


def input_lengths(size: int, geometry: NetworkGeometry, max_tile: int) -> list[int]:
    """Return how many pixels the tiles along an axis of the image read."""
    spans = (geometry.input_span(*out, size) for out in axis_spans(size, geometry, max_tile))
    return [stop - start for start, stop in spans]


def axis_spans(size: int, geometry: NetworkGeometry, max_tile: int) -> list[tuple[int, int]]:
    """Part an axis among tiles of at most so many pixels; return where each begins and ends."""
    most = max(geometry.grid, max_tile // geometry.grid * geometry.grid)
    count = -(-size // most)
    step = _ceil(-(-size // count), geometry.grid)
    return [(start, min(start + step, size)) for start in range(0, size, step)]


def _tile(
    row: tuple[int, int],
    column: tuple[int, int],
    shape_yx: tuple[int, int],
    geometry: NetworkGeometry,
) -> Tile:
    y_span = geometry.input_span(*row, shape_yx[0])
    x_span = geometry.input_span(*column, shape_yx[1])
    return Tile(
        y=row[0],
        x=column[0],
        height=row[1] - row[0],
        width=column[1] - column[0],
        y_span=y_span,
        x_span=x_span,
        y_crop=geometry.crop_start(row[0], y_span[0]),
        x_crop=geometry.crop_start(column[0], x_span[0]),
    )


def plan_sample(shape_yx: tuple[int, int], geometry: NetworkGeometry) -> list[Tile]:
    """Choose what stands for an image where its statistics are measured, whatever its tiles are.

    An axis that is not too long is taken whole, just as if the image were read untiled; of a
    longer one three parts of the same length are taken, spread from its begin to its end.
    """
    rows, columns = (_sample_spans(size, geometry) for size in shape_yx)
    return [Tile(0, 0, *shape_yx, row, column, 0, 0) for row in rows for column in columns]


def _sample_spans(size: int, geometry: NetworkGeometry) -> list[tuple[int, int]]:
    first, last = geometry.input_span(0, size, size)
    side = geometry.patch_side(SAMPLE_PART)
    if last - first <= max(SAMPLE_WHOLE, 3 * side):
        return [(first, last)]
    steps = (last - first - side) // geometry.grid
    starts = [first + geometry.grid * (steps * part // 2) for part in range(3)]
    return [(start, start + side) for start in starts]


def read_mirrored(image_cyx: NDArray[Any], tile: Tile) -> NDArray[Any]:
    """Return what a tile reads, (C, h, w): the image continued by mirroring at its borders."""
    rows = mirrored(*tile.y_span, image_cyx.shape[1])
    columns = mirrored(*tile.x_span, image_cyx.shape[2])
    inside = np.asarray(
        image_cyx[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    )
    return inside[:, (rows - rows.min())[:, None], columns - columns.min()]


def mirrored(start: int, stop: int, size: int) -> NDArray[np.intp]:
    """Return indices into an axis, reflected at both ends without repeating the edge pixel."""
    index = np.arange(start, stop)
    if size == 1:
        return np.zeros_like(index)
    period = 2 * (size - 1)
    index = np.abs(index % period)
    return np.where(index < size, index, period - index)


def _ceil(value: int, grid: int) -> int:
    return -(-value // grid) * grid
