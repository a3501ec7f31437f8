"""What a model of volumes learns from a pair: each volume in which anything is checked."""

from __future__ import annotations

from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.session.image import Place
from napari_unet.session.pair import Pair

__all__ = ["read_volume_example", "taught_volumes"]

Volume = tuple[Place, NDArray[Any], NDArray[np.bool_]]


def taught_volumes(pair: Pair) -> list[Volume]:
    """Return copies of labels and checked area of each volume with anything checked.

    Raises
    ------
    InputError
        If the image is a single plane.
    """
    if not pair.image.stack_shape:
        if not pair.has_checked:
            return []
        raise InputError(
            f"This model is of volumes, and {pair.image.name} is a single plane; close it, or "
            "choose a model of planes."
        )
    volumes = dict.fromkeys(place[:-1] for place, _, _ in pair.taught_planes())
    return [(place, pair.labels[place].copy(), pair.checked[place] != 0) for place in volumes]


def read_volume_example(pair: Pair, volume: Volume) -> Example:
    """Build what is learnt from; reads the image, so it is for a second thread."""
    place, labels, checked = volume
    return Example(pair.image.read_volume(place), labels, checked, axes="CZYX")
