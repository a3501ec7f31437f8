"""Train as `napari-unet train` does, and come back to what was begun in an earlier session."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any  # JSON values
from unittest.mock import patch

from pictures import pictures
from planes import Making, Segmenter
from tally import Tally, pooled, tally_of

from napari_unet import cli
from napari_unet.commands import train as command
from napari_unet.commands.console import progress_bar, say_aside
from napari_unet.core import Model, load_model
from napari_unet.core.optimise import TrainSettings

__all__ = [
    "RECIPE",
    "read_json",
    "read_tallies",
    "says_how_long",
    "scored",
    "trained",
    "write_json",
]

# Of the bundled nuclei model; what is given on the command line comes after it and counts.
RECIPE = ("--diameter", "24", "--compress", "0.1", "--width", "16")


def trained(
    target: Path,
    data: Path,
    held_out: Iterable[str],
    options: list[str],
    settings: TrainSettings | None = None,
) -> Model:
    """Train without the images held out and write the model, unless that is done already.

    Parameters
    ----------
    target : Path
        The model file; training that was stopped goes on with the same options.
    data : Path
        Folder with images/ and labels/.
    held_out : iterable of str
        Names of images.
    options : list of str
        Of `napari-unet train`, after `RECIPE`.
    settings : TrainSettings, optional
        Instead of those that the command trains with.
    """
    if target.is_file():
        return load_model(target)
    if not says_how_long(options):
        sys.exit(f"{target.name} is not trained yet; say how long with --steps or --seconds.")
    (target.parent / "begun").mkdir(parents=True, exist_ok=True)
    names, begun = target.with_suffix(".txt"), target.parent / "begun" / target.name
    names.write_text("\n".join(sorted(held_out)) + "\n", encoding="utf-8")
    where = ["train", str(data), "-o", str(begun), "--held-out", str(names), "--resume"]
    line = [*where, *RECIPE, *options]
    say_aside(f"{target.name}: napari-unet {' '.join(line)}")
    with ExitStack() as stack:
        stack.enter_context(patch.object(sys, "argv", ["napari-unet", *line]))  # for the card
        if settings is not None:
            stack.enter_context(patch.object(command, "TRAIN_SETTINGS", settings))
        code = cli.main(line)
    if code:
        sys.exit(code)
    if begun.with_suffix(".resume").exists():
        sys.exit(f"{target.name} was stopped before its end; call it again to go on.")
    begun.replace(target)
    return load_model(target)


def says_how_long(options: list[str]) -> bool:
    """Whether there is a budget among the options of `napari-unet train`."""
    return any(option.split("=")[0] in ("--steps", "--seconds") for option in options)


def scored(
    segmenter: Segmenter, folder: Path, names: Sequence[str], making: Making | None = None
) -> dict[str, Tally]:
    """Compare what a user gets, or objects made in another way, with the truth."""
    tallies = {}
    with progress_bar("Scoring", len(names), " images") as bar:
        for picture in pictures(folder, names):
            found = segmenter.make(picture, making) if making else segmenter.segment(picture)
            tallies[picture.name] = tally_of(picture.truth, found[0])
            bar.update(1)
    return tallies


def write_json(file: Path, tallies: dict[str, Tally], **about: object) -> None:
    """Write the scores of images, and of all together, beside a model."""
    every = pooled(tallies.values()).to_json()["scores"]
    images = {name: tally.to_json() for name, tally in tallies.items()}
    content = {**about, "together": every, "images": images}
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_json(file: Path) -> dict[str, Any]:
    """Read what `write_json` wrote."""
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def read_tallies(file: Path) -> dict[str, Tally]:
    """Return the scores of the images in a file of `write_json`."""
    images = read_json(file)["images"]
    return {name: Tally.from_json(values) for name, values in images.items()}
