"""Run a model over an image plane, tile by tile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.average import RunningMean
from napari_unet.core.errors import InputError
from napari_unet.core.events import TileResult
from napari_unet.core.inference import TileNetwork, explained, is_out_of_memory, ready_network
from napari_unet.core.model_file import Model
from napari_unet.core.models.network import Box
from napari_unet.core.models.norms import measures_images
from napari_unet.core.normalize import apply_range
from napari_unet.core.plan import LEAST_TILE, plan_image
from napari_unet.core.planes import check_image
from napari_unet.core.rescale import to_model_size
from napari_unet.core.symmetries import Symmetry, symmetries
from napari_unet.core.tile_queue import Center, TileQueue
from napari_unet.core.tiling import Tile, network_geometry, plan_sample, read_mirrored

__all__ = [
    "PlaneRun",
    "predict_averaged",
    "predict_plane",
    "predict_tiles",
    "predict_with_deviation",
]

_log = logging.getLogger(__name__)

SMALLER_TILES = "Memory was short, so smaller tiles are computed, which takes a little longer."
ON_THE_CPU = "The memory of the GPU was too short, so the processor computes, which takes longer."


def predict_tiles(
    image_cyx: NDArray[Any],
    model: Model,
    *,
    center: Center = None,
    device: str = "auto",
    precision: str = "auto",
    tile: int | None = None,
    ranges: NDArray[np.float64] | None = None,
    quick: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Iterator[TileResult]:
    """Yield class probabilities of one image plane, tile by tile, nearest to `center` first.

    Parameters
    ----------
    image_cyx : ndarray, shape (C, Y, X)
        Any real dtype; it is normalised once, as a whole. Of a lazy one (dask, zarr) what a tile
        needs is read while the tile before is computed.
    model : Model
        Its ``in_channels`` must be C.
    center : tuple of float, or callable, optional
        Row and column where the user is looking; what is callable is asked before each tile, so
        that a view that has moved changes the order of what is left.
    device, precision : str
        See `napari_unet.core.device`.
    tile : int, optional
        Largest side of a tile, in pixels; None chooses, see `napari_unet.core.plan`.
    ranges : ndarray, shape (C, 2), optional
        See `intensity_range`; give it where `image_cyx` is a part of an image. A network with
        group or instance norm normalises its features by that part all the same.
    quick : bool
        Somebody watches: tiles are small enough that the first is soon there.
    tell : callable, optional
        Gets a sentence for the user where memory was short; without it that is logged as a
        warning.

    Yields
    ------
    TileResult
        With float32 probabilities. Where memory was short their ``count`` grows.

    Raises
    ------
    InputError
        If the number of channels is not the model's.
    OutOfMemoryError, ComputeError
        If torch fails.
    """
    run = PlaneRun(image_cyx, model, ranges=ranges, device=device, precision=precision, tell=tell)
    yield from run.tiles(center, side=tile, quick=quick)


def _check_plane(image_cyx: NDArray[Any], model: Model) -> None:
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
        _check_plane(image_cyx, model)
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
        with _Reader(self._image, self._ranges) as reader:
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
        self, tile: Tile, reader: _Reader, queue: TileQueue
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


class _Reader:
    """Reads what tiles need, normalised; of a lazy image the next one in a thread, ahead of time.

    A plain array is read when it is needed: there is nothing to wait for.
    """

    def __init__(self, image_cyx: NDArray[Any], ranges: NDArray[np.float64]) -> None:
        self._image, self._ranges = image_cyx, ranges
        self._thread: ThreadPoolExecutor | None = None
        self._ahead: tuple[Tile, Future[NDArray[np.float32]]] | None = None

    def __enter__(self) -> _Reader:
        if type(self._image) is not np.ndarray:
            self._thread = ThreadPoolExecutor(1, "napari-unet tiles")
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def begin(self, tile: Tile | None) -> None:
        """Begin to read what will probably be asked for next."""
        if self._thread is not None and tile is not None:
            self._ahead = (tile, self._thread.submit(self._read, tile))

    def read(self, tile: Tile) -> NDArray[np.float32]:
        """Return what a tile reads, (C, h, w)."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            if ahead[0] == tile:
                return ahead[1].result()
            if not ahead[1].cancel():
                ahead[1].exception()  # never two at a time: not every lazy array allows it
        return self._read(tile)

    def _read(self, tile: Tile) -> NDArray[np.float32]:
        return apply_range(read_mirrored(self._image, tile), self._ranges)


def predict_averaged(
    image_cyx: NDArray[Any],
    model: Model,
    average: str = "none",
    *,
    center: Center = None,
    ranges: NDArray[np.float64] | None = None,
    **options: Any,  # those of predict_tiles
) -> Iterator[TileResult]:
    """Yield what `predict_tiles` does, and then the same again, averaged with version by version.

    So there is something to be seen as soon as without averaging, and it gets better.

    Parameters
    ----------
    image_cyx, model, center, ranges
        See `predict_tiles`; a lazy image is read as a whole where it is averaged.
    average : {"none", "flips", "rotations"}
        See `napari_unet.core.symmetries`; four or eight times the work.
    **options
        The others of `predict_tiles`.

    Yields
    ------
    TileResult
        Its probability is the mean over the versions so far; where there are several, it has
        their deviation.
    """
    versions = symmetries(average)
    if len(versions) == 1:
        yield from predict_tiles(image_cyx, model, center=center, ranges=ranges, **options)
        return
    _check_plane(image_cyx, model)
    image_cyx = np.asarray(image_cyx)
    if ranges is None:
        ranges = model.config.range_of(image_cyx)
    shape_yx: tuple[int, int] = image_cyx.shape[1:]
    mean = RunningMean(len(model.config.classes), shape_yx)
    for number, symmetry in enumerate(versions, start=1):
        for tile in predict_tiles(
            symmetry.view(image_cyx),
            model,
            center=_seen_center(center, symmetry, shape_yx),
            ranges=ranges,
            **options,
        ):
            mean.add(number, symmetry, tile.y, tile.x, tile.probability)
            size: tuple[int, int] = tile.probability.shape[1:]
            y, x = symmetry.corner((tile.y, tile.x), size, shape_yx)
            height, width = size[::-1] if symmetry.is_transposed else size
            rows, columns = slice(y, y + height), slice(x, x + width)
            yield TileResult(
                y,
                x,
                mean.mean[:, rows, columns].copy(),
                (number - 1) * tile.count + tile.index,
                len(versions) * tile.count,
                mean.deviation(number, rows, columns),
            )


def _seen_center(center: Center, symmetry: Symmetry, shape_yx: tuple[int, int]) -> Center:
    """Where a version is looked at; asked anew before each tile."""

    def seen() -> tuple[float, float] | None:
        at = center() if callable(center) else center
        return None if at is None else symmetry.seen_at(at, shape_yx)

    return seen


def predict_plane(
    image_cyx: NDArray[Any],
    model: Model,
    *,
    diameter: float | None = None,
    device: str = "auto",
    precision: str = "auto",
    tile: int | None = None,
    ranges: NDArray[np.float64] | None = None,
    average: str = "none",
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Return class probabilities (C, Y, X) of one plane; see `predict_tiles` for the parameters.

    With a diameter they are those of the plane rescaled, in its pixels; see `to_model_size`.
    With `average` they are the mean over its mirror images, see `napari_unet.core.symmetries`.
    """
    return predict_with_deviation(
        image_cyx,
        model,
        diameter=diameter,
        device=device,
        precision=precision,
        tile=tile,
        ranges=ranges,
        average=average,
        progress=progress,
    )[0]


def predict_with_deviation(
    image_cyx: NDArray[Any],
    model: Model,
    *,
    diameter: float | None = None,
    ranges: NDArray[np.float64] | None = None,
    average: str = "none",
    progress: Callable[[int, int], None] | None = None,
    **options: Any,  # device, precision and tile of predict_tiles
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return what `predict_plane` does, and how far the versions that are averaged differ.

    Returns
    -------
    probability : ndarray of float32, shape (C, Y, X)
    deviation : ndarray of float32, shape (Y, X), or None
        Standard deviation over the versions, of the class that differs most, 0 to 0.5; None
        where nothing is averaged.
    """
    _check_plane(image_cyx, model)
    scaled, ranges = to_model_size(image_cyx, model.config, diameter, ranges)
    out = np.zeros((len(model.config.classes), *scaled.shape[1:]), np.float32)
    deviation = None if average == "none" else np.zeros(scaled.shape[1:], np.float32)
    for result in predict_averaged(scaled, model, average, ranges=ranges, **options):
        height, width = result.probability.shape[1:]
        place = np.s_[result.y : result.y + height, result.x : result.x + width]
        out[:, *place] = result.probability
        if deviation is not None and result.deviation is not None:
            deviation[place] = result.deviation
        if progress is not None:
            progress(result.index + 1, result.count)
    return out, deviation
