"""Membranes of the ISBI 2012 challenge: network and recipe of the paper beside same-padded ones.

The last sections are held out. Printed for them: the foreground-restricted Rand score of the cells
(1 is perfect), and the pixel and warping error, all at threshold 0.5; and, as the challenge did,
the Rand score at the best of some thresholds, which flatters. The recipe of the paper is
SGD with momentum 0.99, batches of one large tile, elastic deformations, dropout, and weights
between touching cells; its rate is not in the paper. It learnt for 10 hours; say how long with
--steps.

python tests/benchmarks/membranes.py --steps 500 --width 16
python tests/benchmarks/membranes.py --steps 30000 --width 64 --patch 512  # width of the paper
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import tifffile
from numpy.typing import NDArray
from pictures import DATA, images_of
from scipy import ndimage

from napari_unet.commands.console import follow
from napari_unet.core import Example, Model, ModelConfig, segment
from napari_unet.core.augment import AugmentConfig
from napari_unet.core.matching import overlap_of
from napari_unet.core.metrics import Scores, pool, score
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.partition_metrics import foreground_rand
from napari_unet.core.train import iter_train
from napari_unet.core.train_settings import TRAIN_SETTINGS

FOLDER = "membranes-isbi2012"
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)

# Of the paper, section 3; what it does not name is left out.
PAPER = TrainSettings(
    batch=1,
    optimiser="sgd",
    schedule="constant",
    learning_rate=1e-3,
    weight_decay=0.0,
    augment=AugmentConfig(scale=(1.0, 1.0), contrast=(0.8, 1.25), gamma=(0.8, 1.25), noise=0.0),
)

WAYS = {
    "valid, recipe of the paper": ("unet-valid", 0.5, PAPER),
    "same-padded, the same recipe": ("unet", 0.5, PAPER),
    "same-padded, AdamW and cosine": ("unet", 0.0, replace(TRAIN_SETTINGS, batch=1)),
}


def read(name: str) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return a section (Y, X) and its cells, which membranes part, numbered."""
    image = tifffile.imread(DATA / FOLDER / "images" / f"{name}.tif")
    cells = tifffile.imread(DATA / FOLDER / "labels" / f"{name}.tif") != 0
    return image, ndimage.label(cells)[0].astype(np.int32)


def trained(way: str, names: list[str], args: argparse.Namespace) -> Model:
    """Train in one way."""
    architecture, dropout, settings = WAYS[way]
    config = ModelConfig(
        architecture, width=args.width, depth=args.depth, dropout=dropout, split=0.0
    )
    settings = replace(settings, patch=args.patch)
    examples = [Example(image, cells, axes="YX") for image, cells in map(read, names)]
    model: Model = follow(
        iter_train(examples, config, settings=settings, steps=args.steps, seed=args.seed), way
    )
    return model


def scores_of(model: Model, names: list[str]) -> tuple[Scores, float, float]:
    """Return the scores of objects, the best Rand score, the share of pixels of the wrong class."""
    scores, rand, wrong = [], [], []
    for name in names:
        image, cells = read(name)
        found = segment(image, model, axes="YX")
        cell = found.probability[1]
        scores.append(score(cells, found.labels))
        parts = [ndimage.label(cell > threshold)[0] for threshold in THRESHOLDS]
        rand.append([foreground_rand(overlap_of(cells, part)) for part in parts])
        wrong.append(float(np.mean((cell > 0.5) != (cells > 0))))
    return pool(scores), float(np.mean(rand, axis=0).max()), float(np.mean(wrong))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--patch", type=int, default=256)
    parser.add_argument("--held-out", type=int, default=6, help="sections at the end")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), metavar="WAY")
    args = parser.parse_args()
    names = images_of(DATA / FOLDER)
    taught, tested = names[: -args.held_out], names[-args.held_out :]
    print(
        f"{len(taught)} sections, {args.steps} steps of a patch of {args.patch}, "
        f"width {args.width}, depth {args.depth}; {len(tested)} held out",
        flush=True,
    )
    print(f"{'':32} Rand score    best  pixel error  warping error", flush=True)
    for way in args.ways:
        scores, best, wrong = scores_of(trained(way, taught, args), tested)
        print(
            f"{way:32} {scores.foreground_rand:10.3f}  {best:6.3f}  {wrong:11.4f}  "
            f"{scores.warping_error:13.6f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
