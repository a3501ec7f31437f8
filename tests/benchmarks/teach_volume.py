"""A model of volumes is taught another kind of volume from a few slices of it, as the dock does.

It is trained briefly on the first volume of volumes-plantseg. Of the volume of
volumes-stardist-demo three slices are checked as a whole; that is learnt in patches as large as the
dock's where there is no graphics card. Printed is AP at IoU 0.5 of the whole volume before and
after, slices that were checked among them (three of 31), and the processor time of the lesson.

python tests/benchmarks/teach_volume.py [--steps 60] [--keep 0.5]
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from napari_unet.commands.console import follow
from napari_unet.core import Example, Model, ModelConfig, iter_finetune, iter_train, score, segment
from napari_unet.core.train_settings import TEACH_VOLUME_SETTINGS, VOLUME_SETTINGS
from napari_unet.engine.compute import QUICK_PATCH
from napari_unet.formats.images import read_image, read_labels
from real_data import data_folder

CHECKED = [8, 15, 22]


def main() -> None:
    """Print how well the volume is segmented before and after."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trained", type=int, default=60, help="steps on the other volume")
    parser.add_argument("--steps", type=int, nargs="+", default=[60])
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--keep", type=float, default=0.5)
    args = parser.parse_args()
    config = ModelConfig("unet-3d", width=args.width, depth=2, compress=0.1)
    known = Example(*read("volumes-plantseg"))
    settings = replace(VOLUME_SETTINGS, patch=QUICK_PATCH)
    rounds = iter_train([known], config, settings=settings, steps=args.trained, device="cpu")
    model = follow(rounds, "Training")
    image, labels = read("volumes-stardist-demo")
    print(f"before: {shown(model, image, labels)}", flush=True)
    checked = np.zeros(labels.shape, bool)
    checked[CHECKED] = True
    for steps in args.steps:
        start = time.process_time()
        lesson = iter_finetune(
            model,
            [Example(image, labels, checked)],
            steps=steps,
            keep=args.keep,
            settings=replace(TEACH_VOLUME_SETTINGS, patch=QUICK_PATCH),
            device="cpu",
        )
        taught, summary = follow(lesson, "Teaching")
        seconds = time.process_time() - start
        print(f"{steps} steps, {seconds:.1f} s of the processor: {summary.sentence}")
        print(f"after: {shown(taught, image, labels)}", flush=True)


def read(name: str) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the first volume of a set and its labels, (Z, Y, X)."""
    file = sorted((data_folder(name) / "images").iterdir())[0]
    labels = read_labels(file.parents[1] / "labels" / file.name)[0]
    return read_image(file)[0], labels.astype(np.int32)


def shown(model: Model, image: NDArray[np.float32], labels: NDArray[np.int32]) -> str:
    """Say how well a volume is segmented."""
    found = segment(image, model, axes="ZYX", device="cpu").labels
    scores = score(labels, found)
    precision = scores.average_precision[0.5]
    return f"AP 0.5 {precision:.3f}, {scores.n_predicted} of {scores.n_truth} objects"


if __name__ == "__main__":
    main()
