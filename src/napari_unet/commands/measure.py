"""`napari-unet measure`: size, shape and intensity of every object as a table."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_unet.commands.console import progress_bar, say
from napari_unet.commands.inputs import Reading, pair_files
from napari_unet.core.errors import InputError
from napari_unet.core.regions import Columns, measure_planes
from napari_unet.formats.labels import read_labels
from napari_unet.formats.spacing import read_spacing
from napari_unet.formats.tables import TABLE_SUFFIXES, write_table

__all__ = ["run"]


@dataclass(frozen=True)
class MeasureOptions:
    """How every pair is measured.

    Attributes
    ----------
    reading : Reading
        How images are read.
    spacing : tuple of float or None
        Micrometres a pixel along Z, Y and X, or Y and X; None takes the file's own.
    volumes : bool
        Objects reach through Z.
    """

    reading: Reading
    spacing: tuple[float, ...] | None = None
    volumes: bool = False


def run(args: argparse.Namespace) -> int:
    """Measure a pair of files, or all pairs of two folders, into one table."""
    out = Path(args.out)
    if out.suffix.lower() not in TABLE_SUFFIXES:
        raise InputError(f"{out.name} must end in {' or '.join(TABLE_SUFFIXES)}.")
    pairs = pair_files(Path(args.labels), Path(args.image))
    reading = Reading(args.axes, args.channel)
    options = MeasureOptions(reading, args.spacing, args.volumes)
    tables = []
    with progress_bar("Measuring", len(pairs), " images", begun=0) as bar:
        for name, (labels, image) in pairs.items():
            table = _measured(image, labels, options)
            count = len(table["label"])
            tables.append({"image": np.full(count, name)} | table if len(pairs) > 1 else table)
            bar.update()
    table = _joined(tables)
    write_table(out, table)
    count = len(table["label"])
    say(f"{count} object{'s' * (count != 1)} of {len(pairs)} images measured, written to {out}")
    return 0


def _measured(image_file: Path, labels_file: Path, options: MeasureOptions) -> Columns:
    image, axes = options.reading.read(image_file)
    sizes = zip(image.shape, axes, strict=True)
    shape = tuple(size for size, axis in sizes if axis != "C")
    found = read_labels(labels_file, shape, axes.replace("C", ""), image_file.name)
    spacing = _spacing(options) or read_spacing(image_file)
    table = measure_planes(
        found.labels,
        found.axes,
        image,
        axes,
        spacing=spacing,
        channels=_channels(options.reading, image.shape, axes),
        volumes=options.volumes,
    )
    count = len(table["label"])
    if found.classes:
        names = [found.classes.get(number, "") for number in table["label"].tolist()]
        table["class"] = np.array(names, dtype=str)
    table["unit"] = np.full(count, "px" if spacing is None else "um")
    return table


def _spacing(options: MeasureOptions) -> dict[str, float] | None:
    if options.spacing is None:
        return None
    steps = options.spacing
    return dict(zip("ZYX"[-len(steps) :], steps, strict=True))


def _channels(reading: Reading, shape: tuple[int, ...], axes: str) -> list[str]:
    """Names of the channels: their numbers in the file."""
    count = shape[axes.index("C")] if "C" in axes else 1
    if reading.channel is None:
        return [str(number) for number in range(count)]
    return reading.channel.split(",")


def _joined(tables: list[Columns]) -> Columns:
    """Put tables one below the other; a column that one has not is empty there."""
    names = list(dict.fromkeys(name for table in tables for name in table))
    return {name: np.concatenate([_column(table, name) for table in tables]) for name in names}


def _column(table: Columns, name: str) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
    if name in table:
        return table[name]
    empty: object = "" if name == "class" else np.nan
    return np.full(len(table["label"]), empty)
