"""Teach from images in which a few nuclei are labelled: do the others stay?

python tests/benchmarks/sparse.py 30
python tests/benchmarks/sparse.py --steps 100

Each image of nuclei-bbbc007-sparse has 6 to 9 labelled nuclei; the rest is unlabelled, and
unchecked here. Each is taught by itself, and all together. Printed are the mean IoU of the labelled
ones before and after, and how many of the other objects that were found before are found after, at
IoU 0.5.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pictures import DATA, Picture, images_of, pictures
from teach import best_iou, ended

from napari_unet.core import Example, Model, iter_finetune, load_model, segment
from napari_unet.core.checked import check_objects


def example_of(picture: Picture) -> Example:
    """The labelled nuclei are checked, with a rim around each."""
    checked = np.zeros(picture.truth.shape, np.uint8)
    numbers = np.unique(picture.truth)
    check_objects(checked, picture.truth, numbers[numbers > 0], usual=picture.diameter)
    return Example(picture.image, picture.truth, checked != 0, "YX", picture.diameter)


def found(picture: Picture, model: Model) -> NDArray[np.int32]:
    """Return what a user would get."""
    return segment(picture.image, model, axes="YX").labels


def others(picture: Picture, labels: NDArray[np.int32]) -> list[int]:
    """Return the objects that none of the labelled nuclei touches."""
    beside = np.unique(labels[picture.truth > 0])
    return [int(n) for n in np.unique(labels) if n and n not in beside]


def row(name: str, before: Model, after: Model, images: Sequence[Picture]) -> tuple[int, int]:
    """Print what became of some images; return how many others there were and are left."""
    old_iou, new_iou, count, left = [], [], 0, 0
    for picture in images:
        old, new = found(picture, before), found(picture, after)
        old_iou += best_iou(picture.truth, old).values()
        new_iou += best_iou(picture.truth, new).values()
        ious = best_iou(old, new)
        rest = others(picture, old)
        count += len(rest)
        left += sum(ious[number] >= 0.5 for number in rest)
    print(
        f"{name:24} labelled {len(old_iou):3d}, IoU {np.mean(old_iou):.2f} -> "
        f"{np.mean(new_iou):.2f}   others {count:4d}, still found {left:4d}",
        flush=True,
    )
    return count, left


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=30.0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--keep", type=float, default=0.5)
    parser.add_argument("--model", default="nuclei-fluorescence")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of sets")
    args = parser.parse_args()
    model = load_model(args.model)
    folder = args.data / "nuclei-bbbc007-sparse"
    images = list(pictures(folder, images_of(folder)))
    length = {"seconds": args.seconds} if args.steps is None else {"steps": args.steps}
    total, left = 0, 0
    for picture in [*images, None]:
        shown = images if picture is None else [picture]
        lesson = iter_finetune(model, [example_of(p) for p in shown], keep=args.keep, **length)
        taught, summary = ended(lesson)
        name = "all together" if picture is None else picture.name
        counts = row(name, model, taught if summary.improved else model, shown)
        total, left = total + counts[0], left + counts[1]
    print(f"of {total} others {left} are still found, {left / max(1, total):.3f}")


if __name__ == "__main__":
    main()
