"""The dock that measures, on a real napari."""

import csv

import numpy as np
from qtpy.QtCore import Qt

from person import is_seen, look_away, settle, wait_until

LABELS = np.zeros((60, 80), np.int32)
for _number, (_y, _x, _size) in enumerate([(5, 5, 12), (30, 10, 6), (20, 50, 20)], start=1):
    LABELS[_y : _y + _size, _x : _x + _size] = _number


def opened(user):
    """Not a fixture: pytest would keep it longer than napari lets a viewer live."""
    where = {"scale": (0.5, 0.5), "units": "um"}
    user.viewer.add_image(LABELS.astype(np.float32) * 10, name="image", **where)
    user.viewer.add_labels(LABELS.copy(), name="cells", **where)
    panel = user.dock("Measure cells").panel
    wait_until(lambda: panel.measuring.table and not panel.measuring.is_stale)
    settle(0.1)
    return panel


def shown(panel, column):
    model = panel.table.model()
    at = model.names.index(column)
    return [model.data(model.index(row, at)) for row in range(model.rowCount())]


def test_the_table_is_sorted_and_a_row_leads_to_its_cell(user, tmp_path):
    panel = opened(user)
    assert panel.note.value == "3 cells."
    assert panel.table.model().headerData(1, Qt.Orientation.Horizontal) == "area\nµm²"
    panel.table.sortByColumn(panel.table.model().names.index("area"), Qt.SortOrder.DescendingOrder)
    assert shown(panel, "label") == ["3", "1", "2"]
    assert shown(panel, "area") == ["100", "36", "9"]
    look_away(user.viewer, (32.5 * 0.5, 12.5 * 0.5))
    panel.table.clicked.emit(panel.table.model().index(2, 0))
    labels = user.viewer.layers["cells"]
    assert labels.selected_label == 2
    assert is_seen(user.viewer, (32.5 * 0.5, 12.5 * 0.5))
    panel.measuring.pointed.emit(0)  # a click on cell 1
    assert panel.table.chosen == 0 and panel.table.currentIndex().row() == 1
    user.paint(labels, LABELS == 3, 0)
    wait_until(lambda: panel.note.value == "2 cells.")
    assert panel.table.chosen == 0  # the same cell, in another table
    panel.write(tmp_path / "cells")
    rows = list(csv.DictReader((tmp_path / "cells.csv").read_text().splitlines()))
    assert [row["area"] for row in rows] == ["36", "9"] and rows[0]["mean_0"] == "10"
    assert {row["unit"] for row in rows} == {"um"}
    panel.write(tmp_path / "cells.txt")
    assert ".csv or .parquet" in panel.note.value


def test_layers_come_and_go(user):
    panel = opened(user)
    user.viewer.layers.remove("cells")
    settle(0.2)
    assert panel.measuring.labels is None
    assert "Segment an image first" in panel.note.value
    assert not panel.again.native.isEnabled() and not panel.save.native.isEnabled()
    user.viewer.add_labels(LABELS[::-1].copy(), name="others")
    wait_until(lambda: panel.measuring.table and not panel.measuring.is_stale)
    assert panel.measuring.labels.name == "others"
    assert panel.colour.enabled
    panel.colour.value = "area"
    assert panel.measuring.labels.get_color(1) is not None
    panel.image.value = ""
    wait_until(lambda: "mean_0" not in panel.measuring.table)
