"""Labels as OME-TIFF, which Fiji and others open with their axes and the size of a pixel."""

from __future__ import annotations

from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any  # labels come in any integer dtype

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.core.files import write_beside
from napari_unet.formats.images import read_labels
from napari_unet.formats.safe_tiff import open_tiff
from napari_unet.formats.spacing import MICROMETRES

__all__ = ["read_labels_of_shape", "write_map", "write_mask", "write_ome_labels"]

MOST_AXES = 4  # time, depth, rows and columns; longer stacks are written as one


def write_ome_labels(
    path: Path, labels: NDArray[Any], name: str, pixel_size: tuple[float, str] | None = None
) -> None:
    """Write labels, compressed; the file is written in place.

    Parameters
    ----------
    path : Path
    labels : ndarray of int, shape (..., Y, X)
        Written as uint16 where the numbers fit, else as int32. One axis before Y counts as Z, two
        as T and Z; what has more is written as one long stack.
    name : str
        Of the image, for whoever opens the file.
    pixel_size : tuple of float and str, optional
        How wide a pixel is and in which unit.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    fits = int(labels.max(initial=0)) <= np.iinfo(np.uint16).max
    labels = labels.astype(np.uint16 if fits else np.int32, copy=False)
    labels, axes = _as_stack(labels)
    metadata: dict[str, Any] = {  # what OME calls its attributes
        "axes": axes,
        "Name": "".join(letter for letter in name if letter.isprintable()),
    }
    if pixel_size is not None and pixel_size[1] in MICROMETRES:
        for axis in "XY":
            metadata[f"PhysicalSize{axis}"] = pixel_size[0] * MICROMETRES[pixel_size[1]]
            metadata[f"PhysicalSize{axis}Unit"] = "µm"
    tifffile.imwrite(
        path, labels, ome=True, compression="zlib", photometric="minisblack", metadata=metadata
    )


def write_mask(path: Path, mask: NDArray[Any]) -> None:
    """Write 1 where a mask is not 0, as `write_ome_labels` writes labels, as a plain TIFF.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    _write_plain(path, (mask != 0).view(np.uint8))


def write_map(path: Path, values: NDArray[np.float32]) -> None:
    """Write a value for each pixel, shape (..., Y, X), as a plain TIFF, beside and renamed.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    content = BytesIO()
    _write_plain(content, values)
    write_beside(path, content.getvalue())


def _write_plain(file: Path | BytesIO, values: NDArray[Any]) -> None:
    array, axes = _as_stack(values)
    tifffile.imwrite(
        file, array, compression="zlib", photometric="minisblack", metadata={"axes": axes}
    )


def _as_stack(array: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Return an array with no more axes than have a name, and their names."""
    if array.ndim > MOST_AXES:
        array = array.reshape(-1, *array.shape[-2:])
    return array, "TZYX"[-array.ndim :]


def read_labels_of_shape(path: Path, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Read labels of an image whose shape is known; a file of another one is not decoded.

    Raises
    ------
    InputError
        If the file cannot be read, has another shape, or numbers too large for labels.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}; check the path.")
    try:
        with open_tiff(path) as file:
            declared = tuple(map(int, file.series[0].shape))
    except InputError:
        raise
    except Exception as error:  # tifffile raises whatever it stumbles on in a damaged file
        raise InputError(f"{path.name} cannot be read as an image; it is damaged.") from error
    is_long = len(shape) > MOST_AXES and _long(declared) == (prod(shape[:-2]), *shape[-2:])
    if not is_long and _long(declared) != _long(shape):
        raise InputError(
            f"{path.name} covers {declared} pixels and its image {shape}; they must be equal."
        )
    labels = read_labels(path)[0]
    if labels.size != prod(shape) or int(labels.max(initial=0)) > np.iinfo(np.int32).max:
        raise InputError(f"{path.name} holds no labels of its image; it is damaged.")
    return labels.reshape(shape).astype(np.int32, copy=False)


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Leave out the axes of one step before Y and X: they are not kept in a file."""
    return (*(size for size in shape[:-2] if size > 1), *shape[-2:])
