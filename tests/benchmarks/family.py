"""Every network of planes, trained alike and briefly on four sets, and what it costs.

The same steps of the same patches, the same width, the poolings of each paper, one seed. With so
short a budget the table tells which networks learn fast, not which is best in the end: give more
--steps and a larger --width, on a graphics card, for that. Printed for what was held out: the
foreground-restricted Rand score (threshold 0.5) and pixel error of membranes, AP at IoU 0.5 of
nuclei (at their true size), Dice of vessels, mean IoU of blood cells; and once for each network its
parameters, floating-point operations, and pixels a second of processor time.

Rows are written to a file as they come, and those that are there are not made again.

python tests/benchmarks/family.py --out FOLDER
python tests/benchmarks/family.py --out FOLDER --steps 20000 --width 32 --patch 256 --device cuda
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any  # JSON values; images come in any dtype

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from pictures import DATA, NUCLEI, images_of
from scipy import ndimage
from tally import pooled, tally_of
from torch.utils.flop_counter import FlopCounterMode

from napari_unet.commands.console import follow
from napari_unet.core import Example, Model, ModelConfig, load_model, score, segment
from napari_unet.core.architectures import ARCHITECTURES, OF_PLANES
from napari_unet.core.augment import AugmentConfig
from napari_unet.core.class_metrics import pool_classes, score_classes
from napari_unet.core.loss_config import LossConfig
from napari_unet.core.metrics import pool
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.predict import predict_plane
from napari_unet.core.size import median_diameter
from napari_unet.core.tiling import network_geometry
from napari_unet.core.train import iter_train

SIDE = 512  # of what time is taken on, and of the middle of a retina that is tested
ROUNDS = 3

# Turned, mirrored, bent; intensities varied little, since thin and faint things are to be learnt.
MILD = AugmentConfig(
    elastic_sigma=3.0, scale=(0.8, 1.25), brightness=0.05, contrast=(0.8, 1.25),
    gamma=(0.8, 1.25), noise=0.01, blur=0.3,
)  # fmt: skip
SETTINGS = TrainSettings(batch=4, learning_rate=4e-3, average=0.99, side_weight=1.0, augment=MILD)


@dataclass(frozen=True)
class Set:
    """A set of images: what is learnt and tested, and how it is scored."""

    folder: str
    scores: tuple[str, ...]
    held_out: Callable[[list[str]], list[str]]
    to_yx: Callable[[NDArray[Any]], NDArray[Any]] = lambda image: image
    to_labels: Callable[[NDArray[Any]], NDArray[Any]] = lambda labels: labels
    classes: tuple[str, ...] = ()  # none: objects
    loss: str = "weighted-ce"
    diameter: float | None = None
    most: int = 120  # images that are learnt from
    tested: int = 100
    middle: bool = False  # only the middle is tested

    def read(self, name: str) -> tuple[NDArray[Any], NDArray[np.int32]]:
        """Return an image (C, Y, X) and its labels (Y, X)."""
        image = tifffile.imread(DATA / self.folder / "images" / f"{name}.tif")
        labels = tifffile.imread(DATA / self.folder / "labels" / f"{name}.tif")
        image = self.to_yx(image)
        image = image[None] if image.ndim == 2 else image
        return image, self.to_labels(labels).astype(np.int32)

    @property
    def names(self) -> tuple[list[str], list[str]]:
        """Return what is learnt from and what is tested on."""
        every = images_of(DATA / self.folder)
        held_out = self.held_out(every)
        left = [name for name in every if name not in set(held_out)]
        return left[:: -(-len(left) // self.most)], held_out[: self.tested]

    def config(self, architecture: str, width: int) -> ModelConfig:
        """Return the settings of a network for this set."""
        shape = ModelConfig(
            architecture,
            in_channels=len(self.read(images_of(DATA / self.folder)[0])[0]),
            width=width,
            depth=ARCHITECTURES[architecture].depth,
            diameter=self.diameter,
            compress=0.1 if self.folder == NUCLEI else 0.0,
        )
        if not self.classes:
            return replace(shape, split=0.5 if self.diameter else 0.0)
        return replace(shape, classes=("background", *self.classes), semantic=True, min_size=0)

    def example(self, name: str) -> Example:
        """Return one image as it is learnt from."""
        image, labels = self.read(name)
        size = median_diameter([labels]) if self.diameter else None
        usual = self.diameter if size is None else size
        return Example(image, labels, axes="CYX", diameter=usual, semantic=bool(self.classes))


def held_out_nuclei(names: list[str]) -> list[str]:
    """Return those that the bundled model has not learnt from either."""
    held_out = load_model("nuclei-fluorescence").card.held_out
    return [name for name in names if name in held_out]


SETS = {
    "membranes": Set(
        "membranes-isbi2012",
        ("Rand score", "pixel error"),
        lambda names: names[-6:],
        to_labels=lambda cells: ndimage.label(cells != 0)[0],
    ),
    "nuclei": Set(
        NUCLEI,
        ("AP 0.5",),
        held_out_nuclei,
        diameter=24.0,
        tested=18,
    ),
    "vessels": Set(
        "vessels-chase",
        ("Dice",),
        lambda names: names[-6:],
        to_yx=lambda rgb: rgb[..., 1],
        classes=("vessel",),
        loss="ce+dice",
        middle=True,
    ),
    "blood": Set(
        "wbc-multiclass",
        ("mean IoU",),
        lambda names: names[4::5],
        to_yx=lambda rgb: np.moveaxis(rgb, -1, 0),
        classes=("cytoplasm", "nucleus"),
        loss="ce",
    ),
}  # fmt: skip


def main() -> None:
    """Make the rows that are not there yet, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the rows")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--networks", nargs="+", choices=OF_PLANES, default=list(OF_PLANES))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--patch", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--only-print", action="store_true", help="what is there already")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = Rows(
        args.out / f"steps{args.steps}-width{args.width}-patch{args.patch}-{args.seed}.json"
    )
    if not args.only_print:
        for name in args.networks:
            rows.fill(f"{name} costs", lambda name=name: costs(name, args))
            for of in args.sets:
                rows.fill(f"{name} {of}", lambda name=name, of=of: tried(name, SETS[of], args))
    table(rows, args)


class Rows:
    """What was measured, by name, kept in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.values: dict[str, dict[str, float]] = {}
        if file.is_file():
            self.values = json.loads(file.read_text(encoding="utf-8"))

    def fill(self, name: str, measure: Callable[[], dict[str, float]]) -> None:
        """Measure what is not there, and write it down."""
        if name in self.values:
            return
        start = time.process_time()
        measured = measure()
        self.values[name] = measured | {"processor s": round(time.process_time() - start, 1)}
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(self.values, indent=1), encoding="utf-8")
        part.replace(self._file)
        print(name, self.values[name], flush=True)


def costs(architecture: str, args: argparse.Namespace) -> dict[str, float]:
    """Count weights and operations, and take the time of an answer."""
    config = ModelConfig(architecture, width=args.width, depth=ARCHITECTURES[architecture].depth)
    model = Model.fresh(config)
    side = network_geometry(config).patch_side(SIDE)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        answer = model.network(torch.zeros(1, 1, side, side))
    image = np.random.default_rng(0).random((1, SIDE, SIDE), np.float32)
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time() if args.device in ("auto", "cpu") else time.perf_counter()
        predict_plane(image, model, device=args.device, precision=args.precision)
        now = time.process_time() if args.device in ("auto", "cpu") else time.perf_counter()
        seconds.append(now - start)
    return {
        "M parameters": sum(one.numel() for one in model.network.parameters()) / 1e6,
        "GFLOP a Mpx": counter.get_total_flops() / answer[0, 0].numel() / 1e3,
        "Mpx a s": SIDE**2 / min(seconds) / 1e6,
    }


def tried(architecture: str, of: Set, args: argparse.Namespace) -> dict[str, float]:
    """Train one network on one set, and score it on what was held out."""
    taught, tested = of.names
    settings = replace(SETTINGS, patch=args.patch, loss=LossConfig.parse(of.loss))
    where = {"device": args.device, "precision": args.precision}
    rounds = iter_train(
        [of.example(name) for name in taught],
        of.config(architecture, args.width),
        settings=settings,
        steps=args.steps,
        seed=args.seed,
        **where,
    )
    start = time.process_time()
    model: Model = follow(rounds, f"{architecture}, {of.folder}")
    trained_s = time.process_time() - start
    return scored(model, of, tested, where) | {"training s": round(trained_s, 1)}


def scored(model: Model, of: Set, names: list[str], where: dict[str, str]) -> dict[str, float]:
    """Return the scores of a set over some of its images."""
    objects, classes, tallies, wrong = [], [], [], []
    for name in names:
        image, truth = of.read(name)
        if of.middle:
            top, left = ((size - SIDE) // 2 for size in truth.shape)
            part = np.s_[..., top : top + SIDE, left : left + SIDE]
            image, truth = image[part], truth[part]
        size = median_diameter([truth]) or of.diameter if of.diameter else None
        found = segment(image, model, axes="CYX", diameter=size, **where)
        if of.classes:
            classes.append(score_classes(truth, found.labels, len(of.classes) + 1))
        elif of.diameter:
            tallies.append(tally_of(truth, found.labels))
        else:
            objects.append(score(truth, found.labels))
            wrong.append(float(np.mean((found.probability[1] > 0.5) != (truth > 0))))
    if tallies:
        return {"AP 0.5": pooled(tallies).precision(0.5)}
    if objects:
        return {"Rand score": pool(objects).foreground_rand, "pixel error": float(np.mean(wrong))}
    together = pool_classes(classes)
    return {"mean IoU": together.mean_iou, "Dice": float(together.dice[1])}


def table(rows: Rows, args: argparse.Namespace) -> None:
    """Print a row for each network."""
    counts = ", ".join(f"{of} {len(s.names[0])} and {len(s.names[1])}" for of, s in SETS.items())
    print(
        f"\n{args.steps} steps of 4 patches of {args.patch}, width {args.width}, seed {args.seed}; "
        f"images learnt from and held out: {counts}"
    )
    costed = ("M parameters", "GFLOP a Mpx", "Mpx a s")
    heads = [f"{of}: {one}" for of in args.sets for one in SETS[of].scores]
    print("| network | " + " | ".join((*heads, *costed)) + " |")
    print("| --- |" + " --: |" * (len(heads) + len(costed)))
    for name in args.networks:
        cells = [
            _shown(rows.values.get(f"{name} {of}", {}).get(one), 3)
            for of in args.sets
            for one in SETS[of].scores
        ]
        cells += [
            _shown(rows.values.get(f"{name} costs", {}).get(one), places)
            for one, places in zip(costed, (3, 1, 2), strict=True)
        ]
        print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)


def _shown(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:.{places}f}"


if __name__ == "__main__":
    main()
