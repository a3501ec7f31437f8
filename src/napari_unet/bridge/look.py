"""Bringing what is worth a look into view, with a ring around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Shapes
from numpy.typing import NDArray

from napari_unet.bridge.layers import placement
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.view import camera_of, canvas_size, go_to, in_layer, keep_inside
from napari_unet.core.uncertainty import Doubt
from napari_unet.session.image import Place

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["Ring", "ring_name"]

COLOUR = "#ffd400"
MARGIN = 4  # pixels of the image between an object and the ring, at the least
LINE = 2.0  # pixels of the screen

# A ring is to cover at least and at most so much of what is seen; otherwise the camera zooms
# until it covers a fifth (chosen: the neighbours are seen too).
SMALLEST, LARGEST, USUAL = 0.04, 0.8, 0.2


def ring_name(item: OpenPair) -> str:
    """What the layer of the ring is called."""
    return f"{item.image.name} look here"


class Ring:
    """A ring that is drawn in a layer of its own, one at a time.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._layer: Shapes | None = None

    def show(self, item: OpenPair, place: Place, doubt: Doubt) -> None:
        """Move slices and camera so that a place is seen, and draw a ring around it."""
        half = tuple((side.stop - side.start) / 2 for side in doubt.box)
        corners = _corners(np.array(doubt.center), half)
        points = in_layer(self._viewer, item.labels, item.pair.image, place, corners)
        self.show_around(item.labels, points, ring_name(item))

    def around(self, layer: Labels, center: NDArray[np.float64], half: tuple[float, ...]) -> None:
        """Do the same for a box of a layer: its middle in all axes, half its height and width."""
        corners = _corners(center[-2:], half)
        steps = np.tile(np.round(center[:-2]), (len(corners), 1))
        self.show_around(layer, np.column_stack([steps, corners]), f"{layer.name} look here")

    def show_around(self, labels: Labels, points: NDArray[np.float64], name: str) -> None:
        """Do so around the corners (4, dimensions) of a box, in a layer's own dimensions."""
        self._go_to(labels, points)
        self.remove()
        active = self._viewer.layers.selection.active
        width = LINE / camera_of(self._viewer).zoom / float(np.abs(labels.scale[-1]))
        layer = Shapes(
            [points],
            shape_type="ellipse",
            face_color="transparent",
            edge_color=COLOUR,
            edge_width=width,
            name=name,
            **placement(labels),
        )
        layer.editable = False
        self._layer = self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = active  # brushes go on where they were

    def remove(self) -> None:
        """Take the ring away, if it is still there."""
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._viewer.layers:
            active = self._viewer.layers.selection.active
            self._viewer.layers.remove(layer)
            if active is not layer:
                self._viewer.layers.selection.active = active

    def _go_to(self, labels: Labels, points: NDArray[np.float64]) -> None:
        camera = camera_of(self._viewer)
        size = go_to(self._viewer, labels, points)
        part = float((size * camera.zoom / np.array(canvas_size(self._viewer))).max())
        if not SMALLEST <= part <= LARGEST:
            camera.zoom *= USUAL / part
        if self._viewer.dims.ndisplay == 2:
            keep_inside(self._viewer, labels, points)


def _corners(center: NDArray[np.float64], half: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the corners (4, Y and X) of the ring's box."""
    signs = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    around = np.array(half) * 2**0.5 + MARGIN  # an ellipse around a box
    corners: NDArray[np.float64] = center + signs * around
    return corners
