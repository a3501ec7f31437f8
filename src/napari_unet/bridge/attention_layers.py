"""Layers of what the gates of an Attention U-Net let through, over the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from napari_unet.bridge.layers import COMPARED, over_channels, placement
from napari_unet.engine.attention_task import AttentionMaps
from napari_unet.session.image import Image, Place

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["show_attention"]

FLAT = 1e-4


def show_attention(
    viewer: Viewer, over: ImageLayer, image: Image, found: AttentionMaps, place: Place
) -> list[ImageLayer]:
    """Add a layer for each gate, right over the image; those of an earlier look are replaced.

    Dark and bright are the least and the most that a gate lets through here: gates begin open, and
    after a short training all lies near 1. Of a stack only the plane that was computed is filled.
    The finest gate is shown, the others are there to be switched on.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    over : napari.layers.Image
        The layer in which the image is.
    image : Image
        As it was read.
    found : AttentionMaps
    place : tuple of int
        The plane.
    """
    layers, active = viewer.layers, viewer.layers.selection.active
    added = []
    for number, (name, plane) in enumerate(zip(found.names, found.maps, strict=True)):
        called = f"{over.name} attention, {name}"
        for old in [one for one in layers if one.name == called and COMPARED in one.metadata]:
            layers.remove(old)
        whole = np.zeros(image.shape, np.float32)
        whole[place] = plane
        layer = ImageLayer(
            over_channels(image, whole),
            name=called,
            colormap="inferno",
            contrast_limits=_range(plane),
            blending="additive",
            opacity=0.7,
            visible=number == 0,
            metadata={COMPARED: True},
            **placement(over),
        )
        layer.contrast_limits_range = (0, 1)
        layer = viewer.add_layer(layer)
        layers.move(layers.index(layer), layers.index(over) + 1 + number)
        added.append(layer)
    if active in layers:
        layers.selection.active = active
    return added


def _range(plane: NDArray[np.float32]) -> tuple[float, float]:
    """Return what is shown dark and bright."""
    low, high = np.percentile(plane, (1, 99))
    return (float(low), float(high)) if high - low > FLAT else (0.0, 1.0)
