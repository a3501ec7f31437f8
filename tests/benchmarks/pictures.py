"""Real images with their truth, read from the folder of sets that lies beside the repository."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # images come in any dtype

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_unet.core.config import ModelCard
from napari_unet.core.rescale import rescale_image, resize_labels
from napari_unet.core.size import median_diameter

__all__ = [
    "DATA",
    "NUCLEI",
    "SETS",
    "Picture",
    "chosen",
    "images_of",
    "pictures",
    "rescaled",
    "set_of",
]

DATA = Path(os.environ.get("NAPARI_UNET_DATA", Path(__file__).parents[3] / "shared" / "data"))
NUCLEI = "nuclei-dsb2018"
SETS = {"nuclei-fluorescence": NUCLEI, "cells-phase-contrast": "cells-phase-t98g"}


@dataclass(frozen=True, eq=False)
class Picture:
    """One image, shape (Y, X), and its true labels."""

    name: str
    image: NDArray[Any]
    truth: NDArray[np.int32]

    @property
    def diameter(self) -> float | None:
        """Median diameter of the true objects, in pixels; None if there are none."""
        return median_diameter([self.truth])


def images_of(folder: Path) -> list[str]:
    """Name the images of a set, sorted."""
    return sorted(file.stem for file in (folder / "images").glob("*.tif"))


def pictures(folder: Path, names: Iterable[str]) -> Iterator[Picture]:
    """Read the images of a set one after the other."""
    for name in names:
        file = f"{name}.tif"
        truth = tifffile.imread(folder / "labels" / file).astype(np.int32)
        yield Picture(name, tifffile.imread(folder / "images" / file), truth)


def rescaled(picture: Picture, scale: float, largest: int | None = None) -> Picture:
    """Enlarge or shrink an image and its labels alike; a part with objects, if it became too large.

    Parameters
    ----------
    picture : Picture
        As it was taken.
    scale : float
        1 leaves it as it is.
    largest : int, optional
        Rows and columns that the result may have.
    """
    image, truth = picture.image, picture.truth
    if largest is not None:
        part = _part(truth, max(1, round(largest / scale)))
        image, truth = image[part], truth[part]
    if scale != 1:
        image = rescale_image(image[None].astype(np.float32), scale)[0]
        truth = resize_labels(truth, image.shape)
    return Picture(picture.name, image, truth)


def _part(truth: NDArray[np.int32], side: int) -> tuple[slice, slice]:
    """Rows and columns around the object pixel that is nearest to the middle."""
    middle = np.array(truth.shape) // 2
    pixels = np.argwhere(truth) if truth.any() else middle[None]
    at = pixels[np.argmin(((pixels - middle) ** 2).sum(axis=1))]
    starts = np.clip(at - side // 2, 0, np.maximum(0, np.array(truth.shape) - side))
    y, x = (slice(int(start), int(start) + side) for start in starts)
    return y, x


def set_of(card: ModelCard, data: Path) -> Path:
    """Return the folder of the set that a model was held out on."""
    if card.name in SETS:
        return data / SETS[card.name]
    folders = [data / name for name in SETS.values()]
    mine = [folder for folder in folders if set(card.held_out) & set(images_of(folder))]
    return (mine or folders)[0]


def chosen(folder: Path, which: str, card: ModelCard) -> list[str]:
    """Name the held-out images, or so many of the others, always the same."""
    names, held_out = images_of(folder), set(card.held_out)
    if which == "held-out":
        return [name for name in names if name in held_out]
    others = [name for name in names if name not in held_out]
    return sorted(random.Random(7).sample(others, min(int(which), len(others))))
