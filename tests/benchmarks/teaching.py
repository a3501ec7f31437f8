"""Teach the bundled model a few scenes from a handful of corrected objects.

python tests/benchmarks/teaching.py 30
python tests/benchmarks/teaching.py --steps 100 --keep 0 0.5 1 --scenes dark phase drawn coins

"Known" are fluorescence images that the model was not trained on, of the kind that it was: what it
forgets. The last lines are the means over the scenes for each place of the slider.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_unet import sample_data
from napari_unet.commands.demo.lesson import Correction, correct_worst, score_untouched
from napari_unet.core import Example, Model, load_model, score, segment
from napari_unet.core.drawn import photograph
from napari_unet.core.fine_tuning import iter_finetune
from napari_unet.core.metrics import pool
from napari_unet.core.train_settings import TEACH_SETTINGS

SETS = Path(os.environ.get("NAPARI_UNET_DATA", Path(__file__).parents[3] / "shared" / "data"))
SIDE = 512  # of the part of a large image that is used
Scene = tuple[NDArray[Any], NDArray[np.int32], int]


def real(name: str, image: str) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """The upper left part of an image and its truth."""
    part = np.s_[:SIDE, :SIDE]
    folder = SETS / name
    truth = tifffile.imread(folder / "labels" / f"{image}.tif")[part]
    return tifffile.imread(folder / "images" / f"{image}.tif")[part], truth.astype(np.int32)


def touching(seed: int = 0, size: int = 384) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Pairs of discs pressed together: a faint dent in the light is all that parts them."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((size, size), np.int32)
    light = np.zeros((size, size))
    y, x = np.mgrid[:size, :size]
    for index, (row, column) in enumerate(np.ndindex(size // 64, size // 64)):
        angle, radius = rng.uniform(0, np.pi), rng.uniform(11, 14)
        middle = 64 * np.array([row, column]) + 32 + rng.integers(-4, 5, 2)
        away = radius * 0.92 * np.array([np.sin(angle), np.cos(angle)])
        near = [np.hypot(y - c[0], x - c[1]) for c in (middle - away, middle + away)]
        for half, other in ((0, 1), (1, 0)):
            inside = (near[half] < radius) & (near[half] <= near[other]) & (truth == 0)
            truth[inside] = 2 * index + half + 1
            light[inside] = 0.6 + 0.4 * np.sqrt(np.clip(1 - near[half][inside] / radius, 0, 1))
    return photograph(120 * light + 15, rng), truth


SCENES: dict[str, Callable[[], Scene]] = {
    "coins": lambda: (*sample_data.coins(negative=True), 6),
    "touching": lambda: (*touching(), 6),
    "drawn": lambda: (*sample_data.nuclei(seed=3), 6),
    "dark": lambda: (lambda i, t: (i.max() - i, t, 8))(*sample_data.nuclei(seed=0)),
    "phase": lambda: (*real("cells-phase-t98g", "set1"), 8),
    "crowded": lambda: (*real("nuclei-dsb2018", "d751ccb64fa7"), 6),
}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    scene: str
    keep: float
    corrected: int
    steps: int
    seconds: float
    scene_ap: tuple[float, float]
    area: tuple[float, float]  # found, against the true one
    split: tuple[float, float]  # fused objects of the scene
    known_ap: tuple[float, float]
    known_7: tuple[float, float]
    sentence: str

    def __str__(self) -> str:
        pairs = (self.scene_ap, self.area, self.split, self.known_ap, self.known_7)
        figures = "  ".join(f"{before:.2f} -> {after:.2f}" for before, after in pairs)
        start = f"{self.scene:9} {self.keep:4g} {self.corrected:3d} {self.steps:4d} "
        return start + f"{self.seconds:5.1f}  {figures}  {self.sentence}"


def known_images(model: Model) -> list[tuple[NDArray[Any], NDArray[np.int32]]]:
    """Fluorescence that the model was not trained on: nothing of it may be forgotten.

    Drawn only where there are no real images: drawn scenes may be rehearsed, and flatter.
    """
    if not (SETS / "nuclei-dsb2018").is_dir():
        return [sample_data.nuclei((320, 320), seed=seed) for seed in (11, 12)]
    return [real("nuclei-dsb2018", name) for name in sorted(model.card.held_out)[::7]]


def found(image: NDArray[Any], model: Model) -> NDArray[np.int32]:
    """Labels with the model's own defaults."""
    return segment(image, model, axes="YX").labels


def known_score(model: Model, known: list[Any]) -> tuple[float, float]:
    """AP at IoU 0.5 and 0.7 over all that the model knew."""
    precision = pool(score(truth, found(image, model)) for image, truth in known)
    return precision.average_precision[0.5], precision.average_precision[0.7]


def area(truth: NDArray[np.int32], labels: NDArray[np.int32], correction: Correction) -> float:
    """Pixels of objects, found and true, where nothing was checked."""
    there = ~correction.checked
    return float(np.count_nonzero(labels[there]) / max(1, np.count_nonzero(truth[there])))


def fused(truth: NDArray[np.int32], labels: NDArray[np.int32], correction: Correction) -> float:
    """How many objects, per true one left alone, share a found one with another."""
    alone = np.setdiff1d(np.unique(truth[truth > 0]), correction.corrected)
    owner = [np.bincount(labels[truth == n]).argmax() for n in alone]
    values, counts = np.unique([o for o in owner if o], return_counts=True)
    del values
    return float((counts[counts > 1]).sum() / max(1, len(alone)))


def runs(args: argparse.Namespace) -> Iterator[Row]:
    """Teach every scene in every way that was asked for."""
    loaded = load_model(args.model)
    known = known_images(loaded)
    known_before = known_score(loaded, known)
    given = {
        name: getattr(args, name)
        for name in ("patch", "batch", "learning_rate", "average", "frozen")
    }
    given = {name: value for name, value in given.items() if value is not None}
    settings = replace(TEACH_SETTINGS, **given) if given else None  # as the dock chooses
    for name in args.scenes:
        image, truth, count = SCENES[name]()
        # Of touching nuclei the network itself shall learn the gap, without help afterwards.
        model = replace(loaded, config=replace(loaded.config, split=0.0))
        model = model if name == "touching" else loaded
        before = found(image, model)
        correction = correct_worst(truth, before, count)
        example = Example(image, correction.labels, correction.checked, axes="YX")
        for keep in args.keep:
            start = time.monotonic()
            more = {} if keep is None else {"keep": keep}
            rounds = iter_finetune(
                model,
                [example],
                seconds=args.seconds if args.steps is None else None,
                steps=args.steps,
                settings=settings,
                seed=args.seed,
                **more,
            )
            while True:
                try:
                    next(rounds)
                except StopIteration as end:
                    taught, summary = end.value
                    break
            seconds = time.monotonic() - start
            after = found(image, taught)
            scores = [score_untouched(truth, labels, correction) for labels in (before, after)]
            split = replace(taught.config, split=loaded.config.split)
            now = known_score(replace(taught, config=split), known)
            yield Row(
                name,
                -1 if keep is None else keep,
                len(correction.corrected),
                summary.steps,
                seconds,
                (scores[0].average_precision[0.5], scores[1].average_precision[0.5]),
                (area(truth, before, correction), area(truth, after, correction)),
                (fused(truth, before, correction), fused(truth, after, correction)),
                (known_before[0], now[0]),
                (known_before[1], now[1]),
                summary.sentence if args.sentences else "",
            )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=30.0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--scenes", nargs="+", choices=SCENES)
    parser.add_argument("--keep", nargs="+", type=float, default=[None])
    parser.add_argument("--model", default="nuclei-fluorescence")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--patch", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--average", type=float)
    parser.add_argument("--freeze", type=int, dest="frozen", help="levels that stay as they are")
    parser.add_argument("--sentences", action="store_true")
    args = parser.parse_args()
    if args.scenes is None:
        args.scenes = [n for n in SCENES if SETS.is_dir() or n not in ("phase", "crowded")]
    print(
        "scene     keep  n  steps  time  AP@0.5 rest   area          fused         known AP@0.5  "
        "known AP@0.7"
    )
    rows: list[Row] = []
    for row in runs(args):
        print(row, flush=True)
        rows.append(row)
    for keep in dict.fromkeys(row.keep for row in rows):
        of = [row for row in rows if row.keep == keep]
        learnt = np.mean([row.scene_ap[1] for row in of])
        falls = [row.known_ap[0] - row.known_ap[1] for row in of]
        print(
            f"keep {keep:g}: learnt {learnt:.2f}, known falls by {np.mean(falls):.2f}, "
            f"{max(falls):.2f} at the most"
        )


if __name__ == "__main__":
    main()
