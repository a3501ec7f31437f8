"""The tools of the Correct step as a grid of buttons, each with its key."""

from __future__ import annotations

from functools import partial

from magicgui.widgets import Container, PushButton, Widget
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QSizePolicy, QWidget

from napari_unet.bridge import corrections
from napari_unet.widgets.key_list import KeyList, key_rows
from napari_unet.widgets.parts import SPACING, button, follow, frame, set_enabled
from napari_unet.widgets.tool_list import NEW, TOOLS, VIEW_KEY, Tool, with_key
from napari_unet.widgets.workbench import Workbench

__all__ = ["ToolGrid"]

COLUMNS = 4
VIEW_TIP = "Everything you see now is right, the empty places too."
KEYS_TIP = "All keys and gestures in one place."


class ToolGrid:
    """Buttons that take up tools; `row` goes into a panel.

    Attributes
    ----------
    buttons : dict of str to PushButton
        By the name of their tool.
    """

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self.key_list: KeyList | None = None
        self.buttons = {tool.name: self._make(tool) for tool in TOOLS}
        self.view = button(with_key("All I see", VIEW_KEY), VIEW_TIP, self._check_view)
        self.keys = button("?", KEYS_TIP, self.show_keys)
        self._inside = QWidget()
        self.row: Container[Widget] = frame(self._inside)
        self._lay_out()
        follow(self.row.native, bench.belt.changed, self._show_hand)
        self._show_hand()

    def _make(self, tool: Tool) -> PushButton:
        made = button(with_key(tool.text, tool.key), tool.tip, partial(self._press, tool))
        made.native.setCheckable(tool is not NEW)  # each press on that is another cell
        return made

    def _lay_out(self) -> None:
        *most, unsure = self.buttons.values()
        grid = QGridLayout(self._inside)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(SPACING)
        for place, made in enumerate([*most, self.view, unsure, self.keys]):
            made.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            made.native.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # keys go on to the image
            grid.addWidget(made.native, *divmod(place, COLUMNS))
        for column in range(COLUMNS):
            grid.setColumnStretch(column, 1)

    def by_key(self) -> dict[str, PushButton]:
        """Return the buttons that have a key."""
        return {**{tool.key: self.buttons[tool.name] for tool in TOOLS}, VIEW_KEY: self.view}

    def set_enabled(self, reason: str) -> None:
        """Switch all on, or off with the reason why."""
        for tool in TOOLS:
            set_enabled(self.buttons[tool.name], reason, f"{tool.tip} Key: {tool.key}.")
        set_enabled(self.view, reason, f"{VIEW_TIP} Key: {VIEW_KEY}.")

    def show_keys(self) -> None:
        """Open the list of keys, or close it."""
        if self.key_list is not None:
            self.key_list.close()
            return
        shortcuts = self._bench.shortcuts
        rows = key_rows(shortcuts.bound if self._bench.workspace.current else None)
        self.key_list = KeyList(rows, self.row.native)
        self.key_list.destroyed.connect(self._forget_keys)
        self.key_list.show()

    def _forget_keys(self) -> None:
        self.key_list = None

    def _press(self, tool: Tool) -> None:
        self._bench.belt.take(tool)
        self._show_hand()

    def _check_view(self) -> None:
        belt, workspace = self._bench.belt, self._bench.workspace
        belt.drop()
        item = belt.ready()
        if item is not None:
            corrections.check_view(workspace, item)

    def _show_hand(self) -> None:
        in_hand = self._bench.belt.in_hand
        for tool in TOOLS:
            native = self.buttons[tool.name].native
            if native.isChecked() != (tool is in_hand):
                with self.buttons[tool.name].changed.blocked():
                    native.setChecked(tool is in_hand)
