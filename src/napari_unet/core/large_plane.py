"""The steps by which a plane that is larger than memory is segmented, each for a part of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.blocks import (
    Areas,
    BlockArray,
    BlockObjects,
    Slices,
    areas_of_block,
    label_block,
)
from napari_unet.core.draw_labels import Cut, draw_labels
from napari_unet.core.events import TileResult
from napari_unet.core.large_plan import LargePlan
from napari_unet.core.model_file import Model
from napari_unet.core.object_score import outline_of_upper
from napari_unet.core.plane_run import PlaneRun
from napari_unet.core.rescaled_plane import RescaledPlane
from napari_unet.core.smallest import at_border
from napari_unet.core.tiling import Tile

__all__ = ["DrawnObjects", "LargeArrays", "LargePlane", "Renumbering"]


@dataclass(frozen=True, slots=True, eq=False)
class LargeArrays:
    """Where the steps write: arrays of which parts are read and written.

    Attributes
    ----------
    probability : uint8, pieces : int32
        On the model's grid.
    labels : int32
        On the image's grid.
    whole, drawn : int32, optional
        On the model's and on the image's grid; where the image is rescaled.
    coarser : sequence of int32
        Labels of every second row and column, and so on.
    """

    probability: BlockArray
    pieces: BlockArray
    labels: BlockArray
    whole: BlockArray | None = None
    drawn: BlockArray | None = None
    coarser: Sequence[BlockArray] = ()


@dataclass(frozen=True, slots=True, eq=False)
class DrawnObjects:
    """Which objects there are in a block of the image.

    Attributes
    ----------
    numbers, pixels : ndarray of int, shape (n,)
        Of the objects, and how many pixels of the block each has.
    cut_off : ndarray of bool, shape (n,)
        Whether they are at the border of the image there.
    """

    numbers: NDArray[np.int32]
    pixels: NDArray[np.int64]
    cut_off: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Renumbering:
    """A block, and what its numbers become; others become 0."""

    core: Slices
    old: NDArray[np.int32]
    new: NDArray[np.int32]

    def __call__(self, labels: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the labels of the block with new numbers."""
        table = np.zeros(1 + int(labels.max(initial=0)), np.int32)
        is_there = self.old < len(table)
        table[self.old[is_there]] = self.new[is_there]
        return table[labels]


class LargePlane:
    """A plane with its arrays: does each step for any of its parts.

    Steps take parts and yield each with what is to be known of it, as soon as it is written.

    Parameters
    ----------
    image_cyx : array-like, shape (C, Y, X)
        Lazy or not.
    model : Model
        One of objects.
    plan : LargePlan
        Of `plan_large`.
    arrays : LargeArrays
        Of the plan's shapes.
    device, precision : str
        See `napari_unet.core.device`.
    """

    def __init__(
        self,
        image_cyx: Any,
        model: Model,
        plan: LargePlan,
        arrays: LargeArrays,
        *,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self.plan, self.arrays = plan, arrays
        ranges = np.array(plan.ranges)
        if plan.is_rescaled:
            image_cyx = RescaledPlane(image_cyx, ranges, plan.scale)
            ranges = np.array([[0.0, 1.0]] * image_cyx.shape[0])
        self._image, self._model, self._ranges = image_cyx, model, ranges
        self._device, self._precision = device, precision
        self._run: PlaneRun | None = None

    def predict(self, tiles: Sequence[Tile]) -> Iterator[tuple[Tile, None]]:
        """While a tile is computed the next one is read and the one before is written."""
        if self._run is None:
            self._run = PlaneRun(
                self._image,
                self._model,
                ranges=self._ranges,
                device=self._device,
                precision=self._precision,
            )
        height, width = self.plan.tile
        places = {(tile.y // height, tile.x // width): tile for tile in tiles}
        left = {place: tile.height * tile.width for place, tile in places.items()}
        for result in _written(self._run.tiles(only=tiles), self.arrays.probability):
            place = result.y // height, result.x // width
            left[place] -= result.probability[0].size
            if not left[place]:  # where memory was short a tile comes in parts
                yield places[place], None

    def areas(self, cores: Sequence[Slices]) -> Iterator[tuple[Slices, Areas]]:
        """Areas of the objects that begin in each block."""
        for core in cores:
            yield core, areas_of_block(self.arrays.probability, core, self.plan.settings)

    def label(
        self, cores: Sequence[Slices], *, typical: tuple[float, float] | None
    ) -> Iterator[tuple[Slices, BlockObjects]]:
        """Objects of each block."""
        for core in cores:
            labels, objects = label_block(
                self.arrays.probability, core, self.plan.settings, typical
            )
            self.arrays.pieces[core] = labels
            yield core, objects

    def number(self, blocks: Sequence[Renumbering]) -> Iterator[tuple[Renumbering, None]]:
        """Objects of the model's grid, numbered for all of it."""
        yield from _renumbered(self.arrays.pieces, _there(self.arrays.whole), blocks)

    def draw(
        self, cores: Sequence[Slices], *, is_upper: NDArray[np.bool_]
    ) -> Iterator[tuple[Slices, DrawnObjects]]:
        """Objects on the image's grid."""
        settings, whole = self.plan.settings, _there(self.arrays.whole)
        upper = None if settings.score is None else outline_of_upper(settings.threshold)
        cut = Cut(settings.threshold, upper, is_upper)
        for core in cores:
            seen = self.plan.grids.seen(core)
            labels = np.asarray(whole[seen])
            probability = np.asarray(self.arrays.probability[seen])
            drawn = draw_labels(labels, probability, cut, self.plan.grids, core)
            _there(self.arrays.drawn)[core] = drawn
            numbers, sizes = np.unique(drawn[drawn > 0], return_counts=True)
            cut_off = np.isin(numbers, at_border(drawn, core, self.plan.grids.image))
            yield core, DrawnObjects(numbers, sizes, cut_off)

    def finish(self, blocks: Sequence[Renumbering]) -> Iterator[tuple[Renumbering, None]]:
        """Labels as they are wanted."""
        source = self.arrays.drawn if self.plan.is_rescaled else self.arrays.pieces
        yield from _renumbered(_there(source), self.arrays.labels, blocks)

    def coarsen(self, cores: Sequence[Slices], *, level: int) -> Iterator[tuple[Slices, None]]:
        """Every second number of every second row of the level before: no number is made up."""
        coarser = self.arrays.coarser
        before = coarser[level - 1] if level else self.arrays.labels
        for core in cores:
            y, x = (slice(2 * part.start, 2 * part.stop) for part in core)
            coarser[level][core] = np.asarray(before[y, x])[::2, ::2]
            yield core, None


def _renumbered(
    source: BlockArray, out: BlockArray, blocks: Sequence[Renumbering]
) -> Iterator[tuple[Renumbering, None]]:
    for block in blocks:
        out[block.core] = block(np.asarray(source[block.core]))
        yield block, None


def _there(array: BlockArray | None) -> BlockArray:
    assert array is not None, "a rescaled plane needs its arrays"
    return array


def _written(tiles: Iterator[TileResult], out: BlockArray) -> Iterator[TileResult]:
    """Write the foreground of tiles, each while the next one is computed; yield what is written."""
    writing: tuple[Future[None], TileResult] | None = None
    with ThreadPoolExecutor(1, "napari-unet writer") as thread:
        for tile in tiles:
            if writing is not None:
                writing[0].result()  # never two of them in memory
                yield writing[1]
            writing = thread.submit(_write, tile, out), tile
        if writing is not None:
            writing[0].result()
            yield writing[1]


def _write(tile: TileResult, out: BlockArray) -> None:
    foreground = 1 - np.asarray(tile.probability[0], np.float32)
    height, width = foreground.shape
    place = np.s_[tile.y : tile.y + height, tile.x : tile.x + width]
    out[place] = np.rint(foreground * np.float32(255)).astype(np.uint8)
