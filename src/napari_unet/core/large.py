"""An image larger than memory: read, computed and written in parts, to probabilities and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.blocks import BlockArray, BlockSettings, label_blocks
from napari_unet.core.errors import InputError
from napari_unet.core.events import TileResult
from napari_unet.core.model_file import Model
from napari_unet.core.predict import predict_tiles

__all__ = ["segment_large"]


def segment_large(
    image_cyx: NDArray[Any],
    model: Model,
    probability: BlockArray,
    labels: BlockArray,
    *,
    settings: BlockSettings | None = None,
    device: str = "auto",
    precision: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Segment one image plane from array to array, in memory that does not grow with it.

    While a tile is computed the next one is read and the one before is written. Labels are those
    of `probability_to_labels` for all of it at once, see `label_blocks`.

    Parameters
    ----------
    image_cyx : array-like, shape (C, Y, X)
        Lazy (zarr, dask) or not; taken as it is, so that its objects should be about as large as
        the model knows them.
    model : Model
        One of objects.
    probability : array-like of uint8, shape (Y, X)
        Gets the probability of the foreground, 255 is 1.0.
    labels : array-like of int32, shape (Y, X)
        Gets the objects, numbered from 1; 0 is background.
    settings : BlockSettings, optional
        Of the objects; None takes the model's.
    device, precision : str
        See `napari_unet.core.device`.
    progress : callable, optional
        Called with (done, total) after each tile.

    Returns
    -------
    int
        How many objects there are.

    Raises
    ------
    InputError
        If shapes do not fit, or the model tells kinds of pixels rather than objects.
    """
    shape = tuple(image_cyx.shape[1:])
    if model.config.semantic:
        raise InputError("This model tells kinds of pixels; choose one that finds objects.")
    if tuple(probability.shape) != shape or tuple(labels.shape) != shape:
        raise InputError(
            f"The image is {shape}, and what is written {tuple(probability.shape)} and "
            f"{tuple(labels.shape)}; make them alike."
        )
    tiles = predict_tiles(image_cyx, model, device=device, precision=precision)
    for tile in _written(tiles, probability):
        if progress is not None:
            progress(tile.index + 1, tile.count)
    return label_blocks(probability, labels, settings or BlockSettings.of(model.config))


def _written(tiles: Iterator[TileResult], out: BlockArray) -> Iterator[TileResult]:
    """Write the foreground of tiles, each while the next one is computed."""
    writing: Future[None] | None = None
    with ThreadPoolExecutor(1, "napari-unet writer") as thread:
        for tile in tiles:
            if writing is not None:
                writing.result()  # never two of them in memory
            writing = thread.submit(_write, tile, out)
            yield tile
        if writing is not None:
            writing.result()


def _write(tile: TileResult, out: BlockArray) -> None:
    foreground = 1 - np.asarray(tile.probability[0], np.float32)
    height, width = foreground.shape
    place = np.s_[tile.y : tile.y + height, tile.x : tile.x + width]
    out[place] = np.rint(foreground * np.float32(255)).astype(np.uint8)
