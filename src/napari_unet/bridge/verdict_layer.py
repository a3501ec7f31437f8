"""A layer that colours objects by what became of them, and the way to each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_unet.bridge.layers import CHECKED, placement
from napari_unet.bridge.look import Ring
from napari_unet.bridge.workspace import COMPARED
from napari_unet.core.errors import InputError
from napari_unet.core.verdicts import ObjectVerdicts, Verdict

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["COLOURS", "VerdictLayer", "labels_layers", "labels_problem", "shown_plane"]

# Of Okabe and Ito 2008: told apart by those who see few colours, too.
COLOURS = {
    Verdict.HIT: "#009e73",
    Verdict.MISSED: "#56b4e9",
    Verdict.FALSE: "#d55e00",
    Verdict.SPLIT: "#f0e442",
    Verdict.MERGED: "#cc79a7",
}
NOTHING = "#00000000"
OPACITY = 0.6


def labels_layers(viewer: Viewer) -> list[Labels]:
    """Return the labels layers that can be compared, topmost first."""
    return [
        layer
        for layer in reversed(viewer.layers)
        if isinstance(layer, Labels) and not {COMPARED, CHECKED} & set(layer.metadata)
    ]


def labels_problem(truth: Labels, prediction: Labels) -> str:
    """Say why two layers cannot be compared; empty if they can."""
    if truth is prediction:
        return "Truth and prediction are the same layer; choose two."
    for layer in (truth, prediction):
        if layer.multiscale:
            return f"{layer.name} has several resolutions; open the full one as a layer of its own."
    shapes = tuple(truth.data.shape), tuple(prediction.data.shape)
    if shapes[0] != shapes[1]:
        return f"Truth covers {shapes[0]} pixels and prediction {shapes[1]}; they must be equal."
    return ""


def shown_plane(viewer: Viewer, layer: Labels) -> tuple[int, ...]:
    """Return the index of the plane of a stack that is seen.

    Raises
    ------
    InputError
        If the viewer shows other axes than the last two.
    """
    if tuple(viewer.dims.displayed) != (viewer.dims.ndim - 2, viewer.dims.ndim - 1):
        raise InputError("Show the last two axes in 2D, or compare all slices.")
    point = layer.world_to_data(viewer.dims.point[-layer.ndim :])
    steps = zip(point[:-2], layer.data.shape[:-2], strict=True)
    return tuple(int(np.clip(round(float(at)), 0, size - 1)) for at, size in steps)


class VerdictLayer:
    """Shows a map of verdicts over the labels that were compared, and a ring around one object.

    As long as the map is seen what was compared is hidden: colours would mix.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._layer: Labels | None = None
        self._compared: tuple[Labels, ...] = ()
        self._over: Labels | None = None
        self._hidden: list[Labels] = []
        self._ring = Ring(viewer)

    def show(
        self, painted: NDArray[np.uint8], compared: tuple[Labels, Labels], *, visible: bool
    ) -> None:
        """Show a map with the shape of the labels that were compared, truth and prediction."""
        self.remove()
        over = compared[1]
        active = self._viewer.layers.selection.active
        colours: dict[int | None, str] = {0: NOTHING, None: NOTHING}
        colours |= {int(verdict): colour for verdict, colour in COLOURS.items()}
        names = ["", *(verdict.name.lower() for verdict in Verdict)]
        layer = Labels(
            painted,
            name=f"{over.name} verdicts",
            colormap=DirectLabelColormap(color_dict=colours),
            features={"index": list(range(len(names))), "verdict": names},
            opacity=OPACITY,
            visible=visible,
            metadata={COMPARED: True},
            **placement(over),
        )
        layer.editable = False
        self._layer, self._over = self._viewer.add_layer(layer), over
        self._viewer.layers.selection.active = active
        self._compared = compared
        self.set_visible(visible)

    def set_visible(self, visible: bool) -> None:
        """Show or hide the map, if it is still there."""
        if self._layer is None or self._layer not in self._viewer.layers:
            return
        self._layer.visible = visible
        self._show_compared()
        if visible:
            self._hidden = [layer for layer in self._compared if layer.visible]
            for layer in self._hidden:
                layer.visible = False

    def _show_compared(self) -> None:
        """Show again what was hidden."""
        hidden, self._hidden = self._hidden, []
        for layer in hidden:
            layer.visible = True

    def go_to(self, objects: ObjectVerdicts, row: int, place: tuple[int, ...] = ()) -> None:
        """Bring an object into view, with a ring around it; `place` is the plane they are of."""
        if self._over is None or self._over not in self._viewer.layers:
            return
        half = float(np.sqrt(objects.pixels[row])) / 2  # of a square as large
        center = np.array([*place, *objects.center[row]], float)
        self._ring.around(self._over, center, (half, half))

    def remove(self) -> None:
        """Take map and ring away, if they are still there."""
        self._ring.remove()
        self._show_compared()
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
