"""Run a model of volumes over a volume, tile by tile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any  # volumes come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.core.events import VolumeResult
from napari_unet.core.inference import ReadyNetwork, explained, is_out_of_memory
from napari_unet.core.model_file import Model
from napari_unet.core.models.network import Box
from napari_unet.core.normalize import apply_range
from napari_unet.core.plan import most_voxels
from napari_unet.core.plane_run import ON_THE_CPU, SMALLER_TILES
from napari_unet.core.planes import check_image
from napari_unet.core.tiling import network_geometries
from napari_unet.core.volume_tiles import VolumeTile, cut_volume, plan_volume, read_volume_tile

__all__ = ["predict_volume", "predict_volume_tiles"]

_log = logging.getLogger(__name__)

# Steps through rows and columns: as it is, upside down, left to right, both.
MIRRORS = ((1, 1), (-1, 1), (1, -1), (-1, -1))


def predict_volume_tiles(
    image_czyx: NDArray[Any],
    model: Model,
    *,
    device: str = "auto",
    precision: str = "auto",
    tile: int | None = None,
    ranges: NDArray[np.float64] | None = None,
    quick: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Iterator[VolumeResult]:
    """Yield class probabilities of a volume, tile by tile, the middle first.

    Parameters
    ----------
    image_czyx : ndarray, shape (C, Z, Y, X)
        Any real dtype; it is normalised once, as a whole. Of a lazy one what a tile needs is read.
    model : Model
        Of volumes, its ``in_channels`` C.
    device, precision : str
        See `napari_unet.core.device`.
    tile : int, optional
        Largest side of a tile, in voxels; None chooses, by what memory allows.
    ranges : ndarray, shape (C, 2), optional
        See `intensity_range`; give it where `image_czyx` is a part of a volume.
    quick : bool
        Somebody watches: tiles are small enough that none takes long.
    tell : callable, optional
        Gets a sentence where memory was short.

    Raises
    ------
    InputError
        If the model is not of volumes, or the number of channels is not the model's.
    OutOfMemoryError, ComputeError
        If torch fails.
    """
    _check_volume(image_czyx, model)
    if ranges is None:
        ranges = model.config.range_of(image_czyx)
    try:
        run = _Run(image_czyx, model, ranges, (device, precision), tell or _log.warning)
        yield from run.results(tile, quick)
    except (RuntimeError, MemoryError) as error:
        raise explained(error) from error


def predict_volume(
    image_czyx: NDArray[Any],
    model: Model,
    *,
    device: str = "auto",
    precision: str = "auto",
    tile: int | None = None,
    ranges: NDArray[np.float64] | None = None,
    average: str = "none",
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Return class probabilities (C, Z, Y, X) of a volume; parameters as above.

    With `average` of "flips" they are the mean of the volume and its three mirror images along Y
    and X, which takes four times as long.

    Raises
    ------
    InputError
        If the average is another.
    """
    if average not in ("none", "flips"):
        raise InputError(f"Volumes are averaged over flips or none, not over {average}.")
    _check_volume(image_czyx, model)
    if ranges is None:
        ranges = model.config.range_of(image_czyx)
    out = np.zeros((len(model.config.classes), *image_czyx.shape[1:]), np.float32)
    mirrors = MIRRORS[:1] if average == "none" else MIRRORS
    for number, (y_step, x_step) in enumerate(mirrors):
        found = np.zeros_like(out)
        for result in predict_volume_tiles(
            image_czyx[:, :, ::y_step, ::x_step],
            model,
            device=device,
            precision=precision,
            tile=tile,
            ranges=ranges,
        ):
            found[(slice(None), *result.place)] = result.probability
            if progress is not None:
                progress(number * result.count + result.done, len(mirrors) * result.count)
        out += found[:, :, ::y_step, ::x_step]
    if len(mirrors) > 1:
        out /= len(mirrors)
    return out


def _check_volume(image_czyx: NDArray[Any], model: Model) -> None:
    if not model.config.is_volumetric:
        raise InputError("The model is one of planes; choose a model of volumes.")
    if image_czyx.ndim != 4:
        raise InputError(
            f"An image of shape {image_czyx.shape} is not one volume of channels, CZYX."
        )
    check_image(image_czyx.shape, image_czyx.dtype, "CZYX", model.config.in_channels)


class _Run:
    """One volume on its way through a network; it goes on where memory is too short."""

    def __init__(
        self,
        image_czyx: NDArray[Any],
        model: Model,
        ranges: NDArray[np.float64],
        wished: tuple[str, str],
        tell: Callable[[str], None],
    ) -> None:
        self._image, self._model, self._ranges, self._tell = image_czyx, model, ranges, tell
        self._geometries = network_geometries(model.config)
        self._precision = wished[1]
        self._network = ReadyNetwork(model, *wished)
        self._tiles: list[VolumeTile] = []
        self._done = 0

    def results(self, side: int | None, quick: bool) -> Iterator[VolumeResult]:
        """Yield what the network says of each tile."""
        network, shape = self._network, self._image.shape[1:]
        if side is not None:
            self._tiles = cut_volume(shape, self._geometries, side)
        else:
            free = network.memory, network.precision
            most = most_voxels(self._model.config, *free, quick=quick)
            self._tiles = plan_volume(shape, self._geometries, most)
        _log.info("%s voxels in %d tiles", " x ".join(map(str, shape)), len(self._tiles))
        while self._done < len(self._tiles):
            tile = self._tiles[self._done]
            probability = self._computed(tile)
            if probability is not None:  # else tiles are smaller now, or another device computes
                self._done += 1
                yield VolumeResult(tile.place, probability, self._done, len(self._tiles))

    def _computed(self, tile: VolumeTile) -> NDArray[np.float32] | None:
        """Return probabilities of a tile; None where memory was too short and a way was found."""
        stop = (at + side for at, side in zip(tile.crop, tile.shape, strict=True))
        try:
            image = apply_range(read_volume_tile(self._image, tile), self._ranges)
            return self._network(image, Box(*tile.crop, *stop))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            shortage = error.with_traceback(None)  # its frames hold what takes the memory
        self._make_room(tile, shortage)
        return None

    def _make_room(self, tile: VolumeTile, error: RuntimeError | MemoryError) -> None:
        """Halve the tiles; where they are small already, go over to the processor.

        Tiles do not change what is computed: what was done is done again with the smaller ones.

        Raises
        ------
        RuntimeError, MemoryError
            The one that was met, if nothing is left to try.
        """
        self._network.give_back()
        fewer = plan_volume(self._image.shape[1:], self._geometries, tile.voxels_read // 2)
        if max(one.voxels_read for one in fewer) < tile.voxels_read:
            self._tiles, self._done = fewer, 0
            self._tell(SMALLER_TILES)
        elif self._network.device.type != "cpu":
            self._network = ReadyNetwork(self._model, "cpu", self._precision)
            self._tell(ON_THE_CPU)
        else:
            raise error
