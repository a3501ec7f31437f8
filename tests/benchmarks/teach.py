"""A simulated annotator: correct the worst objects in view, teach, and so on, against baselines.

python tests/benchmarks/teach.py --sets phase --rounds 10 --cells 5 --seconds 60
python tests/benchmarks/teach.py --sets sparse wbc own --rounds 5 --cells 10 --seconds 60
python tests/benchmarks/teach.py --sets phase --steps 300 --tested 3 --no-known --no-baselines

In each round the annotator goes to the next of a few images, segments it as the dock would, puts
the worst objects right, erases as many false ones, and teaches for some seconds. What the edge of
the view leaves less than half a usual cell of is not corrected, unless `--pieces` says so: such
pieces were half of the first twenty corrections, down to 38 pixels of cells of 4000. Printed are AP
at IoU 0.5 and 0.9 on images that are never corrected, against the number of objects corrected;
at the end, with the seconds of all rounds together, a network from scratch on the same
corrections, and the bundled one trained on whole images annotated densely (as many objects at the
least) with plain cross-entropy.

The cells of wbc are taken whole, cytoplasm and nucleus. Of the sparse set only a few nuclei are
labelled: nothing is called false there, and what touches no labelled nucleus is not counted.

"Sized" is AP at IoU 0.5 where the true diameter of an image's objects is given instead of measured,
"off" by which factor the measured one is off in the worst image, "known" AP at IoU 0.5 of held-out
images of the model's own set, "kept" the score on checked cells before a round and after it, with a
minus where it was refused.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pictures import DATA, NUCLEI, Picture, images_of, pictures
from skimage.measure import label
from tally import Tally, pooled, tally_of

from napari_unet.core import Example, Model, iter_finetune, load_model, segment
from napari_unet.core.boxes import Box
from napari_unet.core.checked import check_objects, grow_checked
from napari_unet.core.events import TeachSummary
from napari_unet.core.lay_around import keep_checked
from napari_unet.core.matching import overlap_of
from napari_unet.core.sampling import PatchSampler
from napari_unet.core.train import iter_train
from napari_unet.core.train_settings import TEACH_SETTINGS
from napari_unet.session.object_size import checked_diameter

SIDE = 512  # of the part of an image that is in view
KNOWN = 9  # every so many of the held-out images
FALSE_IOU = 0.1  # with less of any true object it is false
COVERING = 0.1  # of a false object, where more lies on true ones it is not erased
PIECE = 0.5  # of the area of a usual cell, what the edge of the view leaves less of is a piece


@dataclass(frozen=True)
class Set:
    """Where images come from, and which are corrected and which are tested on."""

    folder: str
    taught: slice
    tested: slice
    has_classes: bool = False  # what is not background is an object where it hangs together
    is_sparse: bool = False  # only a few objects are labelled


SETS = {
    "phase": Set("cells-phase-t98g", slice(0, 4), slice(8, 13)),
    "sparse": Set("nuclei-bbbc007-sparse", slice(0, 3), slice(3, 6), is_sparse=True),
    "wbc": Set("wbc-multiclass", slice(0, 8), slice(20, 40), has_classes=True),
    "own": Set(NUCLEI, slice(0, 3), slice(3, 12)),
}


def main() -> int:
    """Print a table for each set."""
    options = parsed()
    if options.even:
        PatchSampler.note = lambda *_: None  # type: ignore[method-assign]
    model = load_model(options.model)
    some = () if options.no_known else model.card.held_out[::KNOWN]
    known = [in_view(p) for p in pictures(options.data / NUCLEI, some)]
    for name in options.sets:
        where = SETS[name]
        folder = options.data / where.folder
        names = images_of(folder)
        if name == "own":  # never seen by the model
            names = [one for one in names if one in model.card.held_out]
        if not names:
            print(f"No images in {folder}: name the folder of sets with --data.")
            return 2
        desks = [Desk(one, where.is_sparse) for one in views(folder, names[where.taught], where)]
        for desk in desks if not options.pieces else []:
            desk.corrected.update(pieces(desk.picture.truth))
        tested = views(folder, names[where.tested][: options.tested], where)
        print(f"{name}: {len(desks)} images corrected in turn, {len(tested)} others tested")
        unit = "seconds" if options.steps is None else "  steps"
        print(f"round  corrected  {unit}  AP.50  AP.90  sized   off  known  kept")
        run(model, desks, Tested(tested, known, where), options)
    return 0


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of sets")
    parser.add_argument("--model", default="nuclei-fluorescence", help="to start from")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--cells", type=int, default=5, help="corrected in a round (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a round (%(default)s)")
    parser.add_argument("--steps", type=int, help="of a round, instead of seconds")
    parser.add_argument("--keep", type=float, default=0.5)
    parser.add_argument("--pieces", action="store_true", help="correct what the view cuts off too")
    parser.add_argument("--even", action="store_true", help="draw hard places as often as others")
    parser.add_argument("--tested", type=int, help="so many of the other images (all)")
    parser.add_argument("--no-known", action="store_true")
    parser.add_argument("--no-baselines", action="store_true")
    return parser.parse_args()


def in_view(picture: Picture) -> Picture:
    """Return the upper left part of an image, in grey, and the objects wholly or partly in it."""
    image = picture.image.mean(axis=-1) if picture.image.ndim == 3 else picture.image
    part = np.s_[:SIDE, :SIDE]
    truth = picture.truth[part]
    return Picture(picture.name, image[part], truth)


def views(folder: Path, names: Sequence[str], where: Set) -> list[Picture]:
    """Return what is in view of some images of a set, with objects for labels."""
    shown = [in_view(picture) for picture in pictures(folder, names)]
    if not where.has_classes:
        return shown
    return [replace(p, truth=label(p.truth > 0).astype(np.int32)) for p in shown]


@dataclass(frozen=True)
class Tested:
    """What is never corrected, and what the model knew before."""

    others: Sequence[Picture]
    known: Sequence[Picture]
    where: Set

    def tally(self, picture: Picture, found: NDArray[np.int32]) -> Tally:
        """Compare with the truth; of a sparse set, what touches no labelled object is let be."""
        if self.where.is_sparse:
            beside = np.unique(found[picture.truth > 0])
            found = np.where(np.isin(found, beside), found, 0)
        return tally_of(picture.truth, found)


class Desk:
    """One image that is being corrected."""

    def __init__(self, picture: Picture, is_sparse: bool = False) -> None:
        self.picture = picture
        self._is_sparse = is_sparse
        self.labels = np.zeros(picture.truth.shape, np.int32)
        self.checked = np.zeros(picture.truth.shape, np.uint8)
        self.corrected: set[int] = set()  # or not worth it
        self.diameter: float | None = None  # measured
        self._known = np.zeros(picture.truth.shape, bool)  # checked in earlier rounds

    def correct(self, prediction: NDArray[np.int32], count: int) -> int:
        """Put the worst objects right and erase false ones; return how many were put right."""
        self.labels = keep_checked(self.labels, prediction, self.checked)
        truth = self.picture.truth
        best = best_iou(truth, self.labels)
        left = sorted((iou, number) for number, iou in best.items() if number not in self.corrected)
        chosen = [number for iou, number in left[:count] if iou < 0.9]
        for number in chosen:
            there = truth == number
            sizes = np.bincount(self.labels.ravel())
            inside = np.bincount(self.labels[there], minlength=len(sizes))
            fragments = np.flatnonzero(2 * inside > sizes)
            self._edit(np.isin(self.labels, fragments[fragments > 0]), 0)
            self._edit(there, int(self.labels.max()) + 1)
        self.corrected.update(chosen)
        if self._is_sparse:  # nobody knows what is false
            return len(chosen)
        false = [number for number, iou in best_iou(self.labels, truth).items() if iou < FALSE_IOU]
        sizes = np.bincount(self.labels.ravel())
        # Where true cells lie under it, a person draws those first.
        covering = np.bincount(self.labels[truth > 0], minlength=len(sizes))
        false = [number for number in false if covering[number] < COVERING * sizes[number]]
        for number in sorted(false, key=lambda n: -sizes[n])[:count]:
            self._edit(self.labels == number, 0)
        return len(chosen)

    def _edit(self, where: NDArray[np.bool_], value: int) -> Box | None:
        before = self.labels.copy()
        self.labels[where] = value
        return grow_checked(self.checked, before, self.labels, usual=self.picture.diameter)

    @property
    def whole(self) -> NDArray[np.bool_] | None:
        """Where a person who draws all objects has said what is there; None for everywhere."""
        if not self._is_sparse:
            return None
        checked, truth = np.zeros(self.picture.truth.shape, np.uint8), self.picture.truth
        check_objects(checked, truth, np.unique(truth[truth > 0]), usual=self.picture.diameter)
        return checked != 0

    def note_taught(self) -> None:
        """Take note that what is checked so far was learnt."""
        self._known = self.checked != 0

    @property
    def example(self) -> Example:
        """What is learnt from it, at the size that the dock would give it."""
        checked = self.checked != 0
        recent = checked & ~self._known
        labels = self.labels.copy()
        own = checked_diameter([(labels, checked)], self.diameter) or self.diameter
        return Example(self.picture.image, labels, checked, "YX", own, recent=recent)


def run(
    model: Model,
    desks: Sequence[Desk],
    tested: Tested,
    options: argparse.Namespace,
) -> None:
    """Correct and teach round after round, then the baselines."""
    start, corrected = model, 0
    print(line("0", 0, 0, model, tested), flush=True)
    for number in range(1, options.rounds + 1):
        desk = desks[(number - 1) % len(desks)]
        found = segment(desk.picture.image, model, axes="YX")
        desk.diameter = found.diameter
        corrected += desk.correct(found.labels, options.cells)
        examples = [desk.example for desk in desks if desk.checked.any()]
        taught, summary = ended(
            iter_finetune(
                model,
                examples,
                **length(options, 1),
                keep=options.keep,
                base=start,
            )
        )
        model = taught if summary.improved else model
        for one in desks:
            one.note_taught()
        seconds = number * (options.steps or options.seconds)
        row = line(str(number), corrected, seconds, model, tested)
        print(f"{row}  {kept(summary)}", flush=True)
    if not options.no_baselines:
        for name, baseline, count in baselines(start, desks, corrected, options):
            print(line(name, count, seconds, baseline, tested), flush=True)


def length(options: argparse.Namespace, rounds: int) -> dict[str, Any]:
    """How long so many rounds teach."""
    if options.steps is not None:
        return {"steps": rounds * options.steps}
    return {"seconds": rounds * options.seconds}


def baselines(
    start: Model, desks: Sequence[Desk], corrected: int, options: argparse.Namespace
) -> Iterator[tuple[str, Model, int]]:
    """Train from scratch on the same corrections, and densely on whole images."""
    whole_time = length(options, options.rounds)
    examples = [desk.example for desk in desks if desk.checked.any()]
    scratch = ended(
        iter_train(examples, start.config, settings=TEACH_SETTINGS, seed=1, **whole_time)
    )
    yield "scratch", replace(scratch, card=start.card), corrected
    whole, count = [], 0
    for desk in desks:
        if count < corrected or not whole:
            picture = desk.picture
            count += int(np.count_nonzero(np.unique(picture.truth)))
            where = desk.whole
            whole.append(Example(picture.image, picture.truth, where, "YX", picture.diameter))
    plain = replace(TEACH_SETTINGS, weights=replace(TEACH_SETTINGS.weights, w0=0.0))
    dense, _ = ended(iter_finetune(start, whole, keep=0.0, settings=plain, seed=1, **whole_time))
    yield "dense", dense, count


def line(
    name: str,
    corrected: int,
    seconds: float,
    model: Model,
    tested: Tested,
) -> str:
    """Return one row of the table."""
    others, known = tested.others, tested.known
    found = [segment(picture.image, model, axes="YX") for picture in others]
    here = pooled(tested.tally(p, one.labels) for p, one in zip(others, found, strict=True))
    with_size = [segment(p.image, model, axes="YX", diameter=p.diameter) for p in others]
    sized = pooled(tested.tally(p, one.labels) for p, one in zip(others, with_size, strict=True))
    sizes = [(p.diameter, one.diameter) for p, one in zip(others, found, strict=True)]
    off = max(max(a / b, b / a) if a and b else np.inf for a, b in sizes)
    figures = f"{here.precision(0.5):5.3f}  {here.precision(0.9):5.3f}  {sized.precision(0.5):5.3f}"
    before = f"{pooled(tally(p, model) for p in known).precision(0.5):5.3f}" if known else "    -"
    return f"{name:7}  {corrected:7d}  {seconds:7.0f}  {figures}  {off:4.2f}  {before}"


def kept(summary: TeachSummary) -> str:
    """Return what a round says of itself."""
    if summary.before is None or summary.after is None:
        return "nothing"
    sign = "+" if summary.improved else "-"
    return f"{summary.before:.2f} {summary.after:.2f} {sign} ({summary.cells_kept_aside} aside)"


def tally(picture: Picture, model: Model) -> Tally:
    """Compare what a user would get with the truth."""
    return tally_of(picture.truth, segment(picture.image, model, axes="YX").labels)


def pieces(truth: NDArray[np.int32]) -> list[int]:
    """Return the objects of which the edge of the view leaves less than half a usual one."""
    numbers, areas = np.unique(truth[truth > 0], return_counts=True)
    usual = float(np.median(areas)) if len(areas) else 0.0
    rim = np.concatenate([truth[0], truth[-1], truth[:, 0], truth[:, -1]])
    return [int(n) for n in numbers[np.isin(numbers, rim) & (areas < PIECE * usual)]]


def best_iou(truth: NDArray[np.int32], prediction: NDArray[np.int32]) -> dict[int, float]:
    """Return the largest IoU of each object with one of the others."""
    overlap = overlap_of(truth, prediction)
    best = dict.fromkeys((int(number) for number in np.unique(truth) if number), 0.0)
    for row, _, iou in zip(*overlap.iou_pairs(), strict=True):
        number = int(overlap.truth_names[row])
        best[number] = max(best[number], float(iou))
    return best


def ended(rounds):  # type: ignore[no-untyped-def]  # whatever the generator returns
    """Run a generator to its end and return its value."""
    while True:
        try:
            next(rounds)
        except StopIteration as end:
            return end.value


if __name__ == "__main__":
    sys.exit(main())
