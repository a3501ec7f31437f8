"""Reads what tiles need, normalised; of a lazy image the next tile while one is computed."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.normalize import apply_range
from napari_unet.core.tiling import Tile, read_mirrored

__all__ = ["TileReader"]


class TileReader:
    """Reads what tiles need, normalised; of a lazy image the next one in a thread, ahead of time.

    A plain array is read when it is needed: there is nothing to wait for.
    """

    def __init__(self, image_cyx: NDArray[Any], ranges: NDArray[np.float64]) -> None:
        self._image, self._ranges = image_cyx, ranges
        self._thread: ThreadPoolExecutor | None = None
        self._ahead: tuple[Tile, Future[NDArray[np.float32]]] | None = None

    def __enter__(self) -> TileReader:
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
