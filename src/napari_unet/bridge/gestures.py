"""What the hand does with the mouse over the labels, while a tool is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol  # napari's mouse events

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.workspace import Workspace
from napari_unet.core.boxes import Box
from napari_unet.core.errors import InputError, NapariUnetError
from napari_unet.session.image import Place

__all__ = ["Gesture", "GestureTool", "Kind", "Sketch"]

IN_3D = "Switch napari back to 2D, by the button at its lower left, to correct the labels."
OTHER_AXES = "Roll napari's axes, by its button, until rows and columns of the image are seen."
HIDDEN = "The labels are hidden; show them, by the eye in the list of layers, to correct them."

CLICK_PIXELS = 3  # of the screen: a press that moves less is a click (chosen)

# napari's modes: while the mouse pans, only clicks are ours; while it picks, drags are too.
PAN, PICK = "pan_zoom", "pick"


class Kind(Enum):
    """What a tool is told by; a click is part of all."""

    CLICK = "click"
    BOX = "box"
    LINE = "line"
    OUTLINE = "outline"


@dataclass(frozen=True, slots=True, eq=False)
class Gesture:
    """A press, what was drawn, and the release.

    Attributes
    ----------
    place : tuple of int
        The plane of the stack.
    path : ndarray of float, shape (N, 2)
        Rows and columns of the plane, whole numbers in the middle of pixels; one for a click.
    with_shift : bool
        The shift key was held at the press.
    """

    place: Place
    path: NDArray[np.float64]
    with_shift: bool = False

    @property
    def is_click(self) -> bool:
        """Whether nothing was drawn."""
        return len(self.path) == 1

    def number(self, plane: NDArray[Any]) -> int:
        """Return the object under the press; 0 for none."""
        row, column = np.floor(self.path[0] + 0.5).astype(int).tolist()
        inside = 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]
        return int(plane[row, column]) if inside else 0

    def box(self, shape: tuple[int, int]) -> Box:
        """Return the box from the press to the release, as far as a plane goes."""
        ends = np.floor(self.path[[0, -1]] + 0.5)
        low = np.clip(ends.min(axis=0), 0, shape).astype(int).tolist()
        high = np.clip(ends.max(axis=0) + 1, low, shape).astype(int).tolist()
        return slice(low[0], high[0]), slice(low[1], high[1])


class Sketch(Protocol):
    """Shows what is being drawn."""

    def draw(self, event: Any, kind: Kind, points: list[tuple[float, float]]) -> None:
        """Show points, x and y in the canvas that a mouse event came from."""

    def clear(self) -> None:
        """Show nothing."""


class GestureTool:
    """Calls `act` with each gesture over the labels of a pair, until it is closed.

    A tool that is told by clicks alone leaves drags to napari's camera.

    Parameters
    ----------
    workspace : Workspace
    item : OpenPair
    kind : Kind
    act : callable
        What to do; it may raise `NapariUnetError`.
    say : callable
        Takes a sentence, empty if all went well.
    sketch : Sketch, optional
        Shows what is drawn meanwhile.
    """

    def __init__(
        self,
        workspace: Workspace,
        item: OpenPair,
        kind: Kind,
        act: Callable[[Gesture], None],
        say: Callable[[str], None],
        sketch: Sketch | None = None,
    ) -> None:
        self._workspace, self._item, self._kind = workspace, item, kind
        self._act, self._say, self._sketch = act, say, sketch
        self._selected = item.labels.selected_label
        self.mode = PAN if kind is Kind.CLICK else PICK
        item.labels.mode = self.mode
        item.labels.mouse_drag_callbacks.append(self._on_press)

    def close(self) -> None:
        """Leave the mouse to napari again."""
        layer = self._item.labels
        if self._on_press in layer.mouse_drag_callbacks:
            layer.mouse_drag_callbacks.remove(self._on_press)
        if layer.mode == PICK:
            layer.mode = PAN
        self._keep_selected()
        if self._sketch is not None:
            self._sketch.clear()

    def _keep_selected(self) -> None:
        """napari picks the label under a press; brushes go on with the one they had."""
        if self.mode == PICK and self._item.labels.selected_label != self._selected:
            self._item.labels.selected_label = self._selected

    def _on_press(self, layer: Labels, event: Any) -> Iterator[None]:
        if event.button != 1 or layer.mode not in (PAN, PICK):
            return
        places, points = [event.position], [_point(event)]
        draws = layer.mode == PICK
        yield
        try:
            while event.type == "mouse_move":
                places.append(event.position)
                points.append(_point(event))
                if draws and self._sketch is not None and _is_drag(points):
                    self._sketch.draw(event, self._kind, points)
                yield
        finally:
            if self._sketch is not None:
                self._sketch.clear()
        places.append(event.position)  # of the release: not every move is told
        points.append(_point(event))
        if _is_drag(points) and not draws:
            return
        self._keep_selected()
        self._finish(places if _is_drag(points) else places[:1], event)

    def _finish(self, places: list[Any], event: Any) -> None:
        try:
            self._check()
            path = np.array([self._item.labels.world_to_data(place)[-2:] for place in places])
            place = self._workspace.shown(self._item)
            self._act(Gesture(place, path, "Shift" in event.modifiers))
        except NapariUnetError as error:
            self._say(str(error))
        else:
            self._say("")

    def _check(self) -> None:
        """Find out whether a plane of the image is what is seen."""
        dims, labels = self._workspace.viewer.dims, self._item.labels
        if dims.ndisplay == 3:
            raise InputError(IN_3D)
        if set(dims.displayed) != {dims.ndim - 2, dims.ndim - 1}:
            raise InputError(OTHER_AXES)
        if not labels.visible:
            raise InputError(HIDDEN)


def _point(event: Any) -> tuple[float, float]:
    x, y = getattr(event, "pos", (0.0, 0.0))
    return float(x), float(y)


def _is_drag(points: list[tuple[float, float]]) -> bool:
    return bool(np.abs(np.array(points) - points[0]).max() >= CLICK_PIXELS)
