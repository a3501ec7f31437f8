"""Measured objects in a dock: a table, and the cells that its rows stand for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any  # columns of any type

from magicgui.widgets import Container, Widget
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QSizePolicy

from napari_unet.bridge.measuring import Measuring
from napari_unet.core.errors import NapariUnetError
from napari_unet.formats.tables import Columns, write_table
from napari_unet.session.measures import Scope, unit_of
from napari_unet.widgets.object_table import ObjectTable
from napari_unet.widgets.parts import (
    Choice,
    Note,
    Panel,
    button,
    fields,
    follow,
    frame,
    is_alive,
    row,
    set_enabled,
)
from napari_unet.widgets.workbench import Workbench

if TYPE_CHECKING:
    from napari.layers import Image as ImageLayer
    from napari.layers import Labels

__all__ = ["MeasurePanel"]

PUMP_EVERY_MS = 50
ALL, NONE = "all", ""  # of the images; an image is chosen by its identity
EMPTY = "Segment an image first, or open labels: then every cell is measured here."
IN_PIXELS = "In pixels: the layer does not say how large a pixel is (Layers, Scale and units)."
MEASURE_TIP = "Measure the labels as they are now."
SAVE_TIP = "Write the table to a file, .csv or .parquet, with all its digits."
KINDS = "Tables (*.csv *.parquet)"

# What is read first; the rest comes as it is measured. The unit stands in the headers.
FIRST = ("t", "z", "label", "area", "volume", "mean_")


class MeasurePanel(Panel):
    """What is measured, the table, and what becomes of it."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self.measuring = Measuring(bench.workspace)
        self.layer = Choice(label="Labels", tooltip="The labels whose cells are measured.")
        self.image = Choice(label="Image", tooltip="The image whose intensities are measured.")
        self.scope = Choice(label="Measure", tooltip="Which cells of a stack are measured.")
        self.colour = Choice(
            label="Colour by", tooltip="Colour the cells by a column of the table."
        )
        self.table = ObjectTable()
        self.note = Note(keeps_room=True)
        self.again = button("Measure", MEASURE_TIP, self._again)
        self.save = button("Save table…", SAVE_TIP, self._ask_and_save)
        holder = frame(self.table)
        holder.native.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self._fields: Container[Widget] = fields(self.layer, self.image, self.scope, self.colour)
        super().__init__([self._fields, holder, self.note, row(self.again, self.save)])
        self._connect()
        self._show_layers()

    def _connect(self) -> None:
        self.layer.changed.connect(self._on_labels)
        self.image.changed.connect(self._on_image)
        self.scope.changed.connect(self._on_scope)
        self.colour.changed.connect(self._on_colour)
        self.table.rowClicked.connect(self._on_row)
        self.measuring.changed.connect(self._show)
        self.measuring.pointed.connect(self._choose)
        workspace = self._bench.workspace
        follow(self.native, workspace.layers_changed, self._show_layers)
        follow(self.native, workspace.chosen_changed, self._show_layers)
        self._bench.closing.connect(self._close)
        self.native.destroyed.connect(self.measuring.close)
        self._timer = QTimer(self.native)
        self._timer.setInterval(PUMP_EVERY_MS)
        self._timer.timeout.connect(self._pump)
        self._timer.start()
        self._shown: object = None
        self._number: int | None = None  # of the chosen cell

    def _close(self) -> None:
        if not is_alive(self.native):  # the dock was closed before
            return
        self._timer.stop()
        self.native.destroyed.disconnect(self.measuring.close)
        self.measuring.close()

    def _pump(self) -> None:
        self._bench.session.guarded(self.measuring.pump)

    # What is measured

    def _show_layers(self) -> None:
        """Go on with the same labels; where they are gone, with those of the chosen image."""
        workspace = self._bench.workspace
        layers = workspace.labels_layers()
        current = self.measuring.labels
        if current is None or current not in layers:
            item = workspace.current
            current = item.labels if item is not None else next(iter(layers), None)
        offered = [(layer.name, str(layer.unique_id)) for layer in layers]
        self.layer.offer(offered, None if current is None else str(current.unique_id))
        self._show_images(current)

    def _show_images(self, labels: Labels | None) -> None:
        """Offer the images of labels; the first is taken for labels that were not measured yet."""
        images = [] if labels is None else self.measuring.images_of(labels)
        offered = [(layer.name, str(layer.unique_id)) for layer in images]
        offered += [("all of this size", ALL)] * (len(images) > 1)
        offered.append(("none", NONE))
        is_new = labels is not self.measuring.labels
        self.image.offer(offered, offered[0][1] if is_new else self.image.value)
        self._follow(labels, images)

    def _follow(self, labels: Labels | None, images: list[ImageLayer]) -> None:
        chosen = tuple(one for one in images if self.image.value in (ALL, str(one.unique_id)))
        if (labels, chosen) != (self.measuring.labels, self.measuring.images):
            self.measuring.follow(labels, chosen)
        self._show_scopes()
        self._show()

    def _on_labels(self, identity: str | None) -> None:
        layers = self._bench.workspace.labels_layers()
        self._show_images(next((one for one in layers if str(one.unique_id) == identity), None))

    def _on_image(self) -> None:
        labels = self.measuring.labels
        self._follow(labels, [] if labels is None else self.measuring.images_of(labels))

    def _show_scopes(self) -> None:
        scopes = self.measuring.scopes()
        if self.measuring.scope not in scopes and scopes:
            self.measuring.take(scopes[0])
        self.scope.offer([(scope.value, scope) for scope in scopes], self.measuring.scope)
        self._fields[self._fields.index(self.scope)].visible = len(scopes) > 1

    def _on_scope(self, scope: Scope | None) -> None:
        if scope is not None and scope is not self.measuring.scope:
            self.measuring.take(scope)
            self._again()

    def _on_colour(self, column: str | None) -> None:
        if column is not None:
            self.measuring.colour(column)

    # What was measured

    def _show(self) -> None:
        measuring = self.measuring
        if measuring.table is not self._shown:
            self._shown = measuring.table
            self._show_table()
        has_labels = measuring.labels is not None
        count = len(measuring.table.get("label", ()))
        set_enabled(self.again, "" if has_labels else EMPTY, MEASURE_TIP)
        set_enabled(self.save, "" if count else EMPTY, SAVE_TIP)
        if not has_labels:
            self.note.say(EMPTY)
        elif measuring.busy:
            self.note.say("Measuring…")
        elif measuring.is_stale and measuring.table:
            self.note.say("Out of date: the labels have changed since.", failure=True)
        else:
            text = f"{count} cell{'s' * (count != 1)}."
            self.note.say(text if measuring.unit != "px" else f"{text} {IN_PIXELS}")

    def _show_table(self) -> None:
        """Show another table; the chosen cell stays chosen where it is still there."""
        table = ordered(self.measuring.table)
        self.table.set_columns(table, headers=_headers(table, self.measuring.unit))
        if self._number is not None and table:
            rows = [n for n, label in enumerate(table["label"]) if label == self._number]
            if len(rows) == 1:
                self.table.choose(rows[0])
        names = [name for name in table if table[name].dtype.kind in "iufb" and name != "label"]
        offered = [(name.replace("_", " "), name) for name in names]
        self.colour.offer([("its number", ""), *offered], self.measuring.colour_by)

    def _choose(self, row: int) -> None:
        """Mark a row, and remember which cell that is."""
        self._number = int(self.measuring.table["label"][row])
        self.table.choose(row)

    def _on_row(self, row: int) -> None:
        self._number = int(self.measuring.table["label"][row])
        self._bench.session.guarded(lambda: self.measuring.go_to(row))

    def _again(self) -> None:
        self._bench.session.guarded(self.measuring.measure)

    # Out

    def _ask_and_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self.native, "Save the table", "measurements.csv", KINDS
        )
        if path:
            self.write(Path(path))

    def write(self, path: Path) -> None:
        """Write the table to a file; a problem is shown in the dock."""
        try:
            if not path.suffix:
                path = path.with_suffix(".csv")
            write_table(path, self.measuring.written())
        except NapariUnetError as error:
            self.note.say(str(error), failure=True)
        else:
            self._bench.session.said.emit(f"The table was written to {path}.", False)


def ordered(table: Columns) -> dict[str, NDArray[Any]]:
    """Return the columns that are shown, the important ones first."""
    return {name: table[name] for name in sorted(table, key=_rank) if name != "unit"}


def _rank(name: str) -> int:
    kind = "mean_" if name.startswith("mean_") else name
    return FIRST.index(kind) if kind in FIRST else len(FIRST)


def _headers(names: Iterable[str], unit: str) -> dict[str, str]:
    """Return what stands above columns: the name, and its unit below."""
    return {name: f"{name.replace('_', ' ')}\n{unit_of(name, unit)}" for name in names}
