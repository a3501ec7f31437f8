"""`napari-unet convert`: labels and annotations from one format to another."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from napari_unet.commands.console import say, say_aside
from napari_unet.core.errors import InputError
from napari_unet.formats import images
from napari_unet.formats.annotations import Annotations
from napari_unet.formats.labels import read_labels, write_labels

__all__ = ["run"]

KEEP_CHECKED = (".zip", ".geojson", ".json")


def run(args: argparse.Namespace) -> int:
    """Read, write, and say what could not be taken along."""
    source, target = Path(args.input), Path(args.out)
    if target.resolve() == source.resolve():
        raise InputError(f"{target} would be written over itself; choose another place.")
    shape, axes = _plane_of(args.image)
    found = read_labels(source, shape, args.axes or axes, args.image)
    write_labels(target, found, kind=args.format, image=Path(args.image or source).name)
    count = len(np.unique(found.labels[found.labels != 0]))
    said = f"{source}: {count} object{'s' * (count != 1)}, written to {target}"
    if args.checked is not None:
        everywhere = np.ones(found.labels.shape, bool)
        checked = everywhere if found.checked is None else found.checked
        images.write_labels(args.checked, checked.astype(np.uint8), found.axes)
        said += f", {checked.mean():.0%} of the image checked, see {args.checked}"
    say(said)
    for note in _notes(found, target, args.format, args.checked):
        say_aside(f"napari-unet: {note}")
    return 0


def _plane_of(image: str | None) -> tuple[tuple[int, ...] | None, str | None]:
    """Return shape and axes of an image without its channels."""
    if image is None:
        return None, None
    pixels, axes = images.read_image(image)
    sizes = zip(pixels.shape, axes, strict=True)
    return tuple(size for size, axis in sizes if axis != "C"), axes.replace("C", "")


def _notes(
    found: Annotations, target: Path, kind: str | None, checked: str | None
) -> tuple[str, ...]:
    keeps = kind in ("roi", "geojson", "coco") or (
        kind is None and target.suffix.lower() in KEEP_CHECKED
    )
    if found.checked is None or keeps or checked is not None:
        return found.notes
    part = 1 - found.checked.mean()
    return (
        *found.notes,
        f"{part:.0%} of the image is not checked, which {target.name} cannot say; "
        "give --checked MASK to write it to a file of its own.",
    )
