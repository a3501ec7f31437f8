"""The dock in which an object gets one number through slices, or frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from magicgui.widgets import CheckBox, Container, FloatSlider, SpinBox, Widget
from napari.layers import Labels
from qtpy.QtCore import QTimer

from napari_unet.bridge.linked_layer import axes_of_labels, show_linked, stack_axes
from napari_unet.bridge.verdict_layer import labels_layers
from napari_unet.core.linking import LEAST
from napari_unet.core.tracking import Tracked
from napari_unet.session.linker import Linker, ToLink
from napari_unet.widgets.parts import (
    Choice,
    Note,
    Panel,
    button,
    fields,
    is_alive,
    set_enabled,
)

if TYPE_CHECKING:
    import napari

__all__ = ["LinkDock"]

PUMP_EVERY_MS = 30
MIN_WIDTH = 300
OVERLAP, MOTION = "overlap", "motion"
WAYS = [("they lie over each other", OVERLAP), ("they move little", MOTION)]
LINK_TIP = "Make a new labels layer in which an object has one number in all slices or frames."
NO_STACK = "Open or make labels of a stack or a movie."


class LinkDock(Container[Widget]):
    """Choose labels of a stack, and what makes two objects one."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        self._viewer = napari_viewer
        self._linker = Linker()
        self._over: tuple[Labels, str, bool] | None = None
        self._make()
        inside = Panel([self.form, self.link, self.note])
        inside.native.layout().addStretch(1)
        super().__init__(widgets=[inside], labels=False)
        self.native.layout().setContentsMargins(0, 2, 0, 2)
        self.native.setMinimumWidth(MIN_WIDTH)
        self._connect()
        self._show_layers()

    def _make(self) -> None:
        self.which = Choice(label="Labels", tooltip="Each slice or frame numbered by itself.")
        self.along = Choice(
            label="Along",
            tooltip="The axis of slices or frames. With two axes, going along the first takes "
            "what has one number through the other as one object.",
        )
        self.by = Choice(label="One, if", tooltip="What makes objects of two planes one.")
        self.by.offer(WAYS, OVERLAP)
        self.least = FloatSlider(
            label="Overlap",
            min=0.05,
            max=1.0,
            step=0.05,
            value=LEAST,
            tooltip="Share of the smaller of two objects that must lie over the other.",
        )
        self.distance = SpinBox(
            label="Distance",
            min=1,
            max=10000,
            value=20,
            tooltip="How far the middle of an object may move to the next frame, in pixels.",
        )
        self.gap = SpinBox(
            label="Gap",
            min=0,
            max=20,
            value=0,
            tooltip="In so many planes in a row an object may be missed.",
        )
        self.divisions = CheckBox(
            text="cells divide", label="", tooltip="One cell may become two; both get new numbers."
        )
        parts = (self.which, self.along, self.by, self.least, self.distance, self.gap)
        self.form = fields(*parts, self.divisions)
        self.link = button("Link", LINK_TIP, self.start)
        self.note = Note()

    def _connect(self) -> None:
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self._show_layers)
        self.which.changed.connect(self._show_axes)
        self.by.changed.connect(self._show_way)
        self._linker.done.connect(self._on_done)
        self._linker.failed.connect(self._on_failed)
        self._timer = QTimer(self.native)
        self._timer.setInterval(PUMP_EVERY_MS)
        self._timer.timeout.connect(self._linker.pump)
        self._timer.start()
        self.native.destroyed.connect(self._linker.close)

    def _show_layers(self) -> None:
        if not is_alive(self.native):  # the dock was closed, napari's events go on
            return
        layers = self._layers()
        names = [(layer.name, identity) for identity, layer in layers.items()]
        known = self.which.value if self.which.value in layers else None
        usual = known or next(iter(layers), None)
        self.which.offer(names, usual)
        for layer in layers.values():
            layer.events.name.connect(self._show_layers)
        self._show_axes()
        self._show_way()

    def _layers(self) -> dict[str, Labels]:
        stacks = [one for one in labels_layers(self._viewer) if one.ndim > 2 and not one.multiscale]
        return {str(layer.unique_id): layer for layer in stacks}

    def _show_axes(self) -> None:
        layer = self._layers().get(self.which.value)
        axes = [] if layer is None else stack_axes(layer)
        letters = [letter for _, letter in axes]
        usual = self.along.value if self.along.value in letters else next(iter(letters), None)
        self.along.offer(axes, usual)
        self.along.visible = len(axes) > 1
        set_enabled(self.link, "" if layer is not None else NO_STACK, LINK_TIP)
        if layer is None:
            self.note.say(NO_STACK)
        elif self.note.value == NO_STACK:
            self.note.say("")

    def _show_way(self) -> None:
        by_motion = self.by.value == MOTION
        self.least.visible = not by_motion
        self.distance.visible = self.divisions.visible = by_motion

    def start(self) -> None:
        """Link what is chosen; the viewer goes on meanwhile."""
        layer = self._layers().get(self.which.value)
        if layer is None:
            self._show_axes()
            return
        by_motion = self.by.value == MOTION
        self._over = layer, self.along.value, by_motion
        data = layer.data.copy() if isinstance(layer.data, np.ndarray) else layer.data
        self._linker.start(
            ToLink(
                data,
                axes_of_labels(layer),
                self.along.value,
                self.least.value,
                self.gap.value,
                self.distance.value if by_motion else None,
                divisions=self.divisions.value,
            )
        )
        self.note.say("Linking…")

    def _on_failed(self, sentence: str) -> None:
        self.note.say(sentence, failure=True)

    def _on_done(self, linked: Tracked) -> None:
        if self._over is None or self._over[0] not in self._viewer.layers:
            self._on_failed("The layer that was linked is gone.")
            return
        over, along, with_tracks = self._over
        show_linked(self._viewer, over, linked, along, with_tracks=with_tracks)
        count = int(linked.labels.max(initial=0))
        daughters = len(linked.parents)
        also = f", {daughters} of them daughters of a division" if daughters else ""
        self.note.say(
            f"{count} object{'s' * (count != 1)} in all{also}. “{over.name}” is as it was, and "
            "hidden."
        )
