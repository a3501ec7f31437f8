"""Images in, labels out: TIFF with its axes, PNG, JPEG and BMP."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any  # images come in any real dtype

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from napari_unet.core.errors import InputError
from napari_unet.formats.other_images import OTHER_SUFFIXES, read_other
from napari_unet.formats.safe_tiff import check_packed, open_tiff

__all__ = ["IMAGE_SUFFIXES", "read_image", "read_labels", "write_image", "write_labels"]

TIFF_SUFFIXES = (".tif", ".tiff", ".lsm", ".stk")
IMAGE_SUFFIXES = (*TIFF_SUFFIXES, ".png", ".jpg", ".jpeg", ".bmp")

# What Pillow may take a picture for. It goes by the content, not by the ending, and hands some
# kinds to other programs: PostScript to Ghostscript, which runs it.
PICTURES = ("PNG", "JPEG", "BMP", "TIFF")

# A small file that declares more than this, and so many times its own size, is not an image but
# an attack on the memory: the compressions in use reach about a thousand times (chosen).
MAX_DECLARED = 2**30
MAX_RATIO = 4000


def read_image(path: str | Path) -> tuple[NDArray[Any], str]:
    """Read the first image of a file.

    Parameters
    ----------
    path : str or Path
        A file with one of `IMAGE_SUFFIXES`, or of `OTHER_SUFFIXES`, which BioIO reads.

    Returns
    -------
    image : ndarray
        Of the file's dtype; colour images lose their transparency, and a colour image that
        is grey throughout becomes one channel.
    axes : str
        One letter a dimension: Y, X, C for channels and colours, T, Z, and others as the
        file names them (Q where it says nothing).

    Raises
    ------
    InputError
        If there is no such file, or it cannot be read as an image.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file {path}; check the path.")
    if path.suffix.lower() in OTHER_SUFFIXES:
        return _without_colour(*read_other(path))
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        known = ", ".join(suffix[1:] for suffix in IMAGE_SUFFIXES)
        raise InputError(f"{path.name} is of a kind that cannot be read; use one of {known}.")
    try:
        is_tiff = path.suffix.lower() in TIFF_SUFFIXES
        image, axes = _read_tiff(path) if is_tiff else _read_picture(path)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # decoders of damaged files raise whatever they stumble on
        raise InputError(f"{path.name} cannot be read as an image: {_said(error)}.") from error
    if image.size == 0:
        raise InputError(f"{path.name} holds no pixels.")
    return _without_colour(image, axes)


def read_labels(path: str | Path) -> tuple[NDArray[Any], str]:
    """Read instance labels: whole numbers, 0 is background.

    Returns
    -------
    labels : ndarray of int or uint
    axes : str
        See `read_image`; there is no C among them.

    Raises
    ------
    InputError
        If the file cannot be read, or does not hold labels.
    """
    labels, axes = read_image(path)
    if "C" in axes and labels.shape[axes.index("C")] == 1:
        labels, axes = labels.squeeze(axes.index("C")), axes.replace("C", "")
    if "C" in axes:
        raise InputError(
            f"{Path(path).name} is a colour image, not labels; labels are one number a pixel."
        )
    if labels.dtype == bool:
        labels = labels.astype(np.uint8)
    if labels.dtype.kind == "f" and np.array_equal(labels, np.rint(labels)):
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "ui":
        raise InputError(
            f"{Path(path).name} holds {labels.dtype} numbers; labels are whole numbers."
        )
    return labels, axes


def write_labels(path: str | Path, labels: NDArray[Any], axes: str | None = None) -> None:
    """Write labels as a compressed TIFF: beside its place first, then renamed into it.

    Parameters
    ----------
    path : str or Path
        The folder is made if need be.
    labels : ndarray of int
        Written as uint16 where the numbers fit, else as int32.
    axes : str, optional
        One letter a dimension, stored in the file.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    largest = int(labels.max(initial=0))
    dtype = np.uint16 if largest <= np.iinfo(np.uint16).max else np.int32
    _write_tiff(Path(path), labels.astype(dtype, copy=False), axes, "labels")


def write_image(path: str | Path, image: NDArray[Any], axes: str) -> None:
    """Write an image as a compressed TIFF, as `write_labels` does.

    Parameters
    ----------
    path : str or Path
        The folder is made if need be.
    image : ndarray
        Any real dtype; yes and no become 1 and 0.
    axes : str
        One letter a dimension, stored in the file.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    if image.dtype == bool:
        image = image.astype(np.uint8)
    _write_tiff(Path(path), image, axes, "image")


def _write_tiff(path: Path, array: NDArray[Any], axes: str | None, what: str) -> None:
    beside = path.with_name(f".{path.stem}.{os.getpid()}.part")
    metadata = {"axes": axes} if axes else {}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(
            beside, array, compression="zlib", photometric="minisblack", metadata=metadata
        )
        beside.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"The {what} could not be written to {path}: {reason}.") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _read_tiff(path: Path) -> tuple[NDArray[Any], str]:
    try:
        with open_tiff(path) as file:
            series = file.series[0]
            _check_declared(series.nbytes, path)
            check_packed(file, series, path)
            return _named(series.asarray(), series.axes, path)
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        return _read_picture(path)  # Pillow brings the rarer compressions along


def _check_declared(count: int, path: Path) -> None:
    if count > max(MAX_DECLARED, MAX_RATIO * path.stat().st_size):
        raise InputError(
            f"{path.name} declares {count / 2**30:,.0f} GB of pixels, which so small a file cannot "
            "hold; it is damaged."
        )


def _named(image: NDArray[Any], axes: str, path: Path) -> tuple[NDArray[Any], str]:
    """Call tifffile's S (samples: colours) C, as all others do."""
    axes = axes.upper()
    if "S" in axes and "C" in axes:
        if image.shape[axes.index("S")] > 1 and image.shape[axes.index("C")] > 1:
            raise InputError(
                f"{path.name} holds colours in several channels (axes {axes}); "
                "save its channels as grey images."
            )
        extra = "S" if image.shape[axes.index("S")] == 1 else "C"
        image, axes = image.squeeze(axes.index(extra)), axes.replace(extra, "")
    axes = axes.replace("S", "C")
    if len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes):
        raise InputError(f"{path.name} has the axes {axes!r}, which are not those of an image.")
    return image, axes


def _read_picture(path: Path) -> tuple[NDArray[Any], str]:
    frames: list[NDArray[Any]] = []
    with Image.open(path, formats=PICTURES) as picture:
        for frame in ImageSequence.Iterator(picture):
            _check_declared(sum(one.nbytes for one in frames), path)
            frames.append(_pixels(frame))
    frames = [frame for frame in frames if frame.shape == frames[0].shape]
    axes = "YX" if frames[0].ndim == 2 else "YXC"
    return (frames[0], axes) if len(frames) == 1 else (np.stack(frames), f"Q{axes}")


def _pixels(picture: Image.Image) -> NDArray[Any]:
    if picture.mode in ("P", "PA"):  # the numbers are places in a palette
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    elif picture.mode not in ("1", "L", "LA", "I", "F", "RGB", "RGBA") and not (
        picture.mode.startswith("I;16")
    ):
        picture = picture.convert("RGB")
    pixels = np.asarray(picture)
    return pixels[..., 0] if picture.mode == "LA" else pixels


def _without_colour(image: NDArray[Any], axes: str) -> tuple[NDArray[Any], str]:
    """Drop transparency, and colours that are all the same grey."""
    if not axes.endswith("YXC") or image.shape[-1] not in (3, 4):
        return image, axes
    image = image[..., :3]
    grey = image[..., :1]
    if (image == grey).all():
        return grey[..., 0], axes[:-1]
    return image, axes


def _said(error: Exception) -> str:
    """What an error says, on one line without its full stop."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200].rstrip(". ")
