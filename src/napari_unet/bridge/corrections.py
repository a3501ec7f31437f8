"""Corrections of the plane that is shown, beside those that napari's own tools make."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from napari_unet.bridge.layers import layer_indices
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.view import visible_box
from napari_unet.bridge.workspace import Workspace
from napari_unet.core import edits
from napari_unet.core.boxes import Box
from napari_unet.core.edits import Change
from napari_unet.core.errors import InputError
from napari_unet.session.image import Place

__all__ = [
    "apply_change",
    "apply_changes",
    "check_box",
    "check_view",
    "delete",
    "free_number",
    "looks_right",
    "right_there",
    "uncheck",
    "uncheck_object",
]

FULL = "No number is left for another cell; give those with the largest numbers smaller ones."


def apply_change(workspace: Workspace, item: OpenPair, place: Place, change: Change) -> None:
    """Write an edit of one plane into the labels."""
    before = item.pair.labels[place][change.box]
    changed = before != change.after
    indices = layer_indices(item.pair.image, place, changed, change.box)
    if len(indices[0]):
        item.labels.data_setitem(indices, change.after[changed])


def apply_changes(
    workspace: Workspace, item: OpenPair, changes: Iterable[tuple[Place, Change | None]]
) -> None:
    """Write edits of planes, all of them one step of undo, and grow the checked area by them.

    Raises
    ------
    InputError
        If a number does not fit into the labels; nothing is written then.
    """
    written = [(place, change) for place, change in changes if change is not None]
    most = np.iinfo(item.pair.labels.dtype).max
    if any(change.after.max(initial=0) > most for _, change in written):
        raise InputError(FULL)
    workspace.notice()  # what was painted before is a step of its own
    with item.labels.block_history():
        for place, change in written:
            apply_change(workspace, item, place, change)
    with item.pair.one_step():
        for place, change in written:
            item.pair.absorb(place, change.box)
    if written:
        workspace.checked_grew(item)


def free_number(item: OpenPair) -> int:
    """Return a number that no object has or had; those above it are free too.

    Raises
    ------
    InputError
        If there is none.
    """
    number = item.pair.next_number()
    if number > np.iinfo(item.pair.labels.dtype).max:
        raise InputError(FULL)
    return number


def delete(workspace: Workspace, item: OpenPair, number: int) -> None:
    """Remove an object from the plane that is shown; one step of undo."""
    place = workspace.shown(item)
    if number:
        apply_changes(workspace, item, [(place, edits.delete(item.pair.labels[place], [number]))])


# What is checked


def _notice(workspace: Workspace, item: OpenPair, place: Place) -> None:
    """What was painted before is a step of its own, in all the planes it went through."""
    workspace.notice()
    item.pair.absorb(place)  # a script may have painted, and told nobody


def check_view(workspace: Workspace, item: OpenPair) -> None:
    """Say that all that is seen is right."""
    box = visible_box(workspace.viewer, item.image, item.pair.image)
    check_box(workspace, item, workspace.shown(item), box)


def check_box(workspace: Workspace, item: OpenPair, place: Place, box: Box) -> None:
    """Say that all that is in a box is right, the empty places too."""
    _notice(workspace, item, place)
    item.pair.check_box(place, box)
    workspace.checked_grew(item)


def looks_right(workspace: Workspace, item: OpenPair, number: int) -> None:
    """Add an object to the checked area."""
    place = workspace.shown(item)
    _notice(workspace, item, place)
    if item.pair.looks_right(place, [number]) is not None:
        workspace.checked_grew(item)


def right_there(workspace: Workspace, item: OpenPair, place: Place, number: int, box: Box) -> None:
    """Add an object of any plane to the checked area; number 0: that there is none in a box."""
    _notice(workspace, item, place)
    if number:
        item.pair.looks_right(place, [number])
    else:
        item.pair.check_background(place, box)
    workspace.checked_grew(item)


def uncheck(workspace: Workspace, item: OpenPair, box: Box | None = None) -> None:
    """Forget what is checked in the plane that is shown, or in a box of it."""
    place = workspace.shown(item)
    _notice(workspace, item, place)
    if box is None:
        item.pair.uncheck(place)
    else:
        item.pair.uncheck(place, box)
    workspace.checked_grew(item)


def uncheck_object(workspace: Workspace, item: OpenPair, number: int) -> None:
    """Forget that an object is right."""
    place = workspace.shown(item)
    _notice(workspace, item, place)
    item.pair.uncheck_objects(place, [number])
    workspace.checked_grew(item)
