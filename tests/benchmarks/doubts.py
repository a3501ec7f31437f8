"""Whether what is ranked first as worth a look is wrong: against chance and the plain margin.

python tests/benchmarks/doubts.py
python tests/benchmarks/doubts.py --model FILE --images 60

On the images held out a model is run as a user would. An object is wrong without a true one of
IoU 0.5 or more. Printed are the share of wrong ones among the first that are named in each
image, and how often a wrong object stands before a right one of the same image (0.5 is chance).
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pictures import DATA, Picture, chosen, pictures, set_of
from scipy import ndimage
from scipy.stats import mannwhitneyu

from napari_unet.commands.console import progress_bar
from napari_unet.core import Model, load_model, segment
from napari_unet.core.matching import overlap_of
from napari_unet.core.rescale import usual_min_size
from napari_unet.core.uncertainty import WORTH_LOOKING, rank_doubts

FIRST = (1, 3, 10)
Floats = NDArray[np.float64]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nuclei-fluorescence", help="name or file")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of sets")
    parser.add_argument("--images", default="held-out", help='"held-out", or how many others')
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    model = load_model(options.model)
    folder = set_of(model.card, options.data)
    names = chosen(folder, options.images, model.card)
    if not names:
        print(f"No images in {folder}: name the folder of sets with --data.")
        return 2
    ranks: dict[str, list[tuple[Floats, NDArray[np.bool_]]]] = {}
    missed = np.zeros(4, int)
    with progress_bar("Ranking", len(names), " images") as bar:
        for picture in pictures(folder, names):
            scores, wrong, counts = looked_at(picture, model, options.precision)
            for rule, values in scores.items():
                ranks.setdefault(rule, []).append((values, wrong))
            missed += counts
            bar.update(1)
    scores, wrong = (np.concatenate(part) for part in zip(*ranks["ranked"], strict=True))
    worth = scores >= WORTH_LOOKING
    print(f"{len(names)} images, {len(wrong)} objects, {wrong.sum()} of them wrong")
    print(f"worth a look: {worth.sum()}, of which {wrong[worth].sum()} are wrong")
    print("rule      " + "".join(f"first {first:<4}" for first in FIRST) + "wrong before right")
    for rule, images in ranks.items():
        print(f"{rule:10}" + "".join(f"{share(images, k):<10.2f}" for k in FIRST), end="")
        print(f"{before(images):.3f}")
    print(f"chance    {wrong.mean():.2f}")
    print(
        f"places named where something may have been missed: {missed[2]}, of which "
        f"{missed[3]} are empty; {missed[1]} of {missed[0]} objects missed lie in one"
    )
    return 0


def looked_at(
    picture: Picture, model: Model, precision: str
) -> tuple[dict[str, Floats], NDArray[np.bool_], tuple[int, int, int, int]]:
    """Return the doubts of each object by each rule, which are wrong, and counts of the missed."""
    found = segment(picture.image, model, axes="YX", precision=precision)
    labels, belief = found.labels, 1 - found.probability[0]
    smallest = usual_min_size(model.config, found.diameter)
    doubts = rank_doubts(labels, belief, min_size=smallest)
    numbers = np.arange(1, int(labels.max(initial=0)) + 1)
    overlap = overlap_of(picture.truth, labels)
    right_truth, right, _ = overlap.matched(0.5)
    wrong = ~np.isin(numbers, overlap.predicted_names[right])
    ranked = np.zeros(len(numbers))
    for doubt in doubts:
        if doubt.number:
            ranked[doubt.number - 1] = doubt.score
    margin = np.asarray(ndimage.mean(1 - np.abs(2 * belief - 1), labels, numbers), float)
    truths = np.unique(picture.truth[picture.truth > 0])
    unfound = np.setdiff1d(truths, overlap.truth_names[right_truth])
    places = [doubt for doubt in doubts if not doubt.number and doubt.score >= WORTH_LOOKING]
    hits = {int(n) for doubt in places for n in np.unique(picture.truth[doubt.box])}
    nothing = sum(not np.isin(picture.truth[doubt.box], unfound).any() for doubt in places)
    counts = (len(unfound), len(hits.intersection(unfound.tolist())), len(places), nothing)
    return {"ranked": ranked, "margin": margin}, wrong, counts


def share(images: list[tuple[Floats, NDArray[np.bool_]]], first: int) -> float:
    """Wrong ones among the first of each image."""
    looked = [wrong[np.argsort(-scores, kind="stable")[:first]] for scores, wrong in images]
    return float(np.concatenate(looked).mean())


def before(images: list[tuple[Floats, NDArray[np.bool_]]]) -> float:
    """How often a wrong object stands before a right one, of all such pairs within an image."""
    hits = pairs = 0.0
    for scores, wrong in images:
        count = int(wrong.sum()) * int((~wrong).sum())
        if count:
            hits += float(mannwhitneyu(scores[wrong], scores[~wrong]).statistic)
            pairs += count
    return hits / max(1.0, pairs)


if __name__ == "__main__":
    sys.exit(main())
