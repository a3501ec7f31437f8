"""How large the tiles of an image are: few and large ones waste least, memory is the limit.

Halos are computed and thrown away, so one tile is best, and where it does not fit, few nearly
square ones. One tile at a time, a batch of one: two small ones side by side would take the memory
of one larger tile, which wastes less on halos.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from napari_unet.core.architectures import ARCHITECTURES
from napari_unet.core.config import ModelConfig
from napari_unet.core.tiling import (
    NetworkGeometry,
    Tile,
    input_lengths,
    network_geometries,
    network_geometry,
    plan_tiles,
)

__all__ = [
    "LEAST_TILE",
    "Memory",
    "Plan",
    "input_pixels",
    "most_voxels",
    "pixel_bytes",
    "plan_image",
]

# A tile takes at most this part of what is free, as others want memory too, and on a computer
# whose memory is shared by everything never more bytes than this (chosen).
PART = {"cpu": 0.25, "mps": 0.25, "cuda": 0.5}
MOST_BYTES = 2_000_000_000

# Where somebody watches, a tile takes well under a second: floating-point operations of one on a
# processor and on a graphics card (chosen). Wide networks still get tiles that are not mostly halo.
QUICK_FLOPS = {"cpu": 1e11, "mps": 1e12, "cuda": 2e13}
QUICK_TILE = 384  # pixels a side
QUICK_VOLUME = 64  # voxels a side

LEAST_TILE = 128  # pixels a side; smaller ones are almost all halo (chosen)


@dataclass(frozen=True, slots=True)
class Memory:
    """What a device has: its type as torch names it, and how many bytes are free on it."""

    device: str
    free: int

    @property
    def allowed(self) -> int:
        """How many bytes the features of a tile may take."""
        part = int(self.free * PART[self.device])
        return part if self.device == "cuda" else min(part, MOST_BYTES)


@dataclass(frozen=True, slots=True)
class Plan:
    """Tiles of an image and why they are what they are.

    Attributes
    ----------
    tiles : tuple of Tile
        They cover the image, the nearest to its centre first.
    sentence : str
        What was chosen and why, for the log.
    """

    tiles: tuple[Tile, ...]
    sentence: str


def plan_image(
    config: ModelConfig,
    shape_yx: tuple[int, int],
    memory: Memory,
    precision: str,
    *,
    quick: bool = False,
    side: int | None = None,
) -> Plan:
    """Choose the tiles of an image plane.

    Parameters
    ----------
    config : ModelConfig
        Of the network.
    shape_yx : tuple of int
        Rows and columns of the plane.
    memory : Memory
        Of the device that computes.
    precision : str
        "float32", "bfloat16" or "float16".
    quick : bool
        Somebody watches: no tile is to take long.
    side : int, optional
        Largest side of a tile, as the caller wishes; then nothing is chosen.
    """
    geometry = network_geometry(config)
    each = pixel_bytes(config, precision, memory.device)
    most, why = memory.allowed // each, "as memory allows"
    if quick and _quick_pixels(config, memory.device) < most:
        most, why = _quick_pixels(config, memory.device), "so that the first is soon there"
    if side is not None:
        tiles, why = plan_tiles(shape_yx, geometry, side), "as was asked for"
    else:
        tiles = plan_tiles(shape_yx, geometry, _fewest(shape_yx, geometry, most))
    if len(tiles) == 1 and side is None:
        why = "it fits"
    largest = max(input_pixels(tile) for tile in tiles)
    height, width = max(tile.height for tile in tiles), max(tile.width for tile in tiles)
    count = f"{len(tiles)} tile{'s' * (len(tiles) > 1)}"
    return Plan(
        tuple(tiles),
        f"{shape_yx[0]} x {shape_yx[1]} pixels in {count} of {height} x {width}, {why}; halo "
        f"{geometry.halo}, {precision} on {memory.device}, {_gb(largest * each)} of the "
        f"{_gb(memory.allowed)} that a tile may take ({_gb(memory.free)} free)",
    )


def most_voxels(config: ModelConfig, memory: Memory, precision: str, *, quick: bool = False) -> int:
    """Return how many voxels a tile of a volume may read; parameters as above."""
    most = memory.allowed // pixel_bytes(config, precision, memory.device)
    if not quick:
        return most
    least = math.prod(QUICK_VOLUME + 2 * along.halo for along in network_geometries(config))
    flops = ARCHITECTURES[config.architecture].pixel_flops * config.width**2
    return min(most, max(least, int(QUICK_FLOPS[memory.device] / flops)))


def pixel_bytes(config: ModelConfig, precision: str, device: str) -> int:
    """Return how many bytes a pixel of a tile takes while the network runs on a device."""
    network = ARCHITECTURES[config.architecture]
    each = network.pixel_bytes
    if device == "cpu" and network.piece_bytes is not None:
        each = network.piece_bytes
    each *= config.width
    return each if precision == "float32" else each // 2


def input_pixels(tile: Tile) -> int:
    """Count the pixels that a tile reads."""
    return (tile.y_span[1] - tile.y_span[0]) * (tile.x_span[1] - tile.x_span[0])


def _quick_pixels(config: ModelConfig, device: str) -> int:
    flops = ARCHITECTURES[config.architecture].pixel_flops * config.width**2
    least = (QUICK_TILE + 2 * network_geometry(config).halo) ** 2
    return max(least, int(QUICK_FLOPS[device] / flops))


def _fewest(shape_yx: tuple[int, int], geometry: NetworkGeometry, most: int) -> tuple[int, int]:
    """Return the sides of tiles that read the fewest pixels in all, each at most `most`."""
    height, width = shape_yx
    best, cost = (LEAST_TILE, LEAST_TILE), 0
    for rows in range(1, -(-height // geometry.grid) + 1):
        side = _on_grid(-(-height // rows), geometry)
        down = input_lengths(height, geometry, side)
        across, wide = _along(width, geometry, most // max(down))
        if not across:
            continue
        if not cost or sum(down) * sum(across) < cost:
            best, cost = (side, wide), sum(down) * sum(across)
        if len(across) == 1 or rows > 4 * len(across):  # more rows would only be more halo
            break
    return best


def _along(size: int, geometry: NetworkGeometry, most: int) -> tuple[list[int], int]:
    """Return what tiles along an axis read, at most so many pixels each, and their side."""
    for side in (_on_grid(size, geometry), most - 2 * geometry.halo):
        if side < geometry.grid:
            continue
        lengths = input_lengths(size, geometry, side)
        if max(lengths) <= most:
            return lengths, side
    return [], 0


def _on_grid(side: int, geometry: NetworkGeometry) -> int:
    return -(-side // geometry.grid) * geometry.grid


def _gb(number: int) -> str:
    return f"{number / 1e9:.2g} GB"
