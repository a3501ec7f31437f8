"""A tool that acts on the object under a click."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any  # napari's mouse events

from napari.layers import Labels

from napari_unet.bridge.open_pair import OpenPair

__all__ = ["ClickTool"]


class ClickTool:
    """Calls `act` with the object that is clicked, until it is closed.

    A press that moves is a pan, and does nothing.
    """

    def __init__(self, item: OpenPair, act: Callable[[OpenPair, int], None], *, name: str) -> None:
        self.name = name
        self._item = item
        self._act = act
        item.labels.mode = "pan_zoom"
        item.labels.mouse_drag_callbacks.append(self._on_press)

    def close(self) -> None:
        """Leave the mouse to napari again."""
        if self._on_press in self._item.labels.mouse_drag_callbacks:
            self._item.labels.mouse_drag_callbacks.remove(self._on_press)

    def _on_press(self, layer: Labels, event: Any) -> Iterator[None]:
        if event.button != 1:
            return
        yield
        moved = False
        while event.type == "mouse_move":
            moved = True
            yield
        if moved:
            return
        value = layer.get_value(
            event.position,
            view_direction=event.view_direction,
            dims_displayed=event.dims_displayed,
            world=True,
        )
        if value:
            self._act(self._item, int(value))
