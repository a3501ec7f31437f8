"""From an image to instance labels: every plane is measured, predicted and cut into objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.class_labels import class_map
from napari_unet.core.instances import check_settings, probability_to_labels, volume_to_labels
from napari_unet.core.measure import measure_stack
from napari_unet.core.model_file import Model
from napari_unet.core.neighbours import channels_needed, reader_for
from napari_unet.core.planes import check_image, name_axes, name_depth, plane_places
from napari_unet.core.predict import predict_with_deviation
from napari_unet.core.predict_volume import predict_volume
from napari_unet.core.rescale import model_scale, resize_image, usual_min_size
from napari_unet.core.symmetries import symmetries

__all__ = ["Segmentation", "segment"]

Report = Callable[[int, int], None]
"""Is told how many tiles are done, of how many."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What `segment` returns.

    Attributes
    ----------
    labels : ndarray of int32, the image's shape without its channels
        0 is background, every other value one object; numbered plane by plane, or by a model of
        volumes volume by volume.
    probability : ndarray of float32, shape (C, *labels.shape)
        Probability of each class, the first is background.
    diameter : float or None
        Of the objects in the image, in pixels, as it was given or measured; None if the image
        was taken as it is.
    uncertainty : ndarray of float32, shape of `labels`, or None
        How far the versions of the image that were averaged differ: the standard deviation of
        the probability, 0 to 0.5; None where nothing was averaged.
    """

    labels: NDArray[np.int32]
    probability: NDArray[np.float32]
    diameter: float | None = None
    uncertainty: NDArray[np.float32] | None = None


def segment(
    image: NDArray[Any],
    model: Model,
    *,
    axes: str | None = None,
    diameter: float | None = None,
    threshold: float | None = None,
    min_size: int | None = None,
    split: float | None = None,
    average: str = "none",
    device: str = "auto",
    precision: str = "auto",
    progress: Report | None = None,
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
        that are gone through plane by plane; a model of volumes sees all of Z at once. None:
        "YX", "ZYX" or "TZYX", with a C first or last of three where that axis has the model's
        number of channels or looks like RGB. A model of several slices needs a stack or a movie,
        or one plane with its neighbours as channels already, see `napari_unet.core.neighbours`.
    diameter : float, optional
        Of the objects, in pixels; the image is rescaled to the size that the model knows. None
        measures it, see `measure_diameter`; ``model.config.diameter`` leaves the image as it is.
    threshold, min_size, split : optional
        See `probability_to_labels`; None takes the model's, whose smallest object grows with
        the diameter.
    average : {"none", "flips", "rotations"}
        Average over mirror images, or over these and quarter turns: four or eight times as long,
        and it tells where the network is unsure, see `napari_unet.core.symmetries`.
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
    channels = channels_needed(image.shape, axes, config)
    axes = name_axes(image.shape, axes, channels)
    space = config.spatial_axes
    if config.is_volumetric:
        axes = name_depth(axes)
    check_image(image.shape, image.dtype, axes, channels)
    reader = reader_for(config, image, axes)
    threshold = config.threshold if threshold is None else threshold
    split = config.split if split is None else split
    check_settings(threshold, split)
    averages = len(symmetries(average)) > 1 and not config.is_volumetric
    sizes = dict(zip(axes, image.shape, strict=True))
    shape_yx = sizes["Y"], sizes["X"]
    model_scale(config, diameter, shape_yx)
    in_order = "".join(axis for axis in axes if axis not in f"C{space}") + space
    shape = tuple(sizes[axis] for axis in in_order)
    labels = np.zeros(shape, np.int32)
    probability = np.zeros((len(config.classes), *shape), np.float32)
    uncertainty = np.zeros(shape, np.float32) if averages else None
    planes = int(np.prod(shape[: -len(space)], dtype=int))
    if diameter is None:
        diameter = measure_stack(image, axes, model, device=device, precision=precision)
    if min_size is None:
        min_size = usual_min_size(config, diameter)
    how = _How(model, diameter, threshold, min_size, split, average, device, precision)
    see = _see_volume if config.is_volumetric else _see_plane
    for number, place in enumerate(plane_places(image.shape, axes, space)):

        def report(done: int, total: int, number: int = number) -> None:
            if progress is not None:
                progress(number * total + done, planes * total)

        found = see(reader(place), how, report)
        labels[place] = found.labels
        np.moveaxis(probability, 0, -1 - len(space))[place] = found.probability
        if uncertainty is not None and found.deviation is not None:
            uncertainty[place] = found.deviation
    wanted = [in_order.index(axis) for axis in axes if axis != "C"]
    return Segmentation(
        labels.transpose(wanted),
        probability.transpose([0, *(index + 1 for index in wanted)]),
        diameter,
        None if uncertainty is None else uncertainty.transpose(wanted),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _How:
    """With which model, and how; see `segment`."""

    model: Model
    diameter: float | None
    threshold: float
    min_size: int
    split: float
    average: str
    device: str
    precision: str


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What was found in a plane or volume: probabilities with classes first, and how sure."""

    labels: NDArray[np.int32]
    probability: NDArray[np.float32]
    deviation: NDArray[np.float32] | None = None


def _see_plane(image_cyx: NDArray[Any], how: _How, report: Report) -> _Seen:
    """Segment a plane."""
    config, shape = how.model.config, (image_cyx.shape[1], image_cyx.shape[2])
    found, deviation = predict_with_deviation(
        image_cyx,
        how.model,
        diameter=how.diameter,
        average=how.average,
        device=how.device,
        precision=how.precision,
        progress=report,
    )
    if config.semantic:
        labels = class_map(found, threshold=how.threshold, min_size=how.min_size, shape=shape)
    else:
        labels = probability_to_labels(
            1 - found[0],
            threshold=how.threshold,
            min_size=how.min_size,
            split=how.split,
            shape=shape,
            score=config.score,
        )
    resized = None if deviation is None else resize_image(deviation[None], shape)[0]
    return _Seen(labels, resize_image(found, shape), resized)


def _see_volume(image_czyx: NDArray[Any], how: _How, report: Report) -> _Seen:
    """Segment a volume."""
    found = predict_volume(
        image_czyx,
        how.model,
        average=how.average,
        device=how.device,
        precision=how.precision,
        progress=report,
    )
    labels = volume_to_labels(
        1 - found[0],
        threshold=how.threshold,
        min_size=how.min_size,
        split=how.split,
        spacing=how.model.config.spacing,
    )
    return _Seen(labels, found)
