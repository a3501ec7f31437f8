"""`napari-unet evaluate`: compare label images with the truth."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from napari_unet.commands.console import say, table
from napari_unet.commands.inputs import pair_files
from napari_unet.core.errors import InputError
from napari_unet.core.metrics import Scores, pool, score
from napari_unet.formats.images import read_labels

__all__ = ["measures", "run"]


def run(args: argparse.Namespace) -> int:
    """Score every image that truth and prediction have in common, and all together."""
    pairs = pair_files(Path(args.truth), Path(args.prediction))
    scores = {name: _score(*files) for name, files in pairs.items()}
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


def measures(scores: Scores) -> dict[str, float]:
    """Return every measure by its name, in the order in which they are shown."""
    return {
        "true objects": scores.n_truth,
        "predicted objects": scores.n_predicted,
        "matched at IoU 0.5": scores.found[0],
        **{f"AP {at:.2f}": value for at, value in scores.average_precision.items()},
        "mean AP": scores.mean_average_precision,
        "F1": scores.f1,
        "precision": scores.precision,
        "recall": scores.recall,
        "PQ": scores.panoptic_quality,
        "SQ": scores.segmentation_quality,
        "Dice": scores.dice,
        "IoU": scores.iou,
        "pixel error": scores.pixel_error,
        "boundary F1": scores.boundary_f1,
        "Hausdorff distance": scores.hausdorff,
        "mean surface distance": scores.surface_distance,
        "Rand index": scores.rand_index,
        "foreground Rand": scores.foreground_rand,
        "split information": scores.split_information,
        "merge information": scores.merge_information,
    }


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


def _score(truth: Path, prediction: Path) -> Scores:
    true_labels, labels = read_labels(truth)[0], read_labels(prediction)[0]
    if true_labels.shape != labels.shape:
        raise InputError(
            f"{truth.name} has the shape {true_labels.shape} and {prediction} {labels.shape}; "
            "they must be equal."
        )
    return score(true_labels, labels)
