"""How a plane that is larger than memory is cut: tiles to compute, blocks to make objects of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # images come in any real dtype

import numpy as np

from napari_unet.core.blocks import BlockSettings, Slices, blocks_of
from napari_unet.core.config import ModelConfig
from napari_unet.core.draw_labels import Grids
from napari_unet.core.errors import InputError
from napari_unet.core.instances import check_settings
from napari_unet.core.plan import LEAST_TILE, pixel_bytes
from napari_unet.core.rescale import object_scale, scaled_shape, usual_min_size
from napari_unet.core.tiling import NetworkGeometry, Tile, network_geometry, plan_tiles

__all__ = ["LargePlan", "plan_large"]

# A tile takes at most this many bytes while it is computed (chosen: with what the objects of a
# block take it stays below 3 GB), and is no larger than a chunk of labels.
TILE_BYTES = 1_000_000_000
MOST_TILE = 1024

# Bytes of a pixel of the image while it is normalised, smoothed and rescaled, of two tiles: the
# one after is read ahead (tests/benchmarks/large.py).
SOURCE_BYTES = 40


@dataclass(frozen=True, slots=True)
class LargePlan:
    """What is decided once for all of a plane.

    Attributes
    ----------
    grids : Grids
        Rows and columns as the model sees the plane, and of the image.
    scale : float
        By how much the image is enlarged for the model.
    ranges : tuple
        See `intensity_range`.
    geometry : NetworkGeometry
        Of the network.
    tile : tuple of int
        Rows and columns of a tile on the model's grid; those at the border may have fewer.
    settings : BlockSettings
        Of the objects, in pixels of the model's grid.
    min_size : int
        The smallest object, in pixels of the image.
    """

    grids: Grids
    scale: float
    ranges: tuple[tuple[float, float], ...]
    geometry: NetworkGeometry
    tile: tuple[int, int]
    settings: BlockSettings
    min_size: int

    @property
    def is_rescaled(self) -> bool:
        """Whether the model sees other pixels than the image's."""
        return self.grids.model != self.grids.image

    @property
    def tiles(self) -> list[Tile]:
        """All tiles: no two share a chunk of a tile's shape."""
        return plan_tiles(self.grids.model, self.geometry, self.tile)

    @property
    def model_blocks(self) -> list[Slices]:
        """Blocks of the model's grid."""
        return list(blocks_of(self.grids.model, self.settings.block))

    @property
    def image_blocks(self) -> list[Slices]:
        """Blocks of the image."""
        return list(blocks_of(self.grids.image, self.settings.block))


def plan_large(
    image_cyx: Any,
    config: ModelConfig,
    *,
    diameter: float | None = None,
    threshold: float | None = None,
    min_size: int | None = None,
    split: float | None = None,
    block: int | None = None,
) -> LargePlan:
    """Plan how a plane that is larger than memory is segmented.

    Parameters
    ----------
    image_cyx : array-like, shape (C, Y, X)
        Lazy; a regular grid of its pixels is read for its ranges.
    config : ModelConfig
        Of a model of objects.
    diameter : float, optional
        Of the objects; None takes the image as it is.
    threshold, min_size, split : optional
        See `segment`.
    block : int, optional
        Side of a block, see `BlockSettings`.

    Raises
    ------
    InputError
        If the model tells kinds of pixels rather than objects, or a setting is out of its bounds.
    """
    if config.semantic:
        raise InputError("This model tells kinds of pixels; choose one that finds objects.")
    shape = int(image_cyx.shape[1]), int(image_cyx.shape[2])
    scale = object_scale(config, diameter)
    grids = Grids(scaled_shape(shape, scale), shape)
    if min_size is None:
        min_size = usual_min_size(config, diameter)
    pixels = float(np.prod(grids.model)) / float(np.prod(shape))
    chosen = {"threshold": threshold, "split": split, "block": block}
    others = {name: one for name, one in chosen.items() if one is not None}
    settings = BlockSettings.of(config, min_size=int(min_size * pixels), **others)
    check_settings(settings.threshold, settings.split)
    ranges = config.range_of(image_cyx)
    geometry = network_geometry(config)
    tiles = plan_tiles(grids.model, geometry, _tile_side(config, scale))
    tile = max(one.height for one in tiles), max(one.width for one in tiles)
    pairs = tuple((float(low), float(high)) for low, high in ranges)
    return LargePlan(grids, scale, pairs, geometry, tile, settings, min_size)


def _tile_side(config: ModelConfig, scale: float) -> int:
    """Return the largest side of a tile that takes no more than is allowed of this memory.

    It is what a processor takes; a graphics card has a memory of its own.
    """
    each = pixel_bytes(config, "float32", "cpu")
    each += round(SOURCE_BYTES * config.in_channels / min(scale, 1.0) ** 2)
    halo, side = network_geometry(config).halo, MOST_TILE
    while side > LEAST_TILE and (side + 2 * halo) ** 2 * each > TILE_BYTES:
        side //= 2
    return side
