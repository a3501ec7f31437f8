"""Read a folder of images and labels as examples to learn from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # images and labels come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.commands.inputs import Reading, image_files, name_of
from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.core.neighbours import plane_reader
from napari_unet.core.planes import name_depth
from napari_unet.core.split import hold_out
from napari_unet.formats.images import read_labels

__all__ = ["NamedExample", "channels_of", "held_out_names", "read_examples"]


@dataclass(frozen=True, eq=False)
class NamedExample:
    """One plane to learn from, and the name of the file it is from."""

    name: str
    example: Example


def read_examples(
    folder: Path, reading: Reading, space: str = "YX", slices: int = 1
) -> list[NamedExample]:
    """Read images/, labels/ and, where it is there, checked/; stacks become planes.

    With checked/, only images that have a mask there are used, and only where it is not 0. With
    "ZYX" as `space` they become volumes; with `slices` above 1 each plane has its neighbours as
    channels.

    Raises
    ------
    InputError
        If a folder or a partner is missing, or shapes differ.
    """
    images, labels = (_by_name(folder / part) for part in ("images", "labels"))
    lonely = sorted(set(images) - set(labels))
    if lonely:
        more = f" and {len(lonely) - 3} more" if len(lonely) > 3 else ""
        raise InputError(
            f"There are no labels for {', '.join(lonely[:3])}{more}; "
            f"files in {folder / 'images'} and {folder / 'labels'} have equal names."
        )
    checked = _by_name(folder / "checked") if (folder / "checked").is_dir() else None
    names = sorted(images if checked is None else set(images) & set(checked))
    if not names:
        raise InputError(f"No file in {folder / 'checked'} has the name of an image.")
    return [
        NamedExample(name, example)
        for name in names
        for example in _planes(
            images[name],
            labels[name],
            None if checked is None else checked[name],
            reading,
            (space, slices),
        )
    ]


def held_out_names(part: str | None, names: list[str], seed: int) -> tuple[str, ...]:
    """Return which images are only tested on: a fraction, names, or names in a file.

    Raises
    ------
    InputError
        If the part is none of these, or nothing is left to learn from.
    """
    if part is None:
        return ()
    try:
        chosen = hold_out(set(names), float(part), seed=seed)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        given = part.split(",")
        chosen = tuple(sorted(given)) if set(given) <= set(names) else _listed(Path(part), names)
    if set(chosen) >= set(names):
        raise InputError("Every image is held out; leave some to learn from.")
    return chosen


def channels_of(examples: list[NamedExample]) -> int:
    """Return the number of channels that all examples have."""
    counts = {len(named.example.image_cyx): named.name for named in examples}
    if len(counts) > 1:
        (few, first), (many, second) = sorted(counts.items())[:2]
        raise InputError(
            f"{first} has {few} and {second} has {many} channels; choose which with --channel."
        )
    return next(iter(counts))


def _listed(path: Path, names: list[str]) -> tuple[str, ...]:
    if not path.is_file():
        raise InputError(
            "--held-out takes a fraction such as 0.1, names of images parted by commas, or a file "
            f"of names, and {path} is none of these."
        )
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file with a name on each line.") from error
    wanted = [line.strip() for line in lines if line.strip()]
    known = set(names)
    chosen = [name if name in known else name_of(Path(name)) for name in wanted]
    strange = [name for name in chosen if name not in known]
    if strange:
        raise InputError(f"{path} names {strange[0]}, and there is no such image.")
    return tuple(sorted(set(chosen)))


def _by_name(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {folder}; the data are a folder with images/ and labels/ in it."
        )
    files = image_files(folder)
    if not files:
        raise InputError(f"There are no images in {folder}.")
    found: dict[str, Path] = {}
    for file in files:
        name = name_of(file)
        if name in found:
            raise InputError(f"{found[name]} and {file.name} have the same name; remove one.")
        found[name] = file
    return found


def _planes(
    image_file: Path,
    label_file: Path,
    checked_file: Path | None,
    reading: Reading,
    seen: tuple[str, int],
) -> Iterator[Example]:
    image, axes = reading.read(image_file)
    space, slices = seen
    if "Z" in space:
        axes = name_depth(axes)
    labels = read_labels(label_file)[0]
    checked = None if checked_file is None else read_labels(checked_file)[0] != 0
    shape = tuple(size for size, axis in zip(image.shape, axes, strict=True) if axis != "C")
    for file, other in ((label_file, labels), (checked_file, checked)):
        if other is not None and other.shape != shape:
            raise InputError(
                f"{image_file.name} covers {shape} pixels and {file} {other.shape}; "
                "they must be equal."
            )
    kept = f"C{space}"
    stack = [axis for axis in axes if axis not in kept]
    read = plane_reader(image, axes, slices=slices, space=space, name=image_file.name)
    for place in itertools.product(*(range(image.shape[axes.index(axis)]) for axis in stack)):
        at = dict(zip(stack, place, strict=True))
        spatial = axes.replace("C", "")
        yield Example(
            read(place),
            _plane(labels, spatial, at).astype(np.int32),
            None if checked is None else _plane(checked, spatial, at),
            axes=kept,
        )


def _plane(array: NDArray[Any], axes: str, at: dict[str, int]) -> NDArray[Any]:
    plane: NDArray[Any] = array[tuple(at.get(axis, slice(None)) for axis in axes)]
    return plane
