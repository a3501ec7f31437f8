"""What `napari-unet train` does otherwise where it learns volumes."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from napari_unet.commands.console import progress_bar
from napari_unet.commands.data import NamedExample
from napari_unet.commands.inputs import image_files
from napari_unet.core.architectures import ARCHITECTURES
from napari_unet.core.calibrate_volumes import calibrate_volumes
from napari_unet.core.errors import InputError
from napari_unet.core.model_file import Model
from napari_unet.formats.spacing import are_unlike, plane_distance, read_spacing

__all__ = ["anisotropy_of", "calibrated", "check_options", "chosen_architecture"]

VOLUMES = "unet-3d"


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
        (args.slices > 1, "--slices"),
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
        return plane_distance(dict(zip("ZYX", args.spacing, strict=True)))
    files = image_files(Path(args.data) / "images")
    told = {file.name: read_spacing(file) for file in files}
    known = {name: plane_distance(one) for name, one in told.items() if one and "Z" in one}
    if not known:
        return 1.0
    low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    if are_unlike(known[low], known[high]):
        raise InputError(
            f"Planes of {low} lie {known[low]:.2g} pixels apart and those of {high} "
            f"{known[high]:.2g}; train on volumes that are alike, or say --spacing."
        )
    return float(np.median(list(known.values())))


def calibrated(model: Model, taught: list[NamedExample], args: argparse.Namespace) -> Model:
    """Choose how objects are made by what the model finds in some of what it learnt from."""
    with progress_bar("Calibrating", 100, "%") as bar:
        return calibrate_volumes(
            model,
            [named.example for named in taught],
            device=args.device,
            precision=args.precision,
            progress=lambda part: bar.update(round(100 * part) - bar.n),
        )
