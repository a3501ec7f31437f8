"""What it helps to have restored unlabelled images before learning from a few labelled ones.

A network learns from a few labelled images of nuclei: anew; anew for as many more steps as the
other way took before; and after it has restored hidden parts of other images of the set, of which
it is told how wide nuclei are and no more. For each draw of labelled images AP at IoU 0.5 on images
held out, objects at their true size and the threshold alone, is printed, and the means.

python tests/benchmarks/pretrain.py
python tests/benchmarks/pretrain.py --before 2000 --steps 500 --width 24 --labelled 5
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from pictures import DATA, NUCLEI, chosen, images_of, pictures
from tally import pooled, tally_of

from napari_unet.commands.console import follow
from napari_unet.core import Example, Model, ModelConfig, load_model, segment
from napari_unet.core.pretrain import PRETRAIN_SETTINGS, iter_pretrain
from napari_unet.core.train import iter_train
from napari_unet.core.train_settings import TRAIN_SETTINGS


def main() -> None:
    """Print a row for each draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--unlabelled", type=int, default=60, help="images")
    parser.add_argument("--labelled", type=int, default=2, help="images")
    parser.add_argument("--before", type=int, default=300, help="steps without labels")
    parser.add_argument("--steps", type=int, default=100, help="steps with labels")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--tested", type=int, default=12)
    parser.add_argument("--width", type=int, default=12)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--patch", type=int, default=96)
    args = parser.parse_args()
    bundled = load_model("nuclei-fluorescence")
    held_out = chosen(DATA / NUCLEI, "held-out", bundled.card)
    held_out = held_out[:: -(-len(held_out) // args.tested)]
    others = [n for n in images_of(DATA / NUCLEI) if n not in bundled.card.held_out]
    order = np.random.default_rng(0).permutation(len(others))
    names = [others[number] for number in order]
    shape = ModelConfig(width=args.width, depth=args.depth, compress=0.1, diameter=24.0)
    looked_at = examples(names[: args.unlabelled])
    settings = replace(PRETRAIN_SETTINGS, patch=args.patch)
    before: Model = follow(
        iter_pretrain(looked_at, shape, settings=settings, steps=args.before), "Restoring"
    )
    ways = {
        "anew": (None, args.steps),
        "anew, as long in all": (None, args.before + args.steps),
        "restored before": (before, args.steps),
    }
    print("labelled images  " + "  ".join(f"{way:>20}" for way in ways), flush=True)
    rows = []
    for draw in range(args.draws):
        first = args.unlabelled + draw * args.labelled
        few = examples(names[first : first + args.labelled])
        learning = replace(TRAIN_SETTINGS, patch=args.patch)
        row = []
        for start, steps in ways.values():
            rounds = iter_train(few, shape, start=start, settings=learning, steps=steps, seed=draw)
            row.append(precision(follow(rounds, "Learning"), held_out))
        print(f"draw {draw:10}  " + "  ".join(f"{value:20.3f}" for value in row), flush=True)
        rows.append(row)
    print("mean             " + "  ".join(f"{value:20.3f}" for value in np.mean(rows, axis=0)))


def examples(names: list[str]) -> list[Example]:
    """Read images with their labels; objects have the size that they have."""
    return [
        Example(one.image, one.truth, axes="YX", diameter=one.diameter or 24.0)
        for one in pictures(DATA / NUCLEI, names)
    ]


def precision(model: Model, names: list[str]) -> float:
    """Return AP at IoU 0.5 over some images, pooled."""
    tallies = []
    for one in pictures(DATA / NUCLEI, names):
        found = segment(one.image, model, axes="YX", diameter=one.diameter or 24.0)
        tallies.append(tally_of(one.truth, found.labels))
    return pooled(tallies).precision(0.5)


if __name__ == "__main__":
    main()
