"""How good the models are on images that they were not trained on.

python tests/benchmarks/accuracy.py [DATA_DIR] [--model NAME ...] [--each]
python tests/benchmarks/accuracy.py --images 60 --cache FOLDER --threshold 0.4 0.5 --split 0 0.5

AP is TP / (TP + FP + FN) at an IoU, all images together, its mean is from IoU 0.5 to 0.95; for
touching pairs see touching.py. Without settings it is what `segment` gives a user. Images are
those that the model's card says were held out, or a number of others at random: choose settings
on the others and report them on the held-out ones; the network runs once for all settings, and
never again with --cache.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

from pictures import DATA, SETS, Picture, chosen, pictures, set_of
from planes import MODES, Making, Segmenter
from tally import Tally, heading, pooled, tally_of

from napari_unet.commands.console import progress_bar
from napari_unet.core import Model, load_model
from napari_unet.core.errors import ModelFileError
from napari_unet.core.symmetries import AVERAGES

Row = tuple[Picture, Tally, float | None]


def main() -> int:
    """Print a table for each model; 2 if there was nothing to score."""
    options = parsed()
    scored = 0
    for name in options.model or SETS:
        try:
            model = load_model(name)
        except ModelFileError as error:
            print(f"{name}: skipped. {error}")
            continue
        folder = set_of(model.card, options.data)
        names = chosen(folder, options.images, model.card)
        if names:
            report(model, folder, names, options)
            scored += 1
        else:
            print(f"{name}: skipped. There are no such images in {folder}.")
    return 0 if scored else 2


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", type=Path, default=DATA, help="folder of sets")
    parser.add_argument("--model", nargs="+", help="names or files (the bundled ones)")
    parser.add_argument("--images", default="held-out", help="held-out, or how many others")
    parser.add_argument("--threshold", type=float, nargs="+")
    parser.add_argument("--min-size", type=int, nargs="+", help="in pixels of the image")
    parser.add_argument("--split", type=float, nargs="+")
    parser.add_argument(
        "--scored",
        nargs="+",
        choices=("yes", "no"),
        default=["yes"],
        help="judge objects by their looks (%(default)s)",
    )
    parser.add_argument(
        "--diameter", choices=MODES, default="measured", help="off leaves images as they are"
    )
    parser.add_argument(
        "--average", choices=tuple(AVERAGES), default="none", help="over versions of the images"
    )
    parser.add_argument("--each", action="store_true", help="list the images, worst first")
    parser.add_argument("--cache", type=Path, help="keep the probabilities in this folder")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    return parser.parse_args()


def report(model: Model, folder: Path, names: list[str], options: argparse.Namespace) -> None:
    """Print a row for each way of making objects."""
    run = {"device": options.device, "precision": options.precision}
    if options.average != "none":
        run["average"] = options.average
    segmenter = Segmenter(model, options.diameter, options.cache, run)
    makings = [
        Making(*values)
        for values in itertools.product(
            options.threshold or [None],
            options.min_size or [None],
            options.split or [None],
            [word == "yes" for word in options.scored],
        )
    ]
    print(f"\n{model.card.name} on {folder.name}: {len(names)} images ({options.images}), ", end="")
    print(f"diameter {options.diameter}, average {options.average}")
    print(f"threshold   smallest      split     scored  {heading()}  touching pairs")
    for making, rows in results(segmenter, folder, names, makings):
        every = pooled(tally for _, tally, _ in rows)
        print(f"{making}  {every}  {every.pairs}", flush=True)
        if options.each:
            list_each(rows)


def results(
    segmenter: Segmenter, folder: Path, names: list[str], makings: list[Making]
) -> list[tuple[Making, list[Row]]]:
    """Score every image with every way of making objects."""
    as_the_user = makings == [Making()] and segmenter.cache is None
    rows: list[list[Row]] = [[] for _ in makings]
    with progress_bar("Segmenting", len(names), " images") as bar:
        for picture in pictures(folder, names):
            for making, row in zip(makings, rows, strict=True):
                labels, diameter = (
                    segmenter.segment(picture) if as_the_user else segmenter.make(picture, making)
                )
                row.append((picture, tally_of(picture.truth, labels), diameter))
            bar.update(1)
    return list(zip(makings, rows, strict=True))


def list_each(rows: list[Row]) -> None:
    """Print the images, those with the lowest mean AP first."""
    print(
        "\nimage         rows x columns  objects  found  true px  taken px  "
        + heading()
        + "  touching pairs"
    )
    for picture, tally, diameter in sorted(rows, key=lambda row: row[1].mean_precision):
        height, width = picture.truth.shape
        true, taken = (f"{value:.1f}" if value else "-" for value in (picture.diameter, diameter))
        print(
            f"{picture.name:12}  {height:5} x {width:<6}  {tally.n_truth:7}  {tally.n_predicted:5}"
            f"  {true:>7}  {taken:>8}  {tally}  {tally.pairs}"
        )
    print()


if __name__ == "__main__":
    sys.exit(main())
