"""Classes to paint: choose one, or add another."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import Container, Widget
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QInputDialog

from napari_unet.bridge.layers import class_colour
from napari_unet.core.errors import NapariUnetError
from napari_unet.session.class_pair import BACKGROUND
from napari_unet.widgets.parts import Choice, Note, button, follow, row, set_enabled
from napari_unet.widgets.workbench import Workbench

__all__ = ["ClassRow"]

PAINT_TIP = "Take napari's brush with this class: what is painted is checked, and learnt."
ADD_TIP = "Add a class; those that were taught before stay."
FIRST = "nucleus, cytoplasm"
SWATCH = 12  # pixels
PAINT_WIDTH, ADD_WIDTH = 52, 92


class ClassRow:
    """The classes of the labels that are corrected; `row` and `note` go into a panel."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self.choice = Choice(tooltip=PAINT_TIP)
        self.paint = button("Paint", PAINT_TIP, self.paint_with)
        self.add = button("Add class…", ADD_TIP, self._ask_and_add)
        self.paint.native.setFixedWidth(PAINT_WIDTH)  # the names need the rest
        self.add.native.setFixedWidth(ADD_WIDTH)
        self.row: Container[Widget] = row(self.choice, self.paint, self.add)
        self.note = Note()
        self.choice.changed.connect(lambda _: self.paint_with())
        workspace = bench.workspace
        for signal in (
            workspace.classes_changed,
            workspace.layers_changed,
            workspace.chosen_changed,
        ):
            follow(self.row.native, signal, self.show)
        follow(self.row.native, bench.session.state_changed, self._show_state)
        self.show()

    def ask_for_names(self) -> list[str]:
        """Ask which classes there are; none if the user thinks better of it."""
        text, agreed = QInputDialog.getText(
            self.add.native,
            "Classes",
            "Which classes are there? Separate their names by commas.",
            text=FIRST,
        )
        return [name.strip() for name in text.split(",") if name.strip()] if agreed else []

    def add_class(self, name: str) -> None:
        """Add a class and take the brush with it; a problem is shown below."""
        workspace = self._bench.workspace
        item = workspace.current
        if item is None:
            return
        try:
            label = workspace.add_class(item, name)
        except NapariUnetError as error:
            self.note.say(str(error), failure=True)
            return
        self.note.say("")
        self.choice.value = label

    def _ask_and_add(self) -> None:
        name, agreed = QInputDialog.getText(
            self.add.native, "Add a class", "Name of the class, for example nucleus:"
        )
        if agreed:
            self.add_class(name)

    def paint_with(self) -> None:
        """Take the brush with the chosen class."""
        workspace = self._bench.workspace
        item = workspace.current
        if item is not None and item.pair.classes and self.choice.value:
            workspace.select(item)
            item.labels.selected_label = int(self.choice.value)
            item.labels.mode = "paint"

    def show(self) -> None:
        """Show the classes of what is worked on, or nothing."""
        item = self._bench.workspace.current
        names = () if item is None else item.pair.classes
        if names:
            labels: list[tuple[str, Any]] = [(name, n) for n, name in enumerate(names, 1)]
            before = self.choice.value
            offered = [*labels, ("background", BACKGROUND)]
            self.choice.offer(offered, before if before in dict(offered).values() else 1)
            for n, (_, label) in enumerate(offered):
                swatch = QPixmap(SWATCH, SWATCH)
                swatch.fill(QColor(class_colour(0 if label == BACKGROUND else label)))
                self.choice.native.setItemIcon(n, QIcon(swatch))
        else:
            self.note.say("")
        self.row.visible = bool(names)
        self._show_state()

    def _show_state(self) -> None:
        live = self._bench.session.is_live
        set_enabled(self.add, "Stop learning as you correct first." if live else "", ADD_TIP)
