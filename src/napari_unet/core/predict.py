"""Run a model over an image plane, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.average import RunningMean
from napari_unet.core.events import TileResult
from napari_unet.core.model_file import Model
from napari_unet.core.plane_run import PlaneRun, check_plane
from napari_unet.core.rescale import to_model_size
from napari_unet.core.symmetries import Symmetry, symmetries
from napari_unet.core.tile_queue import Center

__all__ = [
    "predict_averaged",
    "predict_plane",
    "predict_tiles",
    "predict_with_deviation",
]


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
    check_plane(image_cyx, model)
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
    check_plane(image_cyx, model)
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
