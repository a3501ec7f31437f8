"""A layer that glows where averaged versions of an image differ: there the model is unsure."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from napari_unet.bridge.layers import COMPARED, over_channels, placement
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.workspace import Workspace
from napari_unet.session.image import Place
from napari_unet.session.pair import Pair
from napari_unet.session.session import Session

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["UnsureLayers"]

DRAW_EVERY_S = 0.3
MOST_PERCENT = 50  # a standard deviation of what lies between 0 and 1


class UnsureLayers:
    """Keeps one layer for each image of which versions were averaged.

    Values are the standard deviation of the probability in percent, 0 to 50.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    session : Session
        Whoever owns both calls `flush` after each `Session.pump`.
    workspace : Workspace
    """

    def __init__(self, viewer: Viewer, session: Session, workspace: Workspace) -> None:
        self._viewer, self._session, self._workspace = viewer, session, workspace
        self._layers: dict[int, tuple[Pair, ImageLayer, NDArray[np.uint8]]] = {}
        self._stale: dict[tuple[int, Place], Pair] = {}
        self._drawn_at = 0.0
        session.labels_changed.connect(self._on_labels)

    def close(self) -> None:
        """Follow the session no more; the layers stay."""
        self._session.labels_changed.disconnect(self._on_labels)
        self._layers.clear()
        self._stale.clear()

    def _on_labels(self, pair: Pair, place: Place) -> None:
        if place in pair.deviation or id(pair) in self._layers:
            self._stale[id(pair), place] = pair

    def flush(self) -> None:
        """Draw what has changed, some times a second at the most."""
        if not self._stale or time.monotonic() - self._drawn_at < DRAW_EVERY_S:
            return
        stale, self._stale = self._stale, {}
        self._forget_removed()
        for (_, place), pair in stale.items():
            item = next((one for one in self._workspace.items() if one.pair is pair), None)
            if item is not None:
                self._draw(item, place)
        self._drawn_at = time.monotonic()

    def _forget_removed(self) -> None:
        self._layers = {
            key: known for key, known in self._layers.items() if known[1] in self._viewer.layers
        }

    def _draw(self, item: OpenPair, place: Place) -> None:
        deviation = item.pair.deviation.get(place)
        if id(item.pair) not in self._layers:
            if deviation is None:
                return
            self._add(item)
        _, layer, percent = self._layers[id(item.pair)]
        if deviation is None:
            percent[place] = 0
        else:
            rows, columns = (
                np.arange(new) * size // new
                for new, size in zip(item.pair.image.plane_shape, deviation.shape, strict=True)
            )
            in_percent = np.rint(np.arange(256) / 2.55).astype(np.uint8)
            percent[place] = in_percent[deviation[np.ix_(rows, columns)]]
        layer.refresh(extent=False, thumbnail=not self._session.busy)

    def _add(self, item: OpenPair) -> None:
        percent = np.zeros(item.pair.image.shape, np.uint8)
        layer = ImageLayer(
            over_channels(item.pair.image, percent),
            name=f"{item.image.name} unsure",
            colormap="magma",
            contrast_limits=(0, MOST_PERCENT),
            blending="additive",
            metadata={COMPARED: True},
            **placement(item.image),
        )
        layers, active = self._viewer.layers, self._viewer.layers.selection.active
        layer = self._viewer.add_layer(layer)
        layers.move(layers.index(layer), layers.index(item.image) + 1)  # below labels
        layers.selection.active = active
        self._layers[id(item.pair)] = item.pair, layer, percent
