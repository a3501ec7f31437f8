"""`napari-unet link`: objects of planes become one through the slices of a stack, or over time."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.commands.console import say
from napari_unet.core.errors import InputError
from napari_unet.core.linking import LEAST, link_by_overlap, series_axis, series_order
from napari_unet.core.tracking import Tracked, centres, track_by_motion
from napari_unet.formats.annotations import Annotations, Track
from napari_unet.formats.labels import read_labels, write_labels
from napari_unet.formats.tables import TABLE_SUFFIXES, Columns, write_table

__all__ = ["run"]


def run(args: argparse.Namespace) -> int:
    """Link the labels of one file, and write them and, if asked for, a table of where they are."""
    source, target = Path(args.labels), Path(args.out)
    _check(args, source, target)
    given = read_labels(source, axes=args.axes)
    axis = series_axis(given.axes, args.along)
    linked = _linked(given, args)
    found = replace(
        given, labels=linked.labels, classes={}, ids={}, tracks=_tracks(linked, axis), notes=()
    )
    write_labels(target, found, kind=args.format, image=source.name)
    if args.table is not None:
        write_table(args.table, _table(linked, given.axes, args.along))
    before, after = _sections(given.labels, axis), len(np.unique(linked.labels)) - 1
    through = given.axes[axis]
    divided = f", {len(linked.parents)} of them daughters" if linked.parents else ""
    say(
        f"{source}: {before} objects in the planes along {through} are {after}{divided}; "
        f"written to {target}"
    )
    return 0


def _check(args: argparse.Namespace, source: Path, target: Path) -> None:
    """Refuse what does not go together, before anything is read."""
    if target.resolve() == source.resolve():
        raise InputError(f"{target} would be written over itself; choose another place.")
    if args.table is not None and Path(args.table).suffix.lower() not in TABLE_SUFFIXES:
        raise InputError(f"{args.table} must end in {' or '.join(TABLE_SUFFIXES)}.")
    if args.by == "motion" and args.distance is None:
        raise InputError("Say with --distance how many pixels an object may move between frames.")
    for value, option, by in (
        (args.distance, "--distance", "motion"),
        (args.divisions or None, "--divisions", "motion"),
        (args.least, "--least", "overlap"),
    ):
        if value is not None and args.by != by:
            raise InputError(f"{option} is for --by {by}; leave it out.")


def _linked(given: Annotations, args: argparse.Namespace) -> Tracked:
    if args.by == "motion":
        return track_by_motion(
            given.labels,
            given.axes,
            distance=args.distance,
            along=args.along,
            gap=1 if args.gap is None else args.gap,
            divisions=args.divisions,
        )
    least = LEAST if args.least is None else args.least
    labels = link_by_overlap(
        given.labels, given.axes, along=args.along, least=least, gap=args.gap or 0
    )
    return Tracked(labels)


def _sections(labels: NDArray[Any], axis: int) -> int:
    """Count the objects of all planes, each by itself."""
    return sum(int(np.count_nonzero(np.unique(plane))) for plane in np.moveaxis(labels, axis, 0))


def _tracks(linked: Tracked, axis: int) -> tuple[Track, ...]:
    """Say of each daughter from when to when it is there, and whose it is."""
    if not linked.parents:
        return ()
    steps = [set(np.unique(step).tolist()) for step in np.moveaxis(linked.labels, axis, 0)]
    there = {
        number: [at for at, seen in enumerate(steps) if number in seen]
        for number in sorted(set.union(*steps) - {0})
    }
    return tuple(
        Track(number, at[0], at[-1], linked.parents.get(number, 0)) for number, at in there.items()
    )


def _table(linked: Tracked, axes: str, along: str | None) -> Columns:
    """Return a row for each object in each plane: which, whose daughter, and where."""
    order, of_one = series_order(axes, along)
    if of_one != len(axes):
        raise InputError(
            f"Labels with the axes {axes} are more than one series; leave --table out."
        )
    rows = centres(linked.labels.transpose([axes.index(letter) for letter in order]))
    number = rows[:, 1].astype(np.int64)
    columns: dict[str, NDArray[Any]] = {
        "label": number,
        order[0].lower(): rows[:, 0].astype(np.int64),
    }
    columns |= {axis.lower(): rows[:, 2 + at] for at, axis in enumerate(order[1:])}
    mothers = [linked.parents.get(one, 0) for one in number.tolist()]
    return columns | {"parent": np.array(mothers, np.int64)}
