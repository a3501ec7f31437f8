"""Step 2: correct by hand; what was touched or accepted is the checked area."""

from __future__ import annotations

from functools import partial
from typing import Any  # napari's mouse events

from magicgui.widgets import CheckBox, PushButton

from napari_unet.bridge import corrections
from napari_unet.bridge.clicks import ClickTool
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.core.class_labels import classes_with
from napari_unet.core.errors import NapariUnetError
from napari_unet.widgets.class_row import ClassRow
from napari_unet.widgets.header import Header
from napari_unet.widgets.next_row import NextRow
from napari_unet.widgets.parts import Choice, Note, Panel, button, fields, heading, row, set_enabled
from napari_unet.widgets.workbench import Workbench

__all__ = ["CorrectPanel"]

NEW_TIP = "Take the next free number and napari's brush: paint a cell that was missed."
ERASE_TIP = "napari's eraser, with the size of its brush."
DELETE_TIP = "Click on objects to remove them; press again to end."
RIGHT_TIP = "Click on objects that are right as they are, so that they are learnt too."
VIEW_TIP = "Everything you see now is right, the empty places too."
UNCHECK_TIP = "Forget what is checked in this slice; the labels stay."
MADE = "made by Segment"
NEW_CLASSES = "new layer of classes…"
AS_CLASSES = "classes"  # the value of that choice, no layer's identity


class CorrectPanel(Panel):
    """Tools for the labels, and the checked area."""

    def __init__(self, bench: Workbench, header: Header) -> None:
        self._bench = bench
        self._header = header
        self._tool: ClickTool | None = None
        self.title = heading("2  Correct")
        self.layer = Choice(
            label="Labels",
            tooltip="The labels to correct: those of Segment, a layer of your own, or classes.",
        )
        self.new = button("New cell", NEW_TIP, self._new_cell)
        self.erase = button("Erase", ERASE_TIP, self._erase)
        self.delete = self._toggle("Delete", DELETE_TIP)
        self.right = self._toggle("Looks right", RIGHT_TIP)
        self.show_checked = CheckBox(
            text="Checked area", value=True, label="",
            tooltip="Show the checked area: there the labels are true, and are learnt.",
        )  # fmt: skip
        self.view = button("All I see is right", VIEW_TIP, self._check_view)
        self.uncheck = button("Uncheck", UNCHECK_TIP, self._uncheck)
        self.next = NextRow(bench)
        self.tools = row(self.new, self.erase, self.delete, self.right)
        self.classes = ClassRow(bench)
        self.problem = Note()
        super().__init__(
            [
                self.title,
                fields(self.layer),
                self.tools,
                self.classes.row,
                self.classes.note,
                self.next,
                row(self.show_checked, self.view, self.uncheck),
                self.problem,
            ]
        )
        self.layer.changed.connect(self._on_labels)
        self.show_checked.changed.connect(bench.workspace.show_checked)
        for signal in (
            bench.workspace.layers_changed,
            bench.workspace.chosen_changed,
            bench.session.models_changed,
        ):
            signal.connect(self._show_labels)
        bench.workspace.corrected.connect(self._show_corrected)
        bench.session.state_changed.connect(self._show_state)
        self._show_labels()

    def _toggle(self, text: str, tooltip: str) -> PushButton:
        made = PushButton(text=text, tooltip=tooltip, label="")
        made.native.setCheckable(True)
        made.changed.connect(self._on_toggle)
        return made

    # Which labels

    def _show_labels(self) -> None:
        workspace = self._bench.workspace
        item = workspace.current
        own = item.labels.unique_id if item is not None else None
        choices = [(layer.name, str(layer.unique_id)) for layer in workspace.labels_layers()]
        offered = choices if item is not None else [(MADE, ""), *choices]
        if workspace.chosen is not None:
            offered.append((NEW_CLASSES, AS_CLASSES))
        self.layer.offer(offered, "" if own is None else str(own))
        is_of_classes = item is not None and bool(item.pair.classes)
        self.tools.visible = self.next.visible = not is_of_classes
        self.problem.say("")
        self._drop_tool()
        self._show_count()
        self._show_state()

    def _on_labels(self, identity: str | None) -> None:
        if not identity:
            return
        workspace = self._bench.workspace
        if identity == AS_CLASSES:
            self._open_classes()
            return
        layer = next(
            (item for item in workspace.labels_layers() if str(item.unique_id) == identity), None
        )
        try:
            workspace.open(layer)
            self.problem.say("")
        except NapariUnetError as error:
            self._show_labels()
            self.problem.say(str(error), failure=True)

    def _open_classes(self) -> None:
        """Make a layer of classes: those of the model, or a first one."""
        session, workspace = self._bench.session, self._bench.workspace
        try:
            config = session.model[0]
            names = config.classes[1:] if config.semantic else self.classes.ask_for_names()
            if names:
                classes_with(config, names)  # says what is wrong with them
                workspace.open_classes(names)
                self.classes.paint_with()
            else:
                self._show_labels()
        except NapariUnetError as error:
            self._show_labels()
            self.problem.say(str(error), failure=True)

    # Tools

    def _ready(self) -> OpenPair | None:
        """Return the labels to work on, made if there are none, and select them."""
        try:
            item = self._bench.workspace.open()
        except NapariUnetError as error:
            self.problem.say(str(error), failure=True)
            return None
        self._bench.workspace.select(item)
        return item

    def _new_cell(self) -> None:
        self._drop_tool()
        item = self._ready()
        if item is not None:
            item.labels.selected_label = int(item.pair.next_number())
            item.labels.mode = "paint"

    def _erase(self) -> None:
        self._drop_tool()
        item = self._ready()
        if item is not None:
            item.labels.mode = "erase"

    def _on_toggle(self, is_down: Any) -> None:
        pressed = next(
            (
                b
                for b in (self.delete, self.right)
                if b.native.isChecked() and not self._is_current(b)
            ),
            None,
        )
        self._drop_tool(keep=pressed)
        item = self._ready() if pressed is not None else None
        if item is None or pressed is None:
            return
        act = corrections.delete if pressed is self.delete else corrections.looks_right
        self._tool = ClickTool(item, partial(act, self._bench.workspace), name=str(pressed.text))

    def _is_current(self, toggle: PushButton) -> bool:
        return self._tool is not None and self._tool.name == str(toggle.text)

    def _drop_tool(self, keep: PushButton | None = None) -> None:
        if self._tool is not None:
            self._tool.close()
            self._tool = None
        for toggle in (self.delete, self.right):
            if toggle is not keep and toggle.native.isChecked():
                with toggle.changed.blocked():
                    toggle.native.setChecked(False)

    def _check_view(self) -> None:
        item = self._ready()
        if item is not None:
            corrections.check_view(self._bench.workspace, item)

    def _uncheck(self) -> None:
        item = self._bench.workspace.current
        if item is not None:
            corrections.uncheck(self._bench.workspace, item)

    # What is shown

    def _show_corrected(self) -> None:
        self._show_count()
        self._show_state()

    def _show_count(self) -> None:
        item = self._bench.workspace.current
        count = item.pair.checked_cells if item is not None else 0
        cells = f"{count} cell{'s' * (count != 1)} checked"
        if item is not None and item.pair.classes:
            cells = f"{count} patch{'es' * (count != 1)} checked"
        self.title.value = f"<b>2  Correct</b> &nbsp; {cells}"

    def _show_state(self) -> None:
        reason = self._header.reason()
        tips = {
            self.new: NEW_TIP,
            self.erase: ERASE_TIP,
            self.delete: DELETE_TIP,
            self.right: RIGHT_TIP,
            self.view: VIEW_TIP,
        }
        for widget, tip in tips.items():
            set_enabled(widget, reason, tip)
        item = self._bench.workspace.current
        nothing = "" if item is not None and item.pair.has_checked else "Nothing is checked yet."
        set_enabled(self.uncheck, reason or nothing, UNCHECK_TIP)
        self.layer.enabled = not reason
