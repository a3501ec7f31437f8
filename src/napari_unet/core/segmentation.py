"""From an image to instance labels: every plane is measured, predicted and cut into objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.class_labels import class_map
from napari_unet.core.instances import check_settings, probability_to_labels
from napari_unet.core.measure import measure_diameter
from napari_unet.core.model_file import Model
from napari_unet.core.planes import check_image, cut_plane, name_axes, plane_places
from napari_unet.core.predict import predict_with_deviation
from napari_unet.core.rescale import model_scale, resize_image, usual_min_size
from napari_unet.core.symmetries import symmetries

__all__ = ["Segmentation", "segment"]


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What `segment` returns.

    Attributes
    ----------
    labels : ndarray of int32, the image's shape without its channels
        0 is background, every other value one object; numbered plane by plane.
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
    axes = name_axes(image.shape, axes, config.in_channels)
    check_image(image.shape, image.dtype, axes, config.in_channels)
    threshold = config.threshold if threshold is None else threshold
    split = config.split if split is None else split
    check_settings(threshold, split)
    averages = len(symmetries(average)) > 1
    sizes = dict(zip(axes, image.shape, strict=True))
    shape_yx = sizes["Y"], sizes["X"]
    model_scale(config, diameter, shape_yx)
    in_order = "".join(axis for axis in axes if axis not in "CYX") + "YX"
    shape = tuple(sizes[axis] for axis in in_order)
    labels = np.zeros(shape, np.int32)
    probability = np.zeros((len(config.classes), *shape), np.float32)
    uncertainty = np.zeros(shape, np.float32) if averages else None
    planes = int(np.prod(shape[:-2], dtype=int))
    if diameter is None:
        diameter = _measured(image, axes, model, device, precision)
    if min_size is None:
        min_size = usual_min_size(config, diameter)
    for number, place in enumerate(plane_places(image.shape, axes)):
        plane = cut_plane(image, axes, place)

        def report(done: int, total: int, number: int = number) -> None:
            if progress is not None:
                progress(number * total + done, planes * total)

        planewise, deviation = predict_with_deviation(
            plane,
            model,
            diameter=diameter,
            average=average,
            device=device,
            precision=precision,
            progress=report,
        )
        np.moveaxis(probability, 0, -3)[place] = resize_image(planewise, shape_yx)
        if uncertainty is not None and deviation is not None:
            uncertainty[place] = resize_image(deviation[None], shape_yx)[0]
        if config.semantic:
            labels[place] = class_map(
                planewise, threshold=threshold, min_size=min_size, shape=shape_yx
            )
            continue
        labels[place] = probability_to_labels(
            1 - planewise[0],
            threshold=threshold,
            min_size=min_size,
            split=split,
            shape=shape_yx,
            score=config.score,
        )
    wanted = [in_order.index(axis) for axis in axes if axis != "C"]
    return Segmentation(
        labels.transpose(wanted),
        probability.transpose([0, *(index + 1 for index in wanted)]),
        diameter,
        None if uncertainty is None else uncertainty.transpose(wanted),
    )


def _measured(image: Any, axes: str, model: Model, device: str, precision: str) -> float | None:
    """Measure objects on the first, the middle and the last plane; the middle value counts."""
    if model.config.diameter is None:
        return None
    places = list(plane_places(image.shape, axes))
    some = {0: None, len(places) // 2: None, len(places) - 1: None}
    found = [
        measure_diameter(
            cut_plane(image, axes, places[index]), model, device=device, precision=precision
        )
        for index in some
    ]
    known = [diameter for diameter in found if diameter is not None]
    return float(np.median(known)) if known else None
