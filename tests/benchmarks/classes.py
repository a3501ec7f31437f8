"""Teach the bundled model classes from strokes, and score them on images never painted in.

Beside it, in the same run, what fitting the last layer alone gives: a classifier of pixels on what
the network knew before.

python tests/benchmarks/classes.py 30
python tests/benchmarks/classes.py --steps 100 --sets blood
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from pictures import DATA, images_of
from scipy import ndimage

from napari_unet.core import Example, Model, iter_finetune, load_model, segment, with_classes
from napari_unet.core.head import fit_head
from napari_unet.core.lesson import patch_sampler
from napari_unet.core.train_settings import TEACH_SETTINGS


@dataclass(frozen=True)
class Task:
    """A set of images with classes: which are taught, and how much is painted in each."""

    folder: str
    classes: tuple[str, ...]
    taught: int
    tested: int
    strokes: int  # of each class, in all images that are taught
    to_grey: Callable[[NDArray[Any]], NDArray[Any]]
    part: tuple[slice, slice] = np.s_[:, :]

    def read(self, name: str) -> tuple[NDArray[Any], NDArray[np.int32]]:
        """Return an image (Y, X) and its classes."""
        image = tifffile.imread(DATA / self.folder / "images" / f"{name}.tif")
        truth = tifffile.imread(DATA / self.folder / "labels" / f"{name}.tif")
        return self.to_grey(image)[self.part], truth[self.part].astype(np.int32)


TASKS = {
    "blood": Task(
        "wbc-multiclass", ("cytoplasm", "nucleus"), 4, 40, 24, lambda rgb: rgb.mean(axis=-1)
    ),
    "vessels": Task(
        "vessels-chase", ("vessel",), 1, 6, 40, lambda rgb: rgb[..., 1], np.s_[224:736, 224:736]
    ),
    "membranes": Task("membranes-isbi2012", ("cell",), 1, 6, 40, lambda grey: grey),
}


def strokes(
    truths: Sequence[NDArray[np.int32]], classes: int, count: int, seed: int
) -> list[NDArray[np.bool_]]:
    """Short strokes of each class, spread over the images as a person would scribble them."""
    rng = np.random.default_rng(seed)
    painted = [np.zeros(truth.shape, bool) for truth in truths]
    for number in range(classes):
        for turn in range(count):
            truth = truths[turn % len(truths)]
            places = np.argwhere(ndimage.binary_erosion(truth == number))
            if len(places):
                y, x = places[rng.integers(len(places))]
                box = np.s_[max(0, y - 1) : y + 2, max(0, x - 4) : x + 5]
                painted[turn % len(truths)][box] |= truth[box] == number
    return painted


def iou(task: Task, model: Model, names: Sequence[str]) -> list[float]:
    """Intersection over union of each class, the background first, over some images."""
    both, either = np.zeros((2, len(task.classes) + 1))
    for name in names:
        image, truth = task.read(name)
        found = segment(image, model, axes="YX").labels
        for number in range(len(both)):
            both[number] += np.count_nonzero((truth == number) & (found == number))
            either[number] += np.count_nonzero((truth == number) | (found == number))
    return [float(a / b) if b else float("nan") for a, b in zip(both, either, strict=True)]


def run(name: str, args: argparse.Namespace) -> None:
    """Teach one set, and print a row of the table for each way."""
    task = TASKS[name]
    names = images_of(DATA / task.folder)
    taught, tested = names[: task.taught], names[-task.tested :]
    read = [task.read(one) for one in taught]
    painted = strokes([truth for _, truth in read], len(task.classes) + 1, task.strokes, args.seed)
    examples = [
        Example(image, truth, checked, axes="YX", semantic=True)
        for (image, truth), checked in zip(read, painted, strict=True)
    ]
    model = with_classes(load_model(args.model), task.classes)
    alone = replace(model, network=copy.deepcopy(model.network))
    fit_head(alone.network, patch_sampler(examples, model.config, TEACH_SETTINGS, args.seed))
    lesson = iter_finetune(
        model,
        examples,
        seconds=None if args.steps else args.seconds,
        steps=args.steps,
        keep=args.keep,
        seed=args.seed,
    )
    while True:
        try:
            next(lesson)
        except StopIteration as end:
            taught_model, summary = end.value
            break
    pixels = sum(int(checked.sum()) for checked in painted)
    print(f"{name}: {pixels} px painted in {len(read)}, {summary.steps} steps. {summary.sentence}")
    for way, one in (("last layer", alone), ("taught", taught_model)):
        scores = iou(task, one, tested)
        classes = zip(("background", *task.classes), scores, strict=True)
        each = "  ".join(f"{label} {score:.3f}" for label, score in classes)
        print(f"  {way:12} mean IoU {np.mean(scores):.3f}   {each}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=30.0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--sets", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--keep", type=float, default=0.5)
    parser.add_argument("--model", default="nuclei-fluorescence")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for name in args.sets:
        run(name, args)


if __name__ == "__main__":
    main()
