"""`napari-unet evaluate`: compare label images with the truth."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_unet.commands.console import say, table
from napari_unet.commands.inputs import pair_files
from napari_unet.core.class_metrics import class_measures, pool_classes, score_classes
from napari_unet.core.errors import InputError
from napari_unet.core.evaluation import Evaluation, evaluate, measures
from napari_unet.core.metrics import Scores, pool
from napari_unet.formats.images import read_labels
from napari_unet.formats.tables import TABLE_SUFFIXES, write_table

__all__ = ["run"]


def run(args: argparse.Namespace) -> int:
    """Score every image that truth and prediction have in common, and all together."""
    if args.objects is not None and Path(args.objects).suffix.lower() not in TABLE_SUFFIXES:
        raise InputError(f"{args.objects} must end in {' or '.join(TABLE_SUFFIXES)}.")
    pairs = pair_files(Path(args.truth), Path(args.prediction))
    if args.classes:
        return _run_classes(pairs, args.classes, as_json=args.json)
    found = {name: _evaluated(*files, volume=args.volumes) for name, files in pairs.items()}
    if args.objects is not None:
        _write_objects(Path(args.objects), found)
    scores = {name: one.scores for name, one in found.items()}
    everything = pool(scores.values())
    if args.json:
        values = {name: _plain(measures(one)) for name, one in scores.items()}
        say(json.dumps({"images": values, "all": _plain(measures(everything))}, indent=2))
        return 0
    if len(scores) > 1:
        say(_overview(scores, everything))
        say()
    say(table([[name, _shown(value)] for name, value in measures(everything).items()]))
    return 0


def _run_classes(
    pairs: dict[str, tuple[Path, Path]], names: Sequence[str], *, as_json: bool
) -> int:
    """Compare maps of classes instead of objects."""
    classes = ("background", *names)
    found = {
        name: score_classes(read_labels(truth)[0], read_labels(given)[0], len(classes))
        for name, (truth, given) in pairs.items()
    }
    every = class_measures(pool_classes(found.values()), classes)
    if as_json:
        images = {name: class_measures(one, classes) for name, one in found.items()}
        say(json.dumps({"images": images, "all": every}, indent=2))
    else:
        say(table([[name, _shown(value)] for name, value in every.items()]))
    return 0


def _overview(scores: dict[str, Scores], everything: Scores) -> str:
    columns = ("AP 0.50", "AP 0.70", "AP 0.90", "F1", "PQ", "Dice", "true objects")
    rows = [["", *columns]]
    for name, one in [*scores.items(), ("all", everything)]:
        values = measures(one)
        rows.append([name, *(_shown(values[column]) for column in columns)])
    return table(rows)


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _plain(values: dict[str, float]) -> dict[str, float | None]:
    """JSON knows no infinity."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _evaluated(truth: Path, prediction: Path, *, volume: bool) -> Evaluation:
    true_labels, labels = read_labels(truth)[0], read_labels(prediction)[0]
    if true_labels.shape != labels.shape:
        raise InputError(
            f"{truth.name} has the shape {true_labels.shape} and {prediction} {labels.shape}; "
            "they must be equal."
        )
    return evaluate(true_labels, labels, volume=volume)


def _write_objects(path: Path, found: dict[str, Evaluation]) -> None:
    """Write what became of each object, of all images one below the other."""
    dims = max(one.objects.center.shape[1] for one in found.values())
    tables = []
    for name, one in found.items():
        missing = dims - one.objects.center.shape[1]
        center = np.pad(one.objects.center, ((0, 0), (missing, 0)))  # a plane is the first of Z
        columns = replace(one.objects, center=center).columns("TZYX"[-dims:])
        tables.append({"image": np.full(len(one.objects), name)} | columns)
    write_table(path, {key: np.concatenate([one[key] for one in tables]) for key in tables[0]})
