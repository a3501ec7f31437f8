"""One image on its way through a network, tile by tile; it goes on where memory is too short."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.core.events import TileResult
from napari_unet.core.inference import TileNetwork, explained, is_out_of_memory, ready_network
from napari_unet.core.model_file import Model
from napari_unet.core.models.network import Box
from napari_unet.core.models.norms import measures_images
from napari_unet.core.normalize import apply_range
from napari_unet.core.plan import LEAST_TILE, plan_image
from napari_unet.core.planes import check_image
from napari_unet.core.tile_queue import Center, TileQueue
from napari_unet.core.tile_reader import TileReader
from napari_unet.core.tiling import Tile, network_geometry, plan_sample, read_mirrored

__all__ = ["ON_THE_CPU", "SMALLER_TILES", "PlaneRun", "check_plane"]

_log = logging.getLogger(__name__)

SMALLER_TILES = "Memory was short, so smaller tiles are computed, which takes a little longer."
ON_THE_CPU = "The memory of the GPU was too short, so the processor computes, which takes longer."


def check_plane(image_cyx: NDArray[Any], model: Model) -> None:
    """Refuse what is not one plane with the channels of the model, (C, Y, X).

    Raises
    ------
    InputError
        With a sentence that says what is wrong.
    """
    model.must_be_of_planes("run on a plane")
    if image_cyx.ndim != 3:
        raise InputError(f"An image of shape {image_cyx.shape} is not one plane of channels, CYX.")
    check_image(image_cyx.shape, image_cyx.dtype, "CYX", model.config.in_channels)


class PlaneRun:
    """One image on its way through a network; it goes on where memory is too short.

    Parameters
    ----------
    image_cyx, model, ranges, device, precision, tell
        See `predict_tiles`.

    Raises
    ------
    InputError
        If the number of channels is not the model's.
    """

    def __init__(
        self,
        image_cyx: NDArray[Any],
        model: Model,
        *,
        ranges: NDArray[np.float64] | None = None,
        device: str = "auto",
        precision: str = "auto",
        tell: Callable[[str], None] | None = None,
    ) -> None:
        check_plane(image_cyx, model)
        if model.config.graph is not None:
            precision = "float32"  # as other programs run it
        self._image, self._model = image_cyx, model
        self._ranges = model.config.range_of(image_cyx) if ranges is None else ranges
        self._geometry = network_geometry(model.config)
        self._tell = tell or _log.warning
        self._network: TileNetwork | None = None
        self._told: set[str] = set()
        self._wished = device, precision

    def tiles(
        self,
        center: Center = None,
        *,
        side: int | None = None,
        quick: bool = False,
        only: Sequence[Tile] | None = None,
    ) -> Iterator[TileResult]:
        """Yield what the network says of each tile; see `predict_tiles`.

        With `only` these are computed, as `plan_tiles` has made them for the whole image, the
        nearest first; where memory was short, halves of them.
        """
        try:
            yield from self._tiles(center, side, quick, only)
        except (RuntimeError, MemoryError) as error:
            raise explained(error) from error

    def _tiles(
        self, center: Center, side: int | None, quick: bool, only: Sequence[Tile] | None
    ) -> Iterator[TileResult]:
        queue = TileQueue(
            self._planned(side, quick) if only is None else only,
            self._image.shape[1:],
            self._geometry,
            center,
        )
        with TileReader(self._image, self._ranges) as reader:
            while (tile := queue.next()) is not None:
                probability = self._computed(tile, reader, queue)
                if probability is None:
                    continue  # the tiles are smaller now, or another device computes
                queue.finish(tile)
                count = queue.done + len(queue)
                yield TileResult(tile.y, tile.x, probability, queue.done - 1, count)

    def _planned(self, side: int | None, quick: bool) -> tuple[Tile, ...]:
        network = self._ready()
        shape_yx: tuple[int, int] = self._image.shape[1:]
        plan = plan_image(
            self._model.config,
            shape_yx,
            network.memory,
            network.precision,
            quick=quick,
            side=side,
        )
        _log.info("%s", plan.sentence)
        return plan.tiles

    def _computed(
        self, tile: Tile, reader: TileReader, queue: TileQueue
    ) -> NDArray[np.float32] | None:
        """Return probabilities of a tile; None where memory was too short and a way was found."""
        try:
            image = reader.read(tile)
            reader.begin(queue.after())
            box = Box(tile.y_crop, tile.x_crop, tile.y_crop + tile.height, tile.x_crop + tile.width)
            return _run(self._ready(), image, box)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            shortage = error.with_traceback(None)  # its frames hold what takes the memory
        self._make_room(tile, queue, shortage)
        return None

    def _make_room(self, tile: Tile, queue: TileQueue, error: RuntimeError | MemoryError) -> None:
        """Halve the tiles; where they are small already, go over to the processor.

        Raises
        ------
        RuntimeError, MemoryError
            The one that was met, if nothing is left to try.
        """
        network = self._ready()
        network.give_back()
        if max(tile.height, tile.width) > LEAST_TILE and queue.halve():
            self._say(SMALLER_TILES)
        elif network.device.type != "cpu":
            self._network, self._wished = None, ("cpu", self._wished[1])
            self._say(ON_THE_CPU)
        else:
            raise error

    def _ready(self) -> TileNetwork:
        if self._network is None:
            needs_sample = measures_images(self._model.network)
            sample = self._sample() if needs_sample else None
            self._network = ready_network(self._model, *self._wished, sample)
        return self._network

    def _sample(self) -> NDArray[np.float32]:
        """Return parts of the image that stand for all of it, (B, C, h, w)."""
        parts = plan_sample(self._image.shape[1:], self._geometry)
        return np.stack(
            [apply_range(read_mirrored(self._image, part), self._ranges) for part in parts]
        )

    def _say(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._tell(sentence)


def _run(network: TileNetwork, image: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
    return network(image, box)
