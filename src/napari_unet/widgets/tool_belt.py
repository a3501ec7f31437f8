"""Which tool is in the hand, in one viewer; all docks show the same."""

from __future__ import annotations

from functools import partial

from psygnal import Signal

from napari_unet.bridge.corrections import free_number
from napari_unet.bridge.gestures import Gesture, GestureTool
from napari_unet.bridge.inside_eraser import InsideEraser
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.tools import Target
from napari_unet.bridge.workspace import Workspace
from napari_unet.core.errors import NapariUnetError
from napari_unet.widgets.sketch import CanvasSketch
from napari_unet.widgets.tool_list import ERASE, NEW, Tool

__all__ = ["ToolBelt"]


class ToolBelt:
    """Takes up tools and puts them down.

    Parameters
    ----------
    workspace : Workspace
    """

    changed = Signal()
    """Another tool is in the hand, or none, or the stack is followed or not."""
    said = Signal(str)
    """A sentence about the last gesture; an empty one if all went well."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._hand: GestureTool | InsideEraser | None = None
        self._item: OpenPair | None = None
        self._through_stack = False
        self.in_hand: Tool | None = None
        self.sketch = CanvasSketch()
        workspace.layers_changed.connect(self._on_layers)
        workspace.chosen_changed.connect(self._on_layers)

    @property
    def through_stack(self) -> bool:
        """Whether objects are followed into other planes."""
        return self._through_stack

    @through_stack.setter
    def through_stack(self, follows: bool) -> None:
        self._through_stack = follows
        self.changed.emit()

    def take(self, tool: Tool) -> None:
        """Take up a tool; the one that is in the hand already is put down.

        Labels are made where there are none.
        """
        had = self.in_hand
        self.drop()
        if tool is had:
            return
        item = self.ready()
        if item is None:
            return
        if tool is NEW:
            self._take_brush(item)
        else:
            self._take_up(tool, item)

    def ready(self) -> OpenPair | None:
        """Return the labels to work on, made if there are none, and select them."""
        try:
            item = self._workspace.open()
        except NapariUnetError as error:
            self.said.emit(str(error))
            return None
        self._workspace.select(item)
        self.said.emit("")
        return item

    def _take_brush(self, item: OpenPair) -> None:
        """napari's brush needs no hand of ours."""
        try:
            item.labels.selected_label = free_number(item)
        except NapariUnetError as error:
            self.said.emit(str(error))
        else:
            item.labels.mode = "paint"

    def _take_up(self, tool: Tool, item: OpenPair) -> None:
        if tool is ERASE:
            self._hand = InsideEraser(item, self.said.emit)
        else:
            assert tool.kind is not None
            act = partial(self._act, tool, item)
            self._hand = GestureTool(
                self._workspace, item, tool.kind, act, self.said.emit, self.sketch
            )
        self._item, self.in_hand = item, tool
        item.labels.events.mode.connect(self._on_mode)
        self.changed.emit()

    def _act(self, tool: Tool, item: OpenPair, gesture: Gesture) -> None:
        assert tool.act is not None
        tool.act(Target(self._workspace, item, self.through_stack), gesture)

    def drop(self) -> None:
        """Put down what is in the hand."""
        hand, item = self._hand, self._item
        self._hand = self._item = self.in_hand = None
        if item is not None:
            item.labels.events.mode.disconnect(self._on_mode)
        if hand is not None:
            hand.close()
            self.changed.emit()

    def close(self) -> None:
        """Put down the tool, and follow the workspace no more."""
        self.drop()
        self._workspace.layers_changed.disconnect(self._on_layers)
        self._workspace.chosen_changed.disconnect(self._on_layers)

    def _on_layers(self) -> None:
        """Its labels may be gone, or other ones are worked on."""
        if self._item is not None and self._item is not self._workspace.current:
            self.drop()

    def _on_mode(self) -> None:
        """One of napari's own tools was taken up; while Space is held the mouse moves the image."""
        if self._item is None or self._hand is None:
            return
        if self._item.labels.mode not in (self._hand.mode, "pan_zoom"):
            self.drop()
