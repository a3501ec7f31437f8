"""Corrections of the plane that is shown, beside those that napari's own tools make."""

from __future__ import annotations

from napari_unet.bridge.layers import layer_indices
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.view import visible_box
from napari_unet.bridge.workspace import Workspace
from napari_unet.core.checked import Box
from napari_unet.session.image import Place

__all__ = ["check_view", "delete", "looks_right", "right_there", "uncheck"]


def check_view(workspace: Workspace, item: OpenPair) -> None:
    """Say that all that is seen is right."""
    place = workspace.shown(item)
    item.pair.absorb(place)
    item.pair.check_box(place, visible_box(workspace.viewer, item.image, item.pair.image))
    workspace.checked_grew(item)


def uncheck(workspace: Workspace, item: OpenPair) -> None:
    """Forget what is checked."""
    place = workspace.shown(item)
    item.pair.absorb(place)
    item.pair.uncheck(place)
    workspace.checked_grew(item)


def looks_right(workspace: Workspace, item: OpenPair, number: int) -> None:
    """Add an object to the checked area."""
    place = workspace.shown(item)
    item.pair.absorb(place)
    if item.pair.looks_right(place, [number]) is not None:
        workspace.checked_grew(item)


def right_there(workspace: Workspace, item: OpenPair, place: Place, number: int, box: Box) -> None:
    """Add an object of any plane to the checked area; number 0: that there is none in a box."""
    item.pair.absorb(place)
    if number:
        item.pair.looks_right(place, [number])
    else:
        item.pair.check_background(place, box)
    workspace.checked_grew(item)


def delete(workspace: Workspace, item: OpenPair, number: int) -> None:
    """Remove an object; one step of undo."""
    place = workspace.shown(item)
    indices = layer_indices(item.pair.image, place, item.pair.labels[place] == number)
    if number != 0 and len(indices[0]):
        item.labels.data_setitem(indices, 0)
