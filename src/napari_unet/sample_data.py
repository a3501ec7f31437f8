"""Sample images that are there without a network: a photograph of coins, drawn nuclei and cells."""

from __future__ import annotations

from typing import Any  # layer data tuples are napari's own loose type

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.drawn import cells, nuclei

__all__ = [
    "cells",
    "coins",
    "napari_cells",
    "napari_coins",
    "napari_coins_negative",
    "napari_nuclei",
    "nuclei",
]

LayerData = tuple[NDArray[Any], dict[str, Any], str]

SMALLEST_COIN = 500  # pixels; the recipe also finds one speck of two pixels


def coins(*, negative: bool = False) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return a photograph of 24 coins with their outlines.

    The photograph is scikit-image's (Greek coins from Pompeii, no known copyright
    restrictions); the outlines come from the recipe of its example on region-based
    segmentation, and were checked by eye.

    Parameters
    ----------
    negative : bool
        Turn light and dark round: dark objects on a light ground, as in bright field, which
        a model for fluorescence does not know.

    Returns
    -------
    image : ndarray of uint8, shape (303, 384)
    truth : ndarray of int32, shape (303, 384)
        0 is background, 1 to 24 the coins.
    """
    from skimage import data, filters, segmentation  # slow to import, needed here alone

    image: NDArray[np.uint8] = data.coins()  # type: ignore[no-untyped-call]
    markers = np.zeros(image.shape, np.int32)
    markers[image < 30] = 1
    markers[image > 150] = 2
    edges = filters.sobel(image)  # type: ignore[no-untyped-call]
    foreground = segmentation.watershed(edges, markers) == 2  # type: ignore[no-untyped-call]
    labels, _ = ndimage.label(ndimage.binary_fill_holes(foreground))
    large = np.bincount(labels.ravel()) >= SMALLEST_COIN
    large[0] = False
    numbers = np.where(large, np.cumsum(large), 0).astype(np.int32)
    return (255 - image if negative else image), numbers[labels]


def napari_coins() -> list[LayerData]:
    """Return the coins as napari's File > Open Sample takes them."""
    return [(coins()[0], {"name": "coins"}, "image")]


def napari_coins_negative() -> list[LayerData]:
    """Return the coins as a negative, which the bundled models have to be taught."""
    return [(coins(negative=True)[0], {"name": "coins (negative)"}, "image")]


def napari_nuclei() -> list[LayerData]:
    """Return the drawn nuclei as napari's File > Open Sample takes them."""
    return [(nuclei()[0], {"name": "nuclei (drawn)"}, "image")]


def napari_cells() -> list[LayerData]:
    """Return the drawn cells as napari's File > Open Sample takes them."""
    return [(cells()[0], {"name": "cells (drawn)"}, "image")]
