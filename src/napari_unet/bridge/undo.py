"""Ctrl+Z and Ctrl+Shift+Z: one history for all slices and tools of what is worked on.

napari's own history is one slice long and knows nothing of the checked area; where its layer is one
of ours, the keys come here instead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any  # a layer or a viewer: whatever has keys

import numpy as np
from napari.layers import Labels

from napari_unet.bridge.layers import layer_indices
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.view import go_to, in_layer, shown_place, visible_box
from napari_unet.core.boxes import Box
from napari_unet.core.edit import Edit, joined_box, pixels_of
from napari_unet.session.pair import Pair

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_unet.bridge.pairing import Pairing

__all__ = ["REDO", "UNDO", "UndoKeys"]

UNDO, REDO = "Control-Z", "Control-Shift-Z"  # Control is the Command key on a Mac
MOST_PIXELS = 2**18  # more are drawn with the whole layer (chosen)

log = logging.getLogger(__name__)


class UndoKeys:
    """Binds the keys to the layers of pairs, and to the viewer for layers that have no such keys.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    workspace : Pairing
        What is worked on in it.
    """

    def __init__(self, viewer: Viewer, workspace: Pairing) -> None:
        self._viewer = viewer
        self._workspace = workspace
        self._layers: list[Labels] = []
        self._bound: list[tuple[Any, str, Callable[[Any], None], Callable[..., Any] | None]] = []
        for key, act in ((UNDO, self._undo), (REDO, self._redo)):
            try:
                viewer.bind_key(key, act)
            except ValueError:
                log.warning("%s is used by something else and stays so.", key)
            else:
                self._bound.append((viewer, key, act, None))

    def follow(self, layer: Labels) -> None:
        """Take the keys of a layer; they win over those that napari binds to all such layers."""
        self._layers.append(layer)
        for key, act in ((UNDO, self._undo), (REDO, self._redo)):
            before = layer.bind_key(key, act, overwrite=True)
            self._bound.append((layer, key, act, before))

    def unfollow(self, layer: Labels) -> None:
        """Give a layer its keys back."""
        if layer in self._layers:
            self._layers.remove(layer)
            self._release([one for one in self._bound if one[0] is layer])

    def close(self) -> None:
        """Give all keys back."""
        self._layers.clear()
        self._release(list(self._bound))

    def _release(self, bound: Sequence[Any]) -> None:
        for one in bound:
            owner, key, act, before = one
            self._bound.remove(one)
            now = owner.bind_key(key, None)
            back = before if now == act else now  # somebody may have taken the key since
            if back is not None:
                owner.bind_key(key, back, overwrite=True)

    def _undo(self, owner: Any) -> None:
        self._step(owner, Pair.undo)

    def _redo(self, owner: Any) -> None:
        self._step(owner, Pair.redo)

    def _step(self, owner: Any, step: Callable[[Pair, Callable[[Edit], None]], list[Edit]]) -> None:
        workspace = self._workspace
        item = workspace.of_labels(owner) if isinstance(owner, Labels) else workspace.current
        if item is None:
            return
        workspace.notice()  # a stroke that was just ended is the last step
        painter = _Painter(self._viewer, item)
        done = step(item.pair, painter.write)
        if done:
            _show_where(self._viewer, item, done)
        if done and painter.has_drawn_all:
            workspace.checked_grew(item)
        elif done:
            workspace.labels_changed(item)
        for place in dict.fromkeys(edit.place for edit in done if not edit.by_person):
            workspace.session.labels_restored.emit(item.pair, place)


class _Painter:
    """Writes labels of the shown plane through napari, which draws their box alone.

    Where that is not possible the whole layer has to be drawn anew, which takes some tenths of a
    second on 4096 x 4096 pixels.
    """

    def __init__(self, viewer: Viewer, item: OpenPair) -> None:
        self._item = item
        self._shown = shown_place(viewer, item.image, item.pair.image)
        axes = item.pair.image.axes
        has_channels = "C" in axes and not axes.endswith("XC")  # each shows the same pixels
        self.has_drawn_all = viewer.dims.ndisplay == 2 and not has_channels

    def write(self, edit: Edit) -> None:
        """Write the labels of an edit, if they are in the shown plane."""
        if edit.place != self._shown or not self.has_drawn_all:
            return
        where, values = pixels_of(edit, self._item.pair.labels[edit.place])
        if len(values) > MOST_PIXELS:
            self.has_drawn_all = False
            return
        *stack, rows, columns = layer_indices(self._item.pair.image, edit.place, where)
        top, left = (side.start for side in edit.box)
        self._item.labels.data_setitem((*stack, rows + top, columns + left), values)


def _show_where(viewer: Viewer, item: OpenPair, done: Sequence[Edit]) -> None:
    """Bring what has changed into view if it is in another slice, or outside of what is seen."""
    image = item.pair.image
    shown = shown_place(viewer, item.image, image)
    here = [edit for edit in done if edit.place == shown]
    edits = here or [edit for edit in done if edit.place == done[0].place]
    box = joined_box([edit.box for edit in edits])
    if here and _overlap(box, visible_box(viewer, item.image, image)):
        return
    rows, columns = box
    corners = np.array([[rows.start, columns.start], [rows.stop - 1, columns.stop - 1]], float)
    go_to(viewer, item.labels, in_layer(viewer, item.labels, image, edits[0].place, corners))


def _overlap(one: Box, other: Box) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))
