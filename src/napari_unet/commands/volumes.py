"""What `napari-unet train` does otherwise where it learns volumes."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.commands.data import NamedExample
from napari_unet.commands.inputs import image_files
from napari_unet.core.architectures import ARCHITECTURES
from napari_unet.core.choose_split import choose_split
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.size import choose_min_size
from napari_unet.formats.spacing import read_spacing

__all__ = ["anisotropy_of", "check_options", "chosen_architecture", "with_objects"]

VOLUMES = "unet-3d"

# Volumes whose planes lie this much farther apart than those of others are another kind (chosen).
MOST_UNLIKE = 1.5

# So much of a volume, from its middle, tells how objects are parted (chosen: some seconds' work).
SEEN = 80


def chosen_architecture(args: argparse.Namespace) -> str:
    """Return the architecture: the one of volumes where they are asked for and no other is."""
    if not args.volumes or ARCHITECTURES[args.architecture].axes == 3:
        return str(args.architecture)
    if args.architecture != "unet":
        raise InputError(f"{args.architecture} is a network of planes; volumes need {VOLUMES}.")
    return VOLUMES


def check_options(args: argparse.Namespace) -> None:
    """Refuse what is not there for volumes, before anything is read.

    Raises
    ------
    InputError
    """
    for is_given, option in (
        (args.classes, "--classes"),
        (args.teacher, "--teacher"),
        (args.diameter, "--diameter"),
    ):
        if is_given:
            raise InputError(f"Volumes cannot be learnt with {option} yet; leave it out.")


def anisotropy_of(args: argparse.Namespace) -> float:
    """Return how many times as far planes lie apart as pixels, as was said or the files tell.

    Raises
    ------
    InputError
        If the files differ too much.
    """
    if args.spacing is not None:
        if len(args.spacing) != 3:
            raise InputError("Volumes need three numbers, such as --spacing 2,0.5,0.5.")
        return _ratio(dict(zip("ZYX", args.spacing, strict=True)))
    files = image_files(Path(args.data) / "images")
    told = {file.name: read_spacing(file) for file in files}
    known = {name: _ratio(steps) for name, steps in told.items() if steps and "Z" in steps}
    if not known:
        return 1.0
    low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    if known[high] > MOST_UNLIKE * known[low]:
        raise InputError(
            f"Planes of {low} lie {known[low]:.2g} pixels apart and those of {high} "
            f"{known[high]:.2g}; train on volumes that are alike, or say --spacing."
        )
    return float(np.median(list(known.values())))


def with_objects(config: ModelConfig, taught: list[NamedExample]) -> ModelConfig:
    """Return the settings with the smallest object and the split that suit what is learnt."""
    labels = [_middle(named.example.labels) for named in taught]
    min_size = choose_min_size(named.example.labels for named in taught) or config.min_size
    split = choose_split(labels, min_size=min_size, spacing=config.spacing)
    return replace(config, min_size=min_size, split=config.split if split is None else split)


def _ratio(steps: dict[str, float]) -> float:
    return steps["Z"] / math.sqrt(steps["Y"] * steps["X"])


def _middle(labels: NDArray[Any]) -> NDArray[Any]:
    sides: Iterable[int] = labels.shape
    return labels[tuple(slice(max(0, (n - SEEN) // 2), (n + SEEN) // 2) for n in sides)]
