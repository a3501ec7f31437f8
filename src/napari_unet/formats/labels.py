"""One way in and one way out for labels and annotations, by the ending of the file."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_unet.core.errors import InputError
from napari_unet.core.files import write_beside
from napari_unet.core.label_index import whole_numbers
from napari_unet.formats import images
from napari_unet.formats.annotations import Annotations
from napari_unet.formats.cellpose_seg import read_npy
from napari_unet.formats.coco import holds_coco, read_coco, write_coco
from napari_unet.formats.geojson import holds_geojson, read_geojson, write_geojson
from napari_unet.formats.imagej_roi import read_rois, write_rois
from napari_unet.formats.json_file import read_json
from napari_unet.formats.tracking_challenge import (
    is_sequence,
    names_sequence,
    read_sequence,
    write_sequence,
)

__all__ = ["FORMATS", "needs_image", "read_labels", "write_labels"]

# What can be written, and the ending by which it is asked for.
FORMATS = {
    "tiff": ".tif",
    "png": ".png",
    "roi": ".zip",
    "geojson": ".geojson",
    "coco": ".json",
    "ctc": "_GT",
}


def read_labels(
    path: str | Path,
    shape: tuple[int, ...] | None = None,
    axes: str | None = None,
    image: str | None = None,
) -> Annotations:
    """Read labels and what else the file says of the objects.

    Parameters
    ----------
    path : str or Path
        A label image, .zip or .roi of ImageJ, .geojson of QuPath, .json of COCO (or GeoJSON),
        .npy of Cellpose, or a folder of the Cell Tracking Challenge.
    shape : tuple of int, optional
        Of the image without its channels; outlines of ImageJ and QuPath need it.
    axes : str, optional
        Of the labels; None takes the file's own, or the last of TZYX.
    image : str, optional
        Name of the image, for files on several.

    Raises
    ------
    InputError
        If the file cannot be read, or its labels are not of that shape.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"There is no file {path}; check the path.")
    found = _read(path, shape, axes, image)
    if shape is not None and found.labels.shape != shape:
        raise InputError(
            f"{path.name} has the shape {found.labels.shape} and the image {shape}; "
            "they must be equal."
        )
    return found if axes is None else replace(found, axes=axes)


def write_labels(
    path: str | Path,
    labels: NDArray[Any] | Annotations,
    axes: str | None = None,
    *,
    kind: str | None = None,
    image: str = "image",
) -> None:
    """Write labels beside their place, then rename the file into it.

    Parameters
    ----------
    path : str or Path
        Its ending tells the format, see `FORMATS`; a folder ending in _GT or _RES is one of the
        Cell Tracking Challenge.
    labels : ndarray of int or Annotations
        0 is background.
    axes : str, optional
        One letter a dimension of an array of labels.
    kind : str, optional
        One of `FORMATS`, whatever the ending.
    image : str
        Name of the image that they are of, for COCO.

    Raises
    ------
    InputError
        If the format is not known, cannot hold these labels, or the file cannot be written.
    """
    path = Path(path)
    if not isinstance(labels, Annotations):
        labels = Annotations(whole_numbers(labels), axes or "TZYX"[-labels.ndim :])
    write = _writer(kind or _kind_of(path), image)
    try:
        write(path, labels)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"The labels could not be written to {path}: {reason}.") from error


def needs_image(path: str | Path) -> bool:
    """Whether the size of the image must be known to read this file: outlines do not tell it."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".json" and path.is_file():
        return holds_geojson(read_json(path))
    return suffix in (".zip", ".roi", ".geojson")


def _read(
    path: Path, shape: tuple[int, ...] | None, axes: str | None, image: str | None
) -> Annotations:
    suffix = path.suffix.lower()
    if path.is_dir():
        if is_sequence(path):
            return read_sequence(path, shape)
        raise InputError(f"{path} is a folder, and none of the Cell Tracking Challenge.")
    if suffix in (".zip", ".roi"):
        return read_rois(path, shape, axes)
    if suffix == ".geojson":
        return read_geojson(path, shape, axes)
    if suffix == ".json":
        values = read_json(path)
        if holds_coco(values):
            return read_coco(path, shape, axes, image, values)
        return read_geojson(path, shape, axes, values)
    if suffix == ".npy":
        return read_npy(path)
    labels, own_axes = images.read_labels(path)
    return Annotations(labels, own_axes)


def _kind_of(path: Path) -> str:
    if names_sequence(path):
        return "ctc"
    suffix = path.suffix.lower()
    if suffix in images.TIFF_SUFFIXES:
        return "tiff"
    kinds = {ending: kind for kind, ending in FORMATS.items()}
    if suffix not in kinds:
        known = ", ".join([*(ending for ending in kinds if ending[0] == "."), "or a folder *_GT"])
        raise InputError(f"{path.name} is of a kind that cannot be written; use one of {known}.")
    return kinds[suffix]


def _writer(kind: str, image: str) -> Callable[[Path, Annotations], None]:
    def write_tiff(path: Path, found: Annotations) -> None:
        images.write_labels(path, found.labels, found.axes)

    def write_one_image(path: Path, found: Annotations) -> None:
        write_coco(path, found, image)

    return {
        "tiff": write_tiff,
        "png": _write_png,
        "roi": write_rois,
        "geojson": write_geojson,
        "coco": write_one_image,
        "ctc": write_sequence,
    }[kind]


def _write_png(path: Path, found: Annotations) -> None:
    largest = int(found.labels.max(initial=0))
    if found.labels.ndim != 2 or largest > 65535:
        raise InputError("PNG holds one plane with numbers up to 65535; write .tif instead.")
    dtype = np.uint8 if largest < 256 else np.uint16
    content = io.BytesIO()
    Image.fromarray(found.labels.astype(dtype)).save(content, "PNG")
    write_beside(path, content.getvalue())
