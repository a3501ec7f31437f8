"""Run a model over an image: tile by tile, and whole to instance labels."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any  # images come in any real dtype
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

from napari_unet.core.device import (
    autocast_dtype,
    channels_last,
    choose_device,
    choose_precision,
    exact,
)
from napari_unet.core.errors import ComputeError, InputError, OutOfMemoryError
from napari_unet.core.events import TileResult
from napari_unet.core.instances import check_settings, probability_to_labels
from napari_unet.core.model_file import Model
from napari_unet.core.models.blocks import fold_batch_norm
from napari_unet.core.normalize import apply_range, intensity_range, normalize
from napari_unet.core.planes import check_image, cut_plane, name_axes, plane_places
from napari_unet.core.tiling import network_geometry, plan_tiles, read_mirrored

__all__ = ["Segmentation", "predict_plane", "predict_tiles", "segment"]

# Activations of a tile may take about this many bytes (chosen: safe on a laptop with 8 GB).
TILE_BYTES = 800_000_000

# Pixels of a plane that is enlarged to the model's object size (chosen: 1 GB a channel).
MAX_RESCALED = 2**28


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What `segment` returns.

    Attributes
    ----------
    labels : ndarray of int32, the image's shape without its channels
        0 is background, every other value one object; numbered plane by plane.
    probability : ndarray of float32, shape (C, *labels.shape)
        Probability of each class, the first is background.
    """

    labels: NDArray[np.int32]
    probability: NDArray[np.float32]


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
        See `intensity_range`; give it where `image_cyx` is a part of an image.

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
    dtype = autocast_dtype(choose_precision(precision, chosen))
    geometry = network_geometry(model.config)
    max_tile = tile or _tile_side(model, geometry.halo)
    tiles = plan_tiles(image_cyx.shape[1:], geometry, max_tile, center)
    if ranges is None:
        ranges = intensity_range(image_cyx, model.config.percentiles)
    try:
        network = _inference_network(model, chosen, dtype)
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
    # About 32 bytes are held at a time for each pixel and channel of the first level (measured
    # as the peak of a float32 run).
    pixels = TILE_BYTES / (32 * model.config.width)
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
        batch = image[None].to(device=device, dtype=dtype, memory_format=torch.channels_last)
        probability = network(batch)[0].float().softmax(dim=0)
        return probability.cpu().numpy()  # type: ignore[no-any-return]  # numpy() is untyped


def predict_plane(
    image_cyx: NDArray[Any],
    model: Model,
    *,
    diameter: float | None = None,
    device: str = "auto",
    precision: str = "auto",
    tile: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Return class probabilities (C, Y, X) of one plane; see `segment` for the parameters."""
    _check_plane(image_cyx, model)
    shape_yx = image_cyx.shape[1:]
    scaled, ranges = image_cyx, None
    scale = _scale(model, diameter, shape_yx)
    if scale != 1:  # normalised first: the range is that of the image as it is
        scaled = _rescale(normalize(image_cyx, model.config.percentiles), scale)
        ranges = np.array([[0.0, 1.0]] * len(image_cyx))
    out: NDArray[np.float32] | None = None
    for result in predict_tiles(
        scaled, model, device=device, precision=precision, tile=tile, ranges=ranges
    ):
        if out is None:
            classes = len(result.probability)
            out = np.empty((classes, *scaled.shape[1:]), np.float32)
        height, width = result.probability.shape[1:]
        out[:, result.y : result.y + height, result.x : result.x + width] = result.probability
        if progress is not None:
            progress(result.index + 1, result.count)
    assert out is not None  # a plane has at least one tile
    return out if out.shape[1:] == shape_yx else _resize(out, shape_yx)


def _scale(model: Model, diameter: float | None, shape_yx: tuple[int, ...]) -> float:
    trained_at = model.config.diameter
    if diameter is None:
        return 1.0
    if not 1 <= diameter <= 10_000:
        raise InputError(f"The diameter is {diameter} px; it must be from 1 to 10,000.")
    if trained_at is None:
        raise InputError("The model does not know the size of its objects; leave diameter out.")
    scale = trained_at / diameter
    if scale > 1 and scale**2 * float(np.prod(shape_yx)) > MAX_RESCALED:
        raise InputError(
            f"With a diameter of {diameter} px the image would be enlarged {scale:.1f} times, "
            "which is too large; give a larger diameter or leave it out."
        )
    return scale


def _rescale(image_cyx: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    y, x = (max(1, round(size * scale)) for size in image_cyx.shape[1:])
    if scale < 1:  # what the smaller image cannot show would alias
        sigma = 0.5 * (1 / scale - 1)
        image_cyx = ndimage.gaussian_filter(image_cyx, (0.0, sigma, sigma))
    return _resize(image_cyx, (y, x))


def _resize(image_cyx: NDArray[np.float32], shape_yx: tuple[int, ...]) -> NDArray[np.float32]:
    """Bilinear, with pixel centres kept where they are."""
    batch = torch.from_numpy(np.ascontiguousarray(image_cyx))[None]
    out = nn.functional.interpolate(batch, size=shape_yx, mode="bilinear", align_corners=False)
    return out[0].numpy()


def segment(
    image: NDArray[Any],
    model: Model,
    *,
    axes: str | None = None,
    diameter: float | None = None,
    threshold: float | None = None,
    min_size: int | None = None,
    split: float | None = None,
    device: str = "auto",
    precision: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Segmentation:
    """Segment an image: every object gets a number.

    Parameters
    ----------
    image : array-like
        Any real dtype; a lazy array (dask, zarr) is read plane by plane.
    model : Model
        See `load_model`.
    axes : str, optional
        One letter a dimension, with Y, X, at most one C for channels, and any others (Z, T)
        that are gone through plane by plane. None: "YX", "ZYX" or "TZYX", with a C first or
        last of three where that axis has the model's number of channels or looks like RGB.
    diameter : float, optional
        Diameter of the objects in pixels; the image is rescaled to the size the model knows.
        None leaves the image as it is.
    threshold, min_size, split : optional
        See `probability_to_labels`; None takes the model's.
    device, precision : str
        See `napari_unet.core.device`.
    progress : callable, optional
        Called with (done, total) after each tile.

    Raises
    ------
    InputError
        If the axes do not fit, the channels are not the model's, or a setting is out of its
        bounds; before anything is computed.
    """
    config = model.config
    if not hasattr(image, "dtype"):
        image = np.asarray(image)
    axes = name_axes(image.shape, axes, config.in_channels)
    check_image(image.shape, image.dtype, axes, config.in_channels)
    threshold = config.threshold if threshold is None else threshold
    min_size = config.min_size if min_size is None else min_size
    split = config.split if split is None else split
    check_settings(threshold, split)
    sizes = dict(zip(axes, image.shape, strict=True))
    _scale(model, diameter, (sizes["Y"], sizes["X"]))
    in_order = "".join(axis for axis in axes if axis not in "CYX") + "YX"
    shape = tuple(sizes[axis] for axis in in_order)
    labels = np.zeros(shape, np.int32)
    probability = np.zeros((len(config.classes), *shape), np.float32)
    planes = int(np.prod(shape[:-2], dtype=int))
    for number, place in enumerate(plane_places(image.shape, axes)):
        plane = cut_plane(image, axes, place)

        def report(done: int, total: int, number: int = number) -> None:
            if progress is not None:
                progress(number * total + done, planes * total)

        planewise = predict_plane(
            plane, model, diameter=diameter, device=device, precision=precision, progress=report
        )
        np.moveaxis(probability, 0, -3)[place] = planewise
        labels[place] = probability_to_labels(
            1 - planewise[0], threshold=threshold, min_size=min_size, split=split
        )
    wanted = [in_order.index(axis) for axis in axes if axis != "C"]
    return Segmentation(
        labels.transpose(wanted), probability.transpose([0, *(index + 1 for index in wanted)])
    )
