"""The border between two versions that are compared, and the way back."""

from __future__ import annotations

from magicgui.widgets import Container, FloatSlider, Widget

from napari_unet.bridge.compare import MIDDLE
from napari_unet.widgets.parts import Note, bring_into_view, button, follow, row
from napari_unet.widgets.workbench import Workbench

__all__ = ["CompareRow"]

SWIPE_TIP = "Move the border: left of it the version that segments, right of it the other one."
END_TIP = "Show the labels that you correct again."


class CompareRow:
    """A slider and a button, seen while versions are compared; `row` and `note` go into a panel."""

    def __init__(self, bench: Workbench) -> None:
        self._compare = bench.compare
        self.swipe = FloatSlider(
            label="", min=0.0, max=1.0, step=0.01, value=MIDDLE, tooltip=SWIPE_TIP, readout=False
        )
        self.end = button("End", END_TIP, bench.compare.end)
        self.end.native.setFixedWidth(60)
        self.row: Container[Widget] = row(self.swipe, self.end)
        self.note = Note()
        self.swipe.changed.connect(self._compare.swipe)
        follow(self.row.native, self._compare.changed, self.show)
        self.show()

    def show(self) -> None:
        """Show what is compared, or nothing."""
        was_on, is_on = self.row.visible, self._compare.is_on
        if not is_on:
            with self.swipe.changed.blocked():
                self.swipe.value = MIDDLE
        self.row.visible = is_on
        self.note.say(self._compare.sentence)
        if is_on and not was_on:
            bring_into_view(self.note)
