"""Step 2: correct by hand; what was touched or accepted is the checked area."""

from __future__ import annotations

from magicgui.widgets import CheckBox, PushButton

from napari_unet.bridge import corrections
from napari_unet.core.class_labels import classes_with
from napari_unet.core.errors import NapariUnetError
from napari_unet.widgets.class_row import ClassRow
from napari_unet.widgets.header import Header
from napari_unet.widgets.next_row import NextRow
from napari_unet.widgets.parts import (
    Choice,
    Note,
    Panel,
    button,
    fields,
    follow,
    heading,
    row,
    set_enabled,
)
from napari_unet.widgets.tool_grid import ToolGrid
from napari_unet.widgets.tool_list import NEXT_KEY
from napari_unet.widgets.workbench import Workbench

__all__ = ["CorrectPanel"]

UNCHECK_TIP = "Forget what is checked in this slice; the labels stay."
THROUGH_TIP = (
    "Delete, Merge, Relabel and Holes follow a cell into the other slices, as far as it lies "
    "over itself under one number. All is one step of undo."
)
MADE = "made by Segment"
NEW_CLASSES = "new layer of classes…"
AS_CLASSES = "classes"  # the value of that choice, no layer's identity


class CorrectPanel(Panel):
    """Tools for the labels, and the checked area."""

    def __init__(self, bench: Workbench, header: Header) -> None:
        self._bench = bench
        self._header = header
        self.title = heading("2  Correct")
        self.layer = Choice(
            label="Labels",
            tooltip="The labels to correct: those of Segment, a layer of your own, or classes.",
        )
        self.grid = ToolGrid(bench)
        self.show_checked = CheckBox(
            text="Checked area", value=True, label="",
            tooltip="Show the checked area: there the labels are true, and are learnt.",
        )  # fmt: skip
        self.through = CheckBox(text="Whole stack", value=False, label="", tooltip=THROUGH_TIP)
        self.uncheck = button("Uncheck all", UNCHECK_TIP, self._uncheck)
        self.next = NextRow(bench)
        self.tools = self.grid.row
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
                row(self.show_checked, self.through, self.uncheck),
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
            follow(self.native, signal, self._show_labels)
        follow(self.native, bench.workspace.corrected, self._show_corrected)
        self.through.changed.connect(self._on_through)
        follow(self.native, bench.belt.changed, self._show_through)
        follow(self.native, bench.belt.said, self._on_said)
        bench.shortcuts.offer(self.native, {**self.grid.by_key(), NEXT_KEY: self.next.next})
        follow(self.native, bench.session.state_changed, self._show_state)
        self._show_labels()

    @property
    def new(self) -> PushButton:
        """The button for a new cell."""
        return self.grid.buttons["new"]

    @property
    def delete(self) -> PushButton:
        """The button that takes up Delete."""
        return self.grid.buttons["delete"]

    @property
    def right(self) -> PushButton:
        """The button that takes up Right."""
        return self.grid.buttons["right"]

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
        has_stack = item is not None and bool(item.pair.image.stack_shape)
        self.through.visible = has_stack and not is_of_classes
        self.problem.say("")
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

    def _on_through(self, follows: bool) -> None:
        self._bench.belt.through_stack = follows

    def _show_through(self) -> None:
        with self.through.changed.blocked():
            self.through.value = self._bench.belt.through_stack

    def _on_said(self, sentence: str) -> None:
        self.problem.say(sentence, failure=True)

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
        self.grid.set_enabled(reason)
        item = self._bench.workspace.current
        nothing = "" if item is not None and item.pair.has_checked else "Nothing is checked yet."
        set_enabled(self.uncheck, reason or nothing, UNCHECK_TIP)
        self.layer.enabled = not reason
