"""Touching pairs that the network separates: trained with touching-cell weights, and without.

python tests/benchmarks/ablation.py --out FOLDER --steps 3000

The same network, the same steps and the same seed twice; w0 = 0 leaves plain cross-entropy.
Pairs are counted on the tenth of nuclei-dsb2018 that is held out, once as foreground pixels are
connected (split 0) and once with waists cut as the model does. Further options are those of
`napari-unet train`; what is in FOLDER already is not done again.
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
from napari_unet.core.train import TRAIN_SETTINGS

WEIGHTS = {
    "weighted": TRAIN_SETTINGS.weights,
    "unweighted": replace(TRAIN_SETTINGS.weights, w0=0.0),
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
    print(f"loss        split  {heading()}  touching pairs")
    for loss, weights in WEIGHTS.items():
        target = options.out / f"{loss}.safetensors"
        model = trained(target, folder, names, training, weights)
        run = {"device": options.device, "precision": options.precision}
        segmenter = Segmenter(model, options.diameter_from, options.out / "probabilities", run)
        for split in (0.0, model.config.split):
            file = target.with_name(f"{loss}-{options.diameter_from}-split-{split:g}.json")
            if not file.is_file():
                tallies = scored(segmenter, folder, names, Making(split=split))
                write_json(file, tallies, command=model.card.command)
            every = pooled(read_tallies(file).values())
            print(f"{loss:10}  {split:5.2f}  {every}  {every.pairs}", flush=True)
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
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    options, training = parser.parse_known_args()
    return options, [*training, "--device", options.device, "--precision", options.precision]


if __name__ == "__main__":
    sys.exit(main())
