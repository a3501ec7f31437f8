"""Images of microscopes that BioIO reads: Zeiss, Nikon, Leica and others.

BioIO and its readers are optional. What they do with a damaged file is theirs: they are not
measured as our own readers are, see docs/security.md.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any  # images come in any real dtype, and bioio is not typed

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError

__all__ = ["OTHER_SUFFIXES", "has_bioio", "read_other", "spacing_of_other"]

# What readers of BioIO there are for. TIFF and OME-Zarr are read by ourselves.
OTHER_SUFFIXES = (".czi", ".nd2", ".lif", ".dv", ".r3d", ".sldy", ".oib", ".oif", ".vsi", ".ims")

HOW = 'pip install "napari-unet-interactive[bioio]"'


def has_bioio() -> bool:
    """Whether BioIO is installed; it is not imported."""
    return importlib.util.find_spec("bioio") is not None


def read_other(path: Path) -> tuple[NDArray[Any], str]:
    """Read the first image of a file; dimensions of one are left out.

    Returns
    -------
    image : ndarray
        Of the file's dtype.
    axes : str
        One letter a dimension, such as TCZYX.

    Raises
    ------
    InputError
        If BioIO or its reader is missing, or the file cannot be read.
    """
    found = _opened(path)
    try:
        image, order = np.asarray(found.data), str(found.dims.order).upper()
    except MemoryError:
        raise
    except Exception as error:  # readers raise whatever they stumble on
        raise _unread(path, error) from error
    kept = [place for place, axis in enumerate(order) if axis in "YX" or image.shape[place] > 1]
    axes = "".join(order[place] for place in kept)
    image = image.reshape([image.shape[place] for place in kept])
    if "S" in axes and "C" in axes:
        raise InputError(
            f"{path.name} has colours in each of its channels; save the channel as a TIFF."
        )
    return image, axes.replace("S", "C")


def spacing_of_other(path: Path) -> dict[str, float]:
    """Return the size of a pixel along Y, X and perhaps Z in micrometres, as far as it is told.

    Raises
    ------
    InputError
        As `read_other`.
    """
    sizes = _opened(path).physical_pixel_sizes
    found = {axis: getattr(sizes, axis, None) for axis in "ZYX"}
    return {
        axis: float(size)
        for axis, size in found.items()
        if size is not None and math.isfinite(size) and size > 0
    }


def _opened(path: Path) -> Any:
    if not has_bioio():
        raise InputError(f"{path.name} is read by BioIO, which is not installed: {HOW}.")
    import bioio  # optional

    try:
        return bioio.BioImage(path)
    except Exception as error:  # readers raise whatever they stumble on
        if type(error).__name__ != "UnsupportedFileFormatError":
            raise _unread(path, error) from error
        raise InputError(
            f"BioIO cannot read {path.name}: the file is damaged, or the reader of {path.suffix} "
            f"files is missing; install {_reader(path)}, or save the image as a TIFF."
        ) from error


def _reader(path: Path) -> str:
    kind = path.suffix.lower()[1:]
    return f"bioio-{kind}" if kind in ("czi", "nd2", "lif", "dv", "sldy") else "bioio-bioformats"


def _unread(path: Path, error: Exception) -> InputError:
    said = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
    return InputError(f"{path.name} cannot be read as an image: {said}.")
