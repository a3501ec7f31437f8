"""Run a model over an image: tile by tile, and whole to instance labels."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any  # images come in any real dtype
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

from napari_unet.core.device import autocast_dtype, channels_last, choose_device, choose_precision
from napari_unet.core.errors import ComputeError, InputError, OutOfMemoryError
from napari_unet.core.events import TileResult
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.model_file import Model
from napari_unet.core.models.blocks import fold_batch_norm
from napari_unet.core.normalize import apply_range, intensity_range
from napari_unet.core.tiling import network_geometry, plan_tiles, read_mirrored

__all__ = ["Segmentation", "predict_plane", "predict_tiles", "segment"]

# Activations of a tile may take about this many bytes (chosen: safe on a laptop with 8 GB).
TILE_BYTES = 800_000_000


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
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(
            "There is not enough memory on the GPU; close other programs that use it, "
            "or compute on the CPU."
        ) from error
    except RuntimeError as error:
        raise ComputeError(f"The network could not be run: {error}") from error


def _check_plane(image_cyx: NDArray[Any], model: Model) -> None:
    if image_cyx.ndim != 3 or 0 in image_cyx.shape:
        raise InputError(f"An image plane of shape {image_cyx.shape} cannot be segmented.")
    needed = model.config.in_channels
    if len(image_cyx) != needed:
        raise InputError(
            f"The model takes {needed} channel{'s' * (needed != 1)} and the image has "
            f"{len(image_cyx)}; choose which to use."
        )


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
    with torch.inference_mode():
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
    shape_yx = image_cyx.shape[1:]
    scaled = _rescale(image_cyx, _scale(model, diameter))
    out: NDArray[np.float32] | None = None
    for result in predict_tiles(scaled, model, device=device, precision=precision, tile=tile):
        if out is None:
            classes = len(result.probability)
            out = np.empty((classes, *scaled.shape[1:]), np.float32)
        height, width = result.probability.shape[1:]
        out[:, result.y : result.y + height, result.x : result.x + width] = result.probability
        if progress is not None:
            progress(result.index + 1, result.count)
    assert out is not None  # a plane has at least one tile
    return out if out.shape[1:] == shape_yx else _resize(out, shape_yx)


def _scale(model: Model, diameter: float | None) -> float:
    trained_at = model.config.diameter
    if diameter is None or trained_at is None:
        return 1.0
    if not 1 <= diameter <= 10_000:
        raise InputError(f"The diameter is {diameter} px; it must be from 1 to 10,000.")
    return trained_at / diameter


def _rescale(image_cyx: NDArray[Any], scale: float) -> NDArray[Any]:
    if scale == 1.0:
        return image_cyx
    y, x = (max(1, round(size * scale)) for size in image_cyx.shape[1:])
    image = np.nan_to_num(image_cyx.astype(np.float32), posinf=0.0, neginf=0.0)
    if scale < 1:  # what the smaller image cannot show would alias
        sigma = (0.0, 0.5 * (1 / scale - 1), 0.5 * (1 / scale - 1))
        image = ndimage.gaussian_filter(image, sigma)
    return _resize(image, (y, x))


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
        that are gone through plane by plane. None: "YX", "ZYX", or "CYX" and so on where one
        axis has just the model's number of channels.
    diameter : float, optional
        Diameter of the objects in pixels; the image is rescaled to the size the model knows.
        None leaves the image as it is.
    threshold, min_size : optional
        See `probability_to_labels`; None takes the model's.
    device, precision : str
        See `napari_unet.core.device`.
    progress : callable, optional
        Called with (done, total) after each tile.

    Raises
    ------
    InputError
        If the axes do not fit, or the channels are not the model's.
    """
    config = model.config
    axes = _axes(image.shape, axes, config.in_channels)
    order = [axes.index(axis) for axis in axes if axis not in "CYX"]
    stack_shape = tuple(image.shape[index] for index in order)
    shape = (*stack_shape, image.shape[axes.index("Y")], image.shape[axes.index("X")])
    labels = np.zeros(shape, np.int32)
    probability = np.zeros((len(config.classes), *shape), np.float32)
    planes = int(np.prod(stack_shape, dtype=int))
    for number, place in enumerate(itertools.product(*map(range, stack_shape))):
        plane = _plane(image, axes, place)

        def report(done: int, total: int, number: int = number) -> None:
            if progress is not None:
                progress(number * total + done, planes * total)

        planewise = predict_plane(
            plane, model, diameter=diameter, device=device, precision=precision, progress=report
        )
        np.moveaxis(probability, 0, -3)[place] = planewise
        labels[place] = probability_to_labels(
            1 - planewise[0],
            threshold=config.threshold if threshold is None else threshold,
            min_size=config.min_size if min_size is None else min_size,
        )
    in_order = "".join(axis for axis in axes if axis not in "CYX") + "YX"
    wanted = [in_order.index(axis) for axis in axes if axis != "C"]
    return Segmentation(
        labels.transpose(wanted), probability.transpose([0, *(index + 1 for index in wanted)])
    )


def _axes(shape: tuple[int, ...], axes: str | None, channels: int) -> str:
    if axes is None:
        axes = {2: "YX", 3: "ZYX", 4: "ZCYX"}.get(len(shape), "")
        if len(shape) == 3 and (channels > 1 or _looks_rgb(shape)):
            is_last = shape[-1] == channels or _looks_rgb(shape)
            axes = "YXC" if is_last and shape[0] != channels else "CYX"
        if not axes:
            raise InputError(f"An image of shape {shape} needs its axes named, as in 'TZCYX'.")
    axes = axes.upper()
    if len(axes) != len(shape) or len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes):
        raise InputError(
            f"Axes {axes!r} do not fit an image of shape {shape}; name each dimension once, "
            "Y and X among them."
        )
    return axes


def _looks_rgb(shape: tuple[int, ...]) -> bool:
    return shape[-1] in (3, 4) and min(shape[:-1]) > 4


def _plane(image: NDArray[Any], axes: str, place: tuple[int, ...]) -> NDArray[Any]:
    """Cut one plane out of an image as (C, Y, X)."""
    rest = iter(place)
    index: tuple[slice | int, ...] = tuple(
        slice(None) if axis in "CYX" else next(rest) for axis in axes
    )
    plane = np.asarray(image[index])
    left = [axis for axis in axes if axis in "CYX"]
    if "C" not in left:
        plane, left = plane[None], ["C", *left]
    return plane.transpose([left.index(axis) for axis in "CYX"])
