"""A pair of the session and the layers that show it."""

from __future__ import annotations

from dataclasses import dataclass

from napari.layers import Image as ImageLayer
from napari.layers import Labels

from napari_unet.session.pair import Pair

__all__ = ["OpenPair"]


@dataclass(eq=False)
class OpenPair:
    """What is known of an image layer, and where it is shown."""

    pair: Pair
    image: ImageLayer
    labels: Labels
    checked: Labels | None = None  # added when there is something to show
