"""`napari-unet segment`: files and folders in, label images out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_unet.commands.console import progress_bar, say, say_aside
from napari_unet.commands.inputs import LABELS_ENDING, Reading, Source, find_sources, name_of
from napari_unet.core.errors import InputError, NapariUnetError
from napari_unet.formats.images import TIFF_SUFFIXES, write_labels

if TYPE_CHECKING:
    from napari_unet.core.model_file import Model

__all__ = ["SegmentOptions", "run", "segment_file"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SegmentOptions:
    """How every file is segmented; see `core.segment`."""

    reading: Reading
    threshold: float | None = None
    min_size: int | None = None
    split: float | None = None
    diameter: float | None = None
    flips: bool = False
    device: str = "auto"
    precision: str = "auto"


def run(args: argparse.Namespace) -> int:
    """Segment every input; a bad one does not stop the rest, and is named at the end."""
    sources = find_sources(args.inputs, recursive=args.recursive)
    targets = _targets(sources, Path(args.out))
    options = SegmentOptions(
        Reading(args.axes, args.channel),
        args.threshold,
        args.min_size,
        args.split,
        args.diameter,
        args.flips,
        args.device,
        args.precision,
    )
    model = _ready_model(args.model, options)
    failed: list[tuple[Path, NapariUnetError]] = []
    with progress_bar("Segmenting", len(sources), " images") as bar:
        for number, (source, target) in enumerate(zip(sources, targets, strict=True)):
            bar.set_postfix_str(source.path.name, refresh=False)

            def show(done: int, total: int, number: int = number) -> None:
                bar.update(number + done / total - bar.n)

            try:
                objects, diameter = segment_file(source.path, target, model, options, show)
            except NapariUnetError as error:
                failed.append((source.path, error))
                continue
            text = f"{source.path}: {objects} object{'s' * (objects != 1)}"
            if diameter is not None and options.diameter is None:
                text += f", measured {diameter:.0f} px across"
            say(f"{text}, written to {target}", bar)
    return _report_failed(failed, len(sources))


def segment_file(
    path: Path, target: Path, model: Model, options: SegmentOptions, progress: Progress
) -> tuple[int, float | None]:
    """Segment one file into another; return how many objects were found, and how large."""
    from napari_unet.core.segmentation import segment  # torch: not needed to read the options

    image, axes = options.reading.read(path)
    _check_channels(image.shape, axes, model.config.in_channels, path)
    result = segment(
        image,
        model,
        axes=axes,
        diameter=options.diameter,
        threshold=options.threshold,
        min_size=options.min_size,
        split=options.split,
        flips=options.flips,
        device=options.device,
        precision=options.precision,
        progress=progress,
    )
    spatial = axes.replace("C", "")
    write_labels(target, result.labels, spatial)
    planes = np.moveaxis(result.labels, [spatial.index("Y"), spatial.index("X")], [-2, -1])
    objects = sum(int(plane.max()) for plane in planes.reshape(-1, *planes.shape[-2:]))
    return objects, result.diameter


def _ready_model(name: str, options: SegmentOptions) -> Model:
    """Load the model; say what is wrong with it or the device before any file is read."""
    from napari_unet.core.device import choose_device, choose_precision  # torch
    from napari_unet.core.model_file import load_model

    choose_precision(options.precision, choose_device(options.device))
    model = load_model(name)
    if options.diameter is not None and model.config.diameter is None:
        raise InputError(
            "This model does not know the size of its objects, so it cannot use --diameter; "
            "leave it out."
        )
    return model


def _check_channels(shape: tuple[int, ...], axes: str, needed: int, path: Path) -> None:
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


def _targets(sources: list[Source], out: Path) -> list[Path]:
    """Where each result goes: a folder, or one file for one image."""
    if out.suffix.lower() in TIFF_SUFFIXES and not out.is_dir():
        if len(sources) > 1:
            raise InputError(
                f"{len(sources)} images cannot be written to the one file {out}; name a folder."
            )
        targets = [out]
    elif out.is_file() or (out.suffix and not out.is_dir() and len(sources) == 1):
        raise InputError(f"Labels are written as TIFF, so {out} must end in .tif or be a folder.")
    else:
        targets = [
            out / source.below / f"{name_of(source.path)}{LABELS_ENDING}.tif" for source in sources
        ]
    _check_targets(sources, targets)
    return targets


def _check_targets(sources: list[Source], targets: list[Path]) -> None:
    inputs = {source.path.resolve() for source in sources}
    taken: dict[Path, Path] = {}
    for source, target in zip(sources, targets, strict=True):
        place = target.resolve()
        if place in inputs:
            raise InputError(f"{target} is one of the images; choose another place for the labels.")
        if place in taken:
            raise InputError(
                f"{taken[place]} and {source.path} would both be written to {target}; "
                "segment them into different folders."
            )
        taken[place] = source.path


def _report_failed(failed: list[tuple[Path, NapariUnetError]], count: int) -> int:
    if not failed:
        return 0
    for path, error in failed:
        sentence = str(error)
        where = "" if path.name in sentence else f"{path}: "
        say_aside(f"napari-unet: {where}{sentence}")
    if count > 1:
        say_aside(f"napari-unet: {len(failed)} of {count} images could not be segmented.")
    return 2 if all(isinstance(error, InputError) for _, error in failed) else 1
