"""How well a model finds nuclei, by the settings with which objects are made.

python tests/benchmarks/accuracy.py [DATA_DIR] [--images held-out|60] [--threshold 0.4 0.5 0.6]
    [--min-size 10 20 40] [--split 0 0.5] [--cache FILE.npz]

Images are those that the model's card says were held out, or a number of others at random:
choose settings on the others and report them on the held-out ones. The network runs once.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import itertools
import random
import sys
import time
from pathlib import Path

import numpy as np
import tifffile

from napari_unet.core import load_model
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.matching import overlap_of
from napari_unet.core.model_file import Model
from napari_unet.core.predict import predict_plane

IOUS = (0.5, 0.6, 0.7, 0.8, 0.9)


def main() -> int:
    """Print a row of AP at several IoU for each combination of settings."""
    options = parsed()
    folder = options.data / "nuclei-dsb2018"
    model = load_model(options.model)
    names = chosen(folder, options.images, model)
    if not names:
        print(f"No images in {folder}: give the data folder as the argument.")
        return 2
    maps = probabilities(folder, names, model, options.cache)
    truths = [tifffile.imread(folder / "labels" / f"{name}.tif") for name in names]
    print(f"{len(names)} images ({options.images}), {options.model}; AP at IoU")
    print("threshold  smallest  split  " + "   ".join(f"{iou:.2f}" for iou in IOUS) + "   ms/Mpx")
    config = model.config
    for threshold, min_size, split in itertools.product(
        options.threshold or [config.threshold],
        options.min_size or [config.min_size],
        options.split or [config.split],
    ):
        start = time.perf_counter()
        found = [
            probability_to_labels(map_, threshold=threshold, min_size=min_size, split=split)
            for map_ in maps
        ]
        speed = 1e3 * (time.perf_counter() - start) / sum(map_.size for map_ in maps) * 2**20
        row = "  ".join(f"{value:.3f}" for value in precisions(truths, found))
        print(f"{threshold:9.2f}  {min_size:8}  {split:5.2f}  {row}  {speed:6.0f}", flush=True)
    return 0


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", default="nuclei-fluorescence")
    parser.add_argument("--images", default="held-out", help="held-out, or how many others")
    parser.add_argument("--threshold", type=float, nargs="+")
    parser.add_argument("--min-size", type=int, nargs="+")
    parser.add_argument("--split", type=float, nargs="+")
    parser.add_argument("--cache", type=Path, help="keep the probabilities in this file")
    return parser.parse_args()


def chosen(folder: Path, which: str, model: Model) -> list[str]:
    """Name the held-out images, or so many others, always the same."""
    names = sorted(file.stem for file in (folder / "images").glob("*.tif"))
    held_out = set(model.card.held_out)
    if which == "held-out":
        return [name for name in names if name in held_out]
    others = [name for name in names if name not in held_out]
    return sorted(random.Random(7).sample(others, min(int(which), len(others))))


def probabilities(
    folder: Path, names: list[str], model: Model, cache: Path | None
) -> list[np.ndarray]:
    """Return the foreground probability of each image, float32."""
    if cache is not None and cache.is_file():
        with np.load(cache) as kept:
            if set(names) <= set(kept):
                return [kept[name] for name in names]
    maps = {}
    for done, name in enumerate(names):
        image = tifffile.imread(folder / "images" / f"{name}.tif")
        maps[name] = 1 - predict_plane(image[None], model, precision="float32")[0]
        print(f"{done + 1}/{len(names)}", end="\r", file=sys.stderr)
    if cache is not None:
        np.savez_compressed(cache, **maps)
    return list(maps.values())


def precisions(truths: list[np.ndarray], found: list[np.ndarray]) -> list[float]:
    """Average precision, TP / (TP + FP + FN), of all images together at each of `IOUS`."""
    overlaps = [overlap_of(*pair) for pair in zip(truths, found, strict=True)]
    objects = sum(overlap.n_truth + overlap.n_predicted for overlap in overlaps)
    hits = [sum(len(overlap.matched(iou)[0]) for overlap in overlaps) for iou in IOUS]
    return [hit / max(1, objects - hit) for hit in hits]


if __name__ == "__main__":
    sys.exit(main())
