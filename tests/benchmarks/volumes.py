"""A model of volumes learns one volume of each set by heart, and segments it.

It shows that the whole way works on real microscopy, not how well other volumes are segmented: what
is scored is what was learnt. Prints AP and how long a step took; 1 if AP at IoU 0.5 is below 0.7.

python tests/benchmarks/volumes.py [--steps 300] [--width 8] [--set volumes-plantseg]
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from napari_unet.core.augment import AugmentConfig
from napari_unet.core.calibrate_volumes import calibrate_volumes
from napari_unet.core.config import ModelConfig
from napari_unet.core.example import Example
from napari_unet.core.metrics import score
from napari_unet.core.model_file import Model
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.segmentation import segment
from napari_unet.core.train import iter_train
from napari_unet.formats.images import read_image, read_labels
from real_data import data_folder

SETS = ("volumes-stardist-demo", "volumes-plantseg")
WANTED = 0.7

# What is to be known by heart is not varied but by turns and mirror images.
BY_HEART = replace(AugmentConfig.unvaried(flip=True), rotate=True)


def main() -> int:
    """Print a line for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=SETS, nargs="+", default=SETS)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--patch", type=int, default=32)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    good = True
    print("set                    objects  found  AP 0.50  AP 0.70  AP 0.90   loss  s a step")
    for name in args.set:
        good &= tried(name, args) >= WANTED
    return 0 if good else 1


def tried(name: str, args: argparse.Namespace) -> float:
    """Learn the first volume of a set, segment it, print what came out and return the AP."""
    file = sorted((data_folder(name) / "images").iterdir())[0]
    image, labels = read_image(file)[0], read_labels(file.parents[1] / "labels" / file.name)[0]
    example = Example(image, labels)
    start = time.monotonic()
    model, loss = learnt(example, args)
    seconds = (time.monotonic() - start) / args.steps
    model = calibrate_volumes(model, [example], device=args.device, precision=args.precision)
    found = segment(image, model, axes="ZYX", device=args.device, precision=args.precision)
    scores = score(labels, found.labels)
    precision = scores.average_precision
    shown = "  ".join(f"{precision[iou]:7.3f}" for iou in (0.5, 0.7, 0.9))
    counts = f"{scores.n_truth:7}  {scores.n_predicted:5}"
    print(f"{name:22} {counts}  {shown}  {loss:5.3f}  {seconds:.2f}", flush=True)
    config = model.config
    print(f"  threshold {config.threshold}, split {config.split}, smallest {config.min_size}")
    return precision[0.5]


def learnt(example: Example, args: argparse.Namespace) -> tuple[Model, float]:
    """Train and return the model, and the loss at the end."""
    config = ModelConfig("unet-3d", width=args.width, depth=args.depth, compress=0.1)
    settings = TrainSettings(
        patch=args.patch, batch=args.batch, learning_rate=5e-3, average=0.98, augment=BY_HEART
    )
    where = {"device": args.device, "precision": args.precision}
    rounds = iter_train([example], config, settings=settings, steps=args.steps, **where)
    loss = float("nan")
    while True:
        try:
            loss = next(rounds).loss
        except StopIteration as end:
            return end.value, loss


if __name__ == "__main__":
    sys.exit(main())
