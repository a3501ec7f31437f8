"""Run a model over an image plane, tile by tile."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any  # images come in any real dtype
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_unet.core.architectures import ARCHITECTURES
from napari_unet.core.device import (
    autocast_dtype,
    channels_last,
    choose_device,
    choose_precision,
    exact,
)
from napari_unet.core.errors import ComputeError, InputError, OutOfMemoryError
from napari_unet.core.events import TileResult
from napari_unet.core.model_file import Model
from napari_unet.core.models.blocks import fold_batch_norm
from napari_unet.core.models.norms import measures_images, with_measured_norms
from napari_unet.core.normalize import apply_range
from napari_unet.core.planes import check_image
from napari_unet.core.rescale import to_model_size
from napari_unet.core.tiling import (
    NetworkGeometry,
    network_geometry,
    plan_sample,
    plan_tiles,
    read_mirrored,
)

__all__ = ["predict_plane", "predict_tiles"]

# Activations of a tile may take about this many bytes (chosen: safe on a laptop with 8 GB).
TILE_BYTES = 800_000_000

# Steps through rows and columns: as it is, upside down, left to right, both.
MIRRORS = ((1, 1), (-1, 1), (1, -1), (-1, -1))


def predict_tiles(
    image_cyx: NDArray[Any],
    model: Model,
    *,
    center: tuple[float, float] | None = None,
    device: str = "auto",
    precision: str = "auto",
    tile: int | None = None,
    ranges: NDArray[np.float64] | None = None,
) -> Iterator[TileResult]:
    """Yield class probabilities of one image plane, tile by tile, nearest to `center` first.

    Parameters
    ----------
    image_cyx : ndarray, shape (C, Y, X)
        Any real dtype; it is normalised once, as a whole.
    model : Model
        Its ``in_channels`` must be C.
    center : tuple of float, optional
        Row and column where the user is looking.
    device, precision : str
        See `napari_unet.core.device`.
    tile : int, optional
        Largest side of a tile, in pixels; None chooses by the width of the network.
    ranges : ndarray, shape (C, 2), optional
        See `intensity_range`; give it where `image_cyx` is a part of an image. A network with
        group or instance norm normalises its features by that part all the same.

    Yields
    ------
    TileResult
        With float32 probabilities.

    Raises
    ------
    InputError
        If the number of channels is not the model's.
    OutOfMemoryError, ComputeError
        If torch fails.
    """
    _check_plane(image_cyx, model)
    chosen = choose_device(device)
    if model.config.graph is not None:
        precision = "float32"  # as other programs run it
    dtype = autocast_dtype(choose_precision(precision, chosen))
    geometry = network_geometry(model.config)
    max_tile = tile or _tile_side(model, geometry.halo)
    tiles = plan_tiles(image_cyx.shape[1:], geometry, max_tile, center)
    if ranges is None:
        ranges = model.config.range_of(image_cyx)
    try:
        network = _inference_network(model, chosen, dtype)
        if measures_images(network):
            sample = _sample(image_cyx, geometry, ranges)
            with exact(chosen, dtype):
                network = with_measured_norms(network, _on_device(sample, chosen, dtype))
        for index, spot in enumerate(tiles):
            image = torch.from_numpy(apply_range(read_mirrored(image_cyx, spot), ranges))
            probability = _run(network, image, chosen, dtype)
            y, x = spot.y_crop, spot.x_crop
            inside = probability[:, y : y + spot.height, x : x + spot.width]
            yield TileResult(spot.y, spot.x, np.ascontiguousarray(inside), index, len(tiles))
    except (RuntimeError, MemoryError) as error:
        raise _explained(error) from error


def _check_plane(image_cyx: NDArray[Any], model: Model) -> None:
    if image_cyx.ndim != 3:
        raise InputError(f"An image of shape {image_cyx.shape} is not one plane of channels, CYX.")
    check_image(image_cyx.shape, image_cyx.dtype, "CYX", model.config.in_channels)


def _explained(error: RuntimeError | MemoryError) -> ComputeError:
    if isinstance(error, torch.OutOfMemoryError):
        return OutOfMemoryError(
            "There is not enough memory on the GPU; close other programs that use it, "
            "or compute on the CPU."
        )
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error):
        return OutOfMemoryError("There is not enough memory; close other programs.")
    return ComputeError(f"The network could not be run: {error}")


def _tile_side(model: Model, halo: int) -> int:
    bytes_a_pixel = ARCHITECTURES[model.config.architecture].pixel_bytes * model.config.width
    pixels = TILE_BYTES / bytes_a_pixel
    return max(128, int(pixels**0.5) - 2 * halo)


_folded: WeakKeyDictionary[nn.Module, dict[tuple[str, torch.dtype], nn.Module]] = (
    WeakKeyDictionary()
)


def _inference_network(model: Model, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Return the network ready to run, batch norm folded; kept for the next call."""
    ready = _folded.setdefault(model.network, {})
    key = (str(device), dtype)
    if key not in ready:
        network = fold_batch_norm(copy.deepcopy(model.network).eval())
        ready[key] = channels_last(network, device, dtype).requires_grad_(False)
    return ready[key]


def _run(
    network: nn.Module, image: torch.Tensor, device: torch.device, dtype: torch.dtype
) -> NDArray[np.float32]:
    with torch.inference_mode(), exact(device, dtype):
        probability = network(_on_device(image[None], device, dtype))[0].float().softmax(dim=0)
        return probability.cpu().numpy()  # type: ignore[no-any-return]  # numpy() is untyped


def _on_device(batch: torch.Tensor, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    return batch.to(device=device, dtype=dtype, memory_format=torch.channels_last)


def _sample(
    image_cyx: NDArray[Any], geometry: NetworkGeometry, ranges: NDArray[np.float64]
) -> torch.Tensor:
    """Return parts of an image that stand for all of it, (B, C, h, w)."""
    parts = plan_sample(image_cyx.shape[1:], geometry)
    return torch.stack(
        [torch.from_numpy(apply_range(read_mirrored(image_cyx, part), ranges)) for part in parts]
    )


def predict_plane(
    image_cyx: NDArray[Any],
    model: Model,
    *,
    diameter: float | None = None,
    device: str = "auto",
    precision: str = "auto",
    tile: int | None = None,
    ranges: NDArray[np.float64] | None = None,
    flips: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Return class probabilities (C, Y, X) of one plane; see `predict_tiles` for the parameters.

    With a diameter they are those of the plane rescaled, in its pixels; see `to_model_size`.
    With `flips` they are the mean of the plane and its three mirror images, which takes four
    times as long (Ronneberger et al. 2015, section 4, average seven rotations).
    """
    _check_plane(image_cyx, model)
    scaled, ranges = to_model_size(image_cyx, model.config, diameter, ranges)
    if ranges is None:
        ranges = model.config.range_of(scaled)
    out = np.zeros((len(model.config.classes), *scaled.shape[1:]), np.float32)
    mirrors = MIRRORS if flips else MIRRORS[:1]
    for number, (y_step, x_step) in enumerate(mirrors):
        seen = out[:, ::y_step, ::x_step]  # a view: what is added lands where it belongs
        for result in predict_tiles(
            scaled[:, ::y_step, ::x_step],
            model,
            device=device,
            precision=precision,
            tile=tile,
            ranges=ranges,
        ):
            height, width = result.probability.shape[1:]
            place = np.s_[:, result.y : result.y + height, result.x : result.x + width]
            seen[place] += result.probability
            if progress is not None:
                progress(number * result.count + result.index + 1, len(mirrors) * result.count)
    if flips:
        out /= len(mirrors)
    return out
