"""Ten corrected nuclei of a look that the model has never seen, against dense annotation.

python tests/benchmarks/unlike.py --looks FOLDER --seconds 60
python tests/benchmarks/unlike.py --looks FOLDER --only 1 4 --steps 200

FOLDER holds the groups, and the models trained without one of them each, that
`python tests/benchmarks/looks.py --out FOLDER` made. Of some images of a group the ten worst nuclei
are corrected in one and taught; the same model is taught all of that image. Printed are AP at IoU
0.5 on the other images of the group before and after both, what part of the gain of dense
annotation ten nuclei gave, and AP on images of the other looks, which were known.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from looks import GROUPS, Group, read_groups
from pictures import DATA, NUCLEI, Picture, images_of, pictures
from tally import pooled
from teach import Desk, ended, in_view, tally

from napari_unet.core import Example, Model, iter_finetune, load_model, segment
from napari_unet.core.measure import measure_diameter
from napari_unet.session.object_size import checked_diameter

CELLS = 10
LOWERED = 0.01  # by more than this AP must never fall
KNOWN = 40  # every so many of the images of other looks


@dataclass(frozen=True)
class Row:
    """One image corrected; AP at IoU 0.5 before, after ten nuclei, after all of the image."""

    group: int
    image: str
    corrected: int
    there: int
    others: tuple[float, float, float]
    known: tuple[float, float, float]

    def __str__(self) -> str:
        figures = "   ".join(
            "  ".join(f"{ap:.3f}" for ap in scores) for scores in (self.others, self.known)
        )
        return (
            f"{self.group:5}  {self.image:12}  {self.corrected:3d} of {self.there:3d}   {figures}"
        )


def main() -> int:
    """Print the table and what follows from it."""
    options = parsed()
    folder = options.data / NUCLEI
    groups = {g.number: g for g in read_groups(folder, options.looks, GROUPS)}
    rows: list[Row] = []
    print(
        "group  image         corrected    others: before, ten, dense   known: before, ten, dense"
    )
    for number in options.only or sorted(groups):
        file = options.looks / f"group-{number}.safetensors"
        if not file.is_file():
            continue
        for row in runs(groups[number], load_model(file), folder, options):
            print(row, flush=True)
            rows.append(row)
    if not rows:
        print(f"No models in {options.looks}: make them with looks.py.")
        return 2
    before, ten, dense = np.mean([row.others for row in rows], axis=0)
    lowered = sum(row.others[1] < row.others[0] - LOWERED for row in rows)
    fall = max(row.known[0] - row.known[1] for row in rows)
    print(
        f"{len(rows)} runs: ten nuclei gain {ten - before:.3f}, dense annotation "
        f"{dense - before:.3f}: {(ten - before) / max(1e-9, dense - before):.2f} of it; lowered by "
        f"more than {LOWERED} in {lowered}; known falls by {fall:.3f} at the most"
    )
    return 0


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of sets")
    parser.add_argument("--looks", type=Path, required=True, help="--out of looks.py")
    parser.add_argument("--only", type=int, nargs="+", default=[], help="numbers of groups")
    parser.add_argument("--images", type=int, default=2, help="corrected of a group (%(default)s)")
    parser.add_argument("--tested", type=int, default=8, help="others of a group (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a lesson (%(default)s)")
    parser.add_argument("--steps", type=int, help="of a lesson, instead of seconds")
    parser.add_argument("--keep", type=float, default=0.5)
    return parser.parse_args()


def runs(group: Group, model: Model, folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    """Teach from some images of a group, each by itself."""
    # Spread over the group, so that those of one field of view are not all there is.
    names = group.names[:: max(1, len(group.names) // (options.images + options.tested))]
    images = [in_view(p) for p in pictures(folder, names)]
    others = [name for name in images_of(folder) if name not in group.names]
    known = [in_view(p) for p in pictures(folder, others[::KNOWN])]
    enough = [p for p in images if len(np.unique(p.truth)) > CELLS]
    for picture in enough[: options.images]:
        rest = [p for p in images if p is not picture][: options.tested]
        size = measure_diameter(picture.image[None], model)
        desk = Desk(picture)
        corrected = desk.correct(segment(picture.image, model, axes="YX").labels, CELLS)
        whole = Example(picture.image, picture.truth, None, "YX")
        both = [as_the_dock(example, size) for example in (desk.example, whole)]
        models = [model, *(taught(model, one, options) for one in both)]
        there = int(np.count_nonzero(np.unique(picture.truth)))
        scores = [tuple(precision(one, of) for one in models) for of in (rest, known)]
        yield Row(group.number, picture.name, corrected, there, *scores)


def as_the_dock(example: Example, size: float | None) -> Example:
    """Return it at the size at which the dock teaches it: the ten worst may be no measure of it."""
    checked = checked_diameter([(example.labels, example.mask)], size)
    return replace(example, diameter=checked or size)


def taught(model: Model, example: Example, options: argparse.Namespace) -> Model:
    """Return what a user would go on with."""
    length = {"seconds": options.seconds} if options.steps is None else {"steps": options.steps}
    new, summary = ended(iter_finetune(model, [example], keep=options.keep, **length))
    return new if summary.improved else model


def precision(model: Model, images: Sequence[Picture]) -> float:
    """AP at IoU 0.5 of all objects together."""
    return pooled(tally(picture, model) for picture in images).precision(0.5)


if __name__ == "__main__":
    sys.exit(main())
