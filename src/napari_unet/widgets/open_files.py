"""Files that napari opens and saves by this plugin: models, and outlines of objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any  # layer data tuples are napari's own loose type

import napari
import numpy as np
from napari.layers import Image as ImageLayer
from napari.utils.notifications import show_info, show_warning

from napari_unet.bridge.layers import guess_channel_axis, over_channels, placement, read_image
from napari_unet.core.errors import InputError
from napari_unet.formats.annotations import Annotations
from napari_unet.formats.labels import read_labels, write_labels
from napari_unet.formats.ome_zarr import (
    OmeZarr,
    is_ome_zarr,
    labels_of,
    open_ome_zarr,
    plate_images,
)
from napari_unet.formats.zoo import is_package
from napari_unet.session.image import Image
from napari_unet.widgets.workbench import Workbench

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["model_reader", "outline_reader", "write_outlines", "zarr_reader"]

PLUGIN, DOCK = "napari-unet-interactive", "U-Net"
NOTHING: list[tuple[Any, ...]] = [(None,)]  # napari's word for a file that makes no layer
Paths = str | list[str]
Reader = Callable[[Paths], list[tuple[Any, ...]]]


def model_reader(path: Paths) -> Reader:
    """Return what opens model files: napari's hook for files that are dropped on the viewer."""
    return open_models


def open_models(paths: Paths) -> list[tuple[Any, ...]]:
    """Make a model current in the dock, which is opened where there is none; no layer is made.

    Raises
    ------
    ModelFileError
        If it is not a model of ours.
    InputError
        If no viewer is open.
    """
    bench = Workbench.of(_viewer())
    for path in _listed(paths):
        bench.session.open_model(path)
    if not bench.has_docks:
        bench.viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
    if bench.session.busy:  # a package; the dock says how it went
        return NOTHING
    card = bench.session.model[1]
    sentence = f"{card.title or card.name} is the current model; press Segment to use it."
    bench.session.said.emit(sentence, False)
    show_info(sentence)
    return NOTHING


def outline_reader(path: Paths) -> Reader:
    """Return what opens ROIs of ImageJ and GeoJSON of QuPath, or a package of BioImage.IO."""
    first = Path(_listed(path)[0])
    return open_models if first.suffix == ".zip" and is_package(first) else open_outlines


def open_outlines(paths: Paths) -> list[tuple[Any, ...]]:
    """Read outlines as labels of the selected image, or of the topmost one.

    Raises
    ------
    InputError
        If no image is open, or the file cannot be read.
    """
    layer = _image_below(_viewer())
    if layer is None:
        raise InputError(
            "Outlines do not say how large their image is; open the image first, then these."
        )
    image = read_image(layer, (), guess_channel_axis(layer))
    return [_as_labels(Path(path), layer, image) for path in _listed(paths)]


def _as_labels(path: Path, layer: ImageLayer, image: Image) -> tuple[Any, ...]:
    axes = "TZYX"[-len(image.shape) :]
    name = Path(layer.source.path or layer.name).name
    found = read_labels(path, image.shape, axes, name)
    for note in found.notes:
        show_warning(note)
    labels = over_channels(image, found.labels.astype(np.int32, copy=False))
    values: dict[str, Any] = {"name": path.name.partition(".")[0], **placement(layer)}
    if found.classes:
        classes = sorted(found.classes.items())
        values["features"] = {
            "index": [number for number, _ in classes],
            "class": [name for _, name in classes],
        }
    return labels, values, "labels"


def zarr_reader(path: Paths) -> Reader | None:
    """Return what opens OME-Zarr, or nothing for other folders of this ending."""
    return open_zarr if all(is_ome_zarr(Path(one)) for one in _listed(path)) else None


def open_zarr(paths: Paths) -> list[tuple[Any, ...]]:
    """Open images, or all of a plate, and their labels; all are read where they are seen.

    Raises
    ------
    InputError
        If one cannot be read.
    """
    layers = []
    for one in map(Path, _listed(paths)):
        for path in plate_images(one) or [one]:
            image = open_ome_zarr(path)
            is_labels = "image-label" in image.described
            layers.append(_lazy_layer(image, "labels" if is_labels else "image"))
            layers += [_lazy_layer(open_ome_zarr(of), "labels") for of in labels_of(image.path)]
    return layers


def _lazy_layer(image: OmeZarr, kind: str) -> tuple[Any, ...]:
    """Levels of an image as a layer that is read where it is seen."""
    has_levels = len(image.levels) > 1
    values: dict[str, Any] = {
        "name": image.path.name,
        "scale": image.scales[0],
        "axis_labels": tuple(image.axes.lower()),
        "units": tuple(image.units.get(axis, "pixel") for axis in image.axes),
        "multiscale": has_levels,
    }
    return list(image.levels) if has_levels else image.data, values, kind


def write_outlines(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save a labels layer as ROIs of ImageJ, GeoJSON or COCO, by the ending of the file.

    Parameters
    ----------
    path : str
        Ending in .zip, .geojson or .json.
    data : array-like of int
        The layer's labels.
    meta : dict
        Of napari; classes are taken from the column ``class`` of its features.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    labels = np.asarray(data[0] if meta.get("multiscale") else data)
    labels = labels[tuple(0 if step == 0 else slice(None) for step in labels.strides)]
    if labels.ndim > 4:
        raise InputError(f"Labels of {labels.ndim} dimensions cannot be written as outlines.")
    found = Annotations(labels, "TZYX"[-labels.ndim :], classes=_classes(meta.get("features")))
    write_labels(path, found, image=str(meta.get("name", "image")))
    return [path]


def _classes(features: Any) -> dict[int, str]:
    """Names of classes by the number of their object."""
    if features is None or not {"index", "class"} <= set(features):
        return {}
    pairs = zip(features["index"], features["class"], strict=True)
    return {int(number): name for number, name in pairs if isinstance(name, str) and name}


def _image_below(viewer: Viewer) -> ImageLayer | None:
    images = [layer for layer in reversed(viewer.layers) if isinstance(layer, ImageLayer)]
    selected = [layer for layer in images if layer in viewer.layers.selection]
    return next(iter([*selected, *images]), None)


def _viewer() -> Viewer:
    viewer = napari.current_viewer()
    if viewer is None:
        raise InputError("Open napari first; models and outlines are opened in its window.")
    return viewer


def _listed(paths: Paths) -> list[str]:
    return [paths] if isinstance(paths, str) else list(paths)
