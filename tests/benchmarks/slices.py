"""What neighbouring slices bring a network of planes: one volume is learnt, another one tested.

Planes of the first volume of volumes-plantseg are learnt from, those of the second are tested, with
1 slice and with 3 and more at the same budget and seed. Printed for each: AP at IoU 0.5 of planes,
and of the objects of the volume that linking by overlap makes of what was found in the planes;
and, as a bound for linking, the same of the true planes when each is numbered by itself.

python tests/benchmarks/slices.py [--steps 200] [--width 8] [--slices 1 3 5]
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from napari_unet.commands.console import follow
from napari_unet.core.config import ModelConfig
from napari_unet.core.example import Example
from napari_unet.core.linking import link_by_overlap
from napari_unet.core.metrics import pool, score
from napari_unet.core.neighbours import plane_reader
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.segmentation import segment
from napari_unet.core.train import iter_train
from napari_unet.formats.images import read_image, read_labels
from real_data import data_folder


def main() -> None:
    """Print a line for each number of slices."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--slices", type=int, nargs="+", default=[1, 3, 5])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    first, second = (read(file) for file in volumes())
    apart = link_by_overlap(np.stack([numbered(plane) for plane in second[1]]), "ZYX")
    print(f"true planes, linked: AP {score(second[1], apart).average_precision[0.5]:.3f}")
    print("slices  AP of planes  objects  linked  AP of the volume")
    for slices in args.slices:
        print(line(first, second, slices, args), flush=True)


def volumes() -> list[Path]:
    """Return the two volumes."""
    return sorted((data_folder("volumes-plantseg") / "images").iterdir())[:2]


def read(file: Path) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return a volume and its labels, (Z, Y, X)."""
    image = read_image(file)[0]
    labels = read_labels(file.parents[1] / "labels" / file.name)[0].astype(np.int32)
    return image, labels


def numbered(plane: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number the objects of a plane by themselves, as segmenting does."""
    names, inverse = np.unique(plane, return_inverse=True)
    return (inverse.reshape(plane.shape) + (names[0] != 0)).astype(np.int32)


def line(
    first: tuple[NDArray[np.float32], NDArray[np.int32]],
    second: tuple[NDArray[np.float32], NDArray[np.int32]],
    slices: int,
    args: argparse.Namespace,
) -> str:
    """Train on the planes of the first volume, test on the second."""
    seen = plane_reader(first[0], "ZYX", slices=slices)
    examples = [
        Example(seen((z,)), labels, axes="CYX") for z, labels in enumerate(first[1]) if z % 2 == 0
    ]
    config = ModelConfig(
        in_channels=slices, slices=slices, width=args.width, depth=3, compress=0.1, split=0.3
    )
    settings = TrainSettings(patch=args.patch, batch=4, learning_rate=4e-3, average=0.98)
    rounds = iter_train(
        examples, config, settings=settings, steps=args.steps, seed=args.seed, device=args.device
    )
    model = follow(rounds, f"{slices} slices")
    found = segment(second[0], model, axes="ZYX", device=args.device).labels
    planes = pool([score(truth, labels) for truth, labels in zip(second[1], found, strict=True)])
    linked = link_by_overlap(found, "ZYX")
    scores = score(second[1], linked)
    return (
        f"{slices:6}  {planes.average_precision[0.5]:12.3f}  {scores.n_truth:7}  "
        f"{scores.n_predicted:6}  {scores.average_precision[0.5]:16.3f}"
    )


if __name__ == "__main__":
    main()
