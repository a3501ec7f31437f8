"""Touching pairs that the network separates: trained with touching-cell weights, and without.

python tests/benchmarks/ablation.py --out FOLDER --steps 3000
python tests/benchmarks/ablation.py --out FOLDER --steps 800 --variants weighted light

The same network, the same steps and the same seed for each; w0 = 0 leaves plain cross-entropy.
Pairs are counted on the tenth of nuclei-dsb2018 that is held out, once as foreground pixels are
connected (split 0) and once with waists cut as the model does. Other variants change something
else of the recipe; further options are those of `napari-unet train`. What is in FOLDER already
is not done again.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from pictures import DATA, NUCLEI, images_of
from planes import MODES, Making, Segmenter
from recipe import read_tallies, scored, trained, write_json
from tally import heading, pooled

from napari_unet.core.split import hold_out
from napari_unet.core.train_settings import TRAIN_SETTINGS

LIGHT = replace(
    TRAIN_SETTINGS.augment,
    scale=(0.75, 1.35),
    noise=0.03,
    blur=0.8,
    shade=0.2,
    gamma=(0.8, 1.25),
    contrast=(0.8, 1.25),
)
VARIANTS = {
    "weighted": TRAIN_SETTINGS,
    "unweighted": replace(TRAIN_SETTINGS, weights=replace(TRAIN_SETTINGS.weights, w0=0.0)),
    "light": replace(TRAIN_SETTINGS, augment=LIGHT),
    "batch-2": replace(TRAIN_SETTINGS, batch=2),
    "rate-4e-3": replace(TRAIN_SETTINGS, learning_rate=4e-3),
}


def main() -> int:
    """Train what is missing and print the table."""
    options, training = parsed()
    folder = options.data / NUCLEI
    names = hold_out(images_of(folder), 0.1, seed=0)
    if not names:
        print(f"No images in {folder}: name the folder of sets with --data.")
        return 2
    print(f"{len(names)} images held out")
    print(f"variant     split  {heading()}  touching pairs")
    for variant in options.variants:
        target = options.out / f"{variant}.safetensors"
        model = trained(target, folder, names, training, VARIANTS[variant])
        run = {"device": options.device, "precision": options.precision}
        segmenter = Segmenter(model, options.diameter_from, options.out / "probabilities", run)
        for split in (0.0, model.config.split):
            file = target.with_name(f"{variant}-{options.diameter_from}-split-{split:g}.json")
            if not file.is_file():
                tallies = scored(segmenter, folder, names, Making(split=split, scored=False))
                write_json(file, tallies, command=model.card.command)
            every = pooled(read_tallies(file).values())
            print(f"{variant:10}  {split:5.2f}  {every}  {every.pairs}", flush=True)
    return 0


def parsed() -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what is not known here is for `napari-unet train`."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # the beginning of an option may be one of the training
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for models and scores")
    parser.add_argument(
        "--diameter-from",
        choices=MODES,
        default="true",
        help="of the held-out images: from the "
        "truth, so that both networks see them alike (%(default)s)",
    )
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=VARIANTS,
        default=["weighted", "unweighted"],
        help="what to train (%(default)s)",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    options, training = parser.parse_known_args()
    return options, [*training, "--device", options.device, "--precision", options.precision]


if __name__ == "__main__":
    sys.exit(main())
