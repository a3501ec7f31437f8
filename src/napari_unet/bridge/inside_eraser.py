"""napari's eraser, kept inside of the object on which it was pressed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any  # napari's mouse events

import numpy as np
from napari.layers import Labels

from napari_unet.bridge.open_pair import OpenPair

__all__ = ["InsideEraser"]

MODE = "erase"
NO_CELL = "Press on the cell to erase from; its neighbours then stay as they are."


class InsideEraser:
    """Sets napari's eraser to one object at each press, until it is closed.

    Where labels are preserved, napari erases the selected label alone. So the brush, its size, its
    cursor and its undo are napari's own.

    Parameters
    ----------
    item : OpenPair
    say : callable
        Takes a sentence, empty if all went well.
    """

    def __init__(self, item: OpenPair, say: Callable[[str], None]) -> None:
        self._layer, self._say, self.mode = item.labels, say, MODE
        self._before = item.labels.selected_label, item.labels.preserve_labels
        self._none = int(np.iinfo(item.pair.labels.dtype).max)  # a label that no object has
        item.labels.preserve_labels = True
        item.labels.mode = MODE
        item.labels.mouse_drag_callbacks.insert(0, self._on_press)  # before napari's eraser

    def close(self) -> None:
        """Leave the eraser as it was."""
        if self._on_press in self._layer.mouse_drag_callbacks:
            self._layer.mouse_drag_callbacks.remove(self._on_press)
        self._layer.selected_label, self._layer.preserve_labels = self._before
        if self._layer.mode == MODE:
            self._layer.mode = "pan_zoom"

    def _on_press(self, layer: Labels, event: Any) -> Iterator[None]:
        if layer.mode != MODE:
            return
        value = layer.get_value(
            event.position,
            view_direction=event.view_direction,
            dims_displayed=event.dims_displayed,
            world=True,
        )
        layer.selected_label = int(value or self._none)
        self._say("" if value else NO_CELL)
        yield
        while event.type == "mouse_move":
            yield
        layer.selected_label = self._before[0]
