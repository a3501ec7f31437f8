"""Layers of linked objects: labels in which each keeps its number, and the way it has gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Tracks

from napari_unet.bridge.layers import placement
from napari_unet.core.linking import series_order
from napari_unet.core.tracking import Tracked, centres

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["axes_of_labels", "show_linked", "stack_axes"]


def stack_axes(layer: Labels) -> list[tuple[str, str]]:
    """Return what to call each axis that can be gone along, and its letter; the last one first."""
    names = [str(name) for name in getattr(layer, "axis_labels", ())]
    letters = axes_of_labels(layer)
    found = []
    for axis in reversed(range(layer.ndim - 2)):
        own = names[axis] if len(names) == layer.ndim else ""
        name = f"axis {axis}" if not own or own.lstrip("-").isdigit() else own
        found.append((f"{name} ({layer.data.shape[axis]})", letters[axis]))
    return found


def axes_of_labels(layer: Labels) -> str:
    """Return a letter for each axis; of a stack of planes the first one is gone along."""
    return "ABDEFTZYX"[-layer.ndim :]


def show_linked(
    viewer: Viewer, over: Labels, linked: Tracked, along: str, *, with_tracks: bool
) -> Labels:
    """Add a labels layer of linked objects and, of a movie, one of their ways."""
    where = placement(over)
    layer = Labels(linked.labels, name=f"{over.name} linked", **where)
    viewer.add_layer(layer)
    over.visible = False
    axes = axes_of_labels(over)
    order, _ = series_order(axes, along)
    if with_tracks and order == axes and linked.labels.any():
        rows = centres(linked.labels)[:, [1, 0, *range(2, 1 + over.ndim)]]
        rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
        graph = {daughter: [mother] for daughter, mother in linked.parents.items()}
        viewer.add_layer(Tracks(rows, graph=graph, name=f"{over.name} tracks", **where))
        viewer.layers.selection.active = layer
    return layer
