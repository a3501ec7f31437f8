"""Find the files a command is to work on, and read them as the options say."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.formats.images import IMAGE_SUFFIXES, read_image
from napari_unet.formats.ome_zarr import is_ome_zarr, plate_images
from napari_unet.formats.other_images import OTHER_SUFFIXES, has_bioio

__all__ = [
    "LABELS_ENDING",
    "UNCERTAINTY_ENDING",
    "Reading",
    "Source",
    "check_channels",
    "find_sources",
    "image_files",
    "name_of",
    "pair_files",
]

LABELS_ENDING = "_labels"
UNCERTAINTY_ENDING = "_uncertainty"


@dataclass(frozen=True)
class Source:
    """One file to segment, and its folder below the one that was named."""

    path: Path
    below: Path = Path()


@dataclass(frozen=True)
class Reading:
    """How images are read.

    Attributes
    ----------
    axes : str or None
        One letter a dimension; None takes the file's own.
    channel : str or None
        Channels to use, counted from 0 ("0" or "0,2"), or "grey" for their mean.
    """

    axes: str | None = None
    channel: str | None = None

    def read(self, path: Path) -> tuple[NDArray[Any], str]:
        """Read an image and its axes; with no C among them where one channel is left."""
        image, axes = read_image(path)
        return self.picked(image, self.named(image.shape, axes, path), path)

    def named(self, shape: tuple[int, ...], axes: str, path: Path) -> str:
        """Return the axes of a file, or those that were given in their place."""
        return axes if self.axes is None else _checked_axes(self.axes, shape, path)

    def picked(self, image: NDArray[Any], axes: str, path: Path) -> tuple[NDArray[Any], str]:
        """Return the chosen channels, and axes with no C among them where one is left."""
        if self.channel is None:
            return image, axes
        if "C" not in axes:
            raise InputError(f"{path.name} has no channels to choose from; leave --channel out.")
        place = axes.index("C")
        if self.channel.lower() in ("grey", "gray", "mean"):
            mean: NDArray[Any] = image.mean(axis=place, dtype=np.float32)
            return mean, axes.replace("C", "")
        chosen = _channels(self.channel, image.shape[place], path)
        image = np.take(image, chosen, axis=place)
        return (image[_at(place, 0)], axes.replace("C", "")) if len(chosen) == 1 else (image, axes)


def find_sources(names: Sequence[str], *, recursive: bool = False) -> list[Source]:
    """Return the images among files, folders and patterns, each once and in order.

    Labels that an earlier run wrote into a folder are passed over.

    Raises
    ------
    InputError
        If a name stands for nothing.
    """
    sources: dict[Path, Source] = {}
    for name in names:
        path = Path(name)
        if is_ome_zarr(path):
            found = _of_ome_zarr(path)
        elif path.is_dir():
            found = [
                Source(file, file.parent.relative_to(path))
                for file in image_files(path, recursive=recursive)
                if not file.stem.endswith((LABELS_ENDING, UNCERTAINTY_ENDING))
            ]
            for inner in _ome_zarrs(path, recursive=recursive):
                found += _of_ome_zarr(inner, inner.parent.relative_to(path))
            if not found:
                hint = "" if recursive else "; give --recursive to look into its folders"
                raise InputError(f"There are no images in {path}{hint}.")
        elif path.is_file() or not glob.has_magic(name):
            found = [Source(path)]
        else:
            files = sorted(glob.glob(name, recursive=True))  # noqa: PTH207  # also absolute ones
            zarrs = [_of_ome_zarr(Path(file)) for file in files if is_ome_zarr(Path(file))]
            found = [Source(Path(file)) for file in files if Path(file).is_file()]
            found += [source for images in zarrs for source in images]
            if not found:
                raise InputError(f"No file fits the pattern {name}; check the path.")
        for source in found:
            sources.setdefault(source.path.resolve(), source)
    return list(sources.values())


def _of_ome_zarr(path: Path, below: Path = Path()) -> list[Source]:
    """The image in a folder, or all images of a plate: by plate, row, column and field."""
    images = plate_images(path)
    if not images:
        return [Source(path, below)]
    plate = below / name_of(path)
    return [Source(image, plate / image.parent.relative_to(path)) for image in images]


def _ome_zarrs(folder: Path, *, recursive: bool) -> list[Path]:
    """OME-Zarr below a folder, by their ending; what is in them is not looked through."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_dir():
            continue
        if path.suffix.lower() == ".zarr":
            is_labels = path.name.endswith((f"{LABELS_ENDING}.ome.zarr", f"{LABELS_ENDING}.zarr"))
            found += [path] if is_ome_zarr(path) and not is_labels else []
        elif recursive:
            found += _ome_zarrs(path, recursive=True)
    return found


def check_channels(shape: tuple[int, ...], axes: str, needed: int, path: Path) -> None:
    count = shape[axes.index("C")] if "C" in axes else 1
    if count == needed:
        return
    if count > needed:
        first = ",".join(str(number) for number in range(needed))
        hint = f"choose with --channel, such as --channel {first}"
        hint += " or --channel grey" if needed == 1 else ""
    else:
        hint = "it needs another model"
    raise InputError(
        f"{path.name} has {count} channel{'s' * (count != 1)} and the model takes {needed}; {hint}."
    )


def image_files(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Return the image files of a folder, sorted, without hidden ones.

    Those that only BioIO reads are among them where it is installed.
    """
    found: Iterable[Path] = folder.rglob("*") if recursive else folder.iterdir()
    suffixes = (*IMAGE_SUFFIXES, *OTHER_SUFFIXES) if has_bioio() else IMAGE_SUFFIXES
    return sorted(
        path
        for path in found
        if path.suffix.lower() in suffixes
        and not any(part.endswith(".zarr") for part in path.relative_to(folder).parts[:-1])
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def name_of(path: Path) -> str:
    """Return a file's name without its endings, and without that of labels."""
    name = path.name
    for ending in (path.suffix, ".ome", LABELS_ENDING):
        name = name.removesuffix(ending)
    return name


def pair_files(first: Path, second: Path) -> dict[str, tuple[Path, Path]]:
    """Return two files, or those of two folders that have equal names, by name.

    Parameters
    ----------
    first : Path
        A file, or a folder of label images.
    second : Path
        A file, or a folder with a partner of each; labels have "_labels" after their names.

    Raises
    ------
    InputError
        If one is missing, or a file has no partner.
    """
    for path in (first, second):
        if not path.exists():
            raise InputError(f"There is no file or folder {path}; check the path.")
    if first.is_dir() != second.is_dir():
        raise InputError(f"{first} and {second} must both be files, or both be folders.")
    if not first.is_dir():
        return {name_of(first): (first, second)}
    files, others = (
        {name_of(file): file for file in image_files(path)} for path in (first, second)
    )
    if not files:
        raise InputError(f"There are no label images in {first}.")
    missing = sorted(set(files) - set(others))
    if missing:
        raise InputError(
            f"{second} has nothing for {missing[0]}"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
            + "; files of both folders have equal names."
        )
    return {name: (files[name], others[name]) for name in sorted(files)}


def _checked_axes(axes: str, shape: tuple[int, ...], path: Path) -> str:
    axes = axes.upper()
    if len(axes) != len(shape) or len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes):
        raise InputError(
            f"The axes {axes} do not fit {path.name}, whose shape is {shape}; "
            "name each dimension once, Y and X among them."
        )
    return axes


def _channels(text: str, count: int, path: Path) -> list[int]:
    try:
        chosen = [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(
            f"The channel {text!r} is not known; give numbers such as 0 or 0,2, or grey."
        ) from None
    wrong = [number for number in chosen if not 0 <= number < count]
    if wrong:
        raise InputError(
            f"{path.name} has no channel {wrong[0]}; its channels are 0 to {count - 1}."
        )
    return chosen


def _at(axis: int, index: int) -> tuple[slice | int, ...]:
    return (*(slice(None),) * axis, index)
