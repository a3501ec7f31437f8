"""A table of objects is sorted, filtered, clicked and walked through."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_unet.widgets.object_table import ObjectTable

COLUMNS = {
    "verdict": np.array(["hit", "false", "hit", "missed"]),
    "iou": np.array([0.75, 0.0, 0.5, np.nan]),
    "pixels": np.array([10, 9, 100, 8]),
}


@pytest.fixture
def table(qtbot):
    table = ObjectTable()
    qtbot.addWidget(table)
    table.resize(300, 300)
    table.set_columns(COLUMNS, {"hit": "#009e73"})
    table.show()
    return table


def shown(table, column):
    model = table.model()
    return [model.index(row, column).data() for row in range(model.rowCount())]


def click(qtbot, table, row):
    place = table.visualRect(table.model().index(row, 0)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_numbers_are_sorted_as_numbers(table):
    table.sortByColumn(2, Qt.SortOrder.AscendingOrder)
    assert shown(table, 2) == ["8", "9", "10", "100"]
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert shown(table, 1)[1:] == ["0.75", "0.5", "0"]


def test_a_click_names_the_row_that_was_given_however_it_is_sorted(qtbot, table):
    clicked = []
    table.rowClicked.connect(clicked.append)
    table.sortByColumn(2, Qt.SortOrder.AscendingOrder)
    click(qtbot, table, 0)
    qtbot.keyClick(table, Qt.Key.Key_Down)
    assert clicked == [3, 1]


def test_only_some_are_kept_and_stay_sorted(qtbot, table):
    clicked = []
    table.rowClicked.connect(clicked.append)
    table.sortByColumn(2, Qt.SortOrder.DescendingOrder)
    table.keep(COLUMNS["verdict"] == "hit")
    assert shown(table, 2) == ["100", "10"]
    click(qtbot, table, 0)
    assert clicked == [2]
    table.choose(0)
    assert table.currentIndex().row() == 1
    table.choose(3)  # left out: nothing happens
    assert table.currentIndex().row() == 1


def test_texts_have_their_colour_and_nothing_is_an_empty_table(table):
    index = table.model().index(0, 0)
    assert index.data(Qt.ItemDataRole.DecorationRole).name() == "#009e73"
    table.set_columns({})
    assert table.model().rowCount() == 0
    table.sortByColumn(0, Qt.SortOrder.AscendingOrder)


def test_other_rows_of_the_same_columns_stay_sorted(table):
    table.sortByColumn(2, Qt.SortOrder.DescendingOrder)
    table.set_columns({name: column[:3] for name, column in COLUMNS.items()}, {}, {"iou": "IoU"})
    assert shown(table, 2) == ["100", "10", "9"]
    assert table.model().headerData(1, Qt.Orientation.Horizontal) == "IoU"
    table.set_columns({"pixels": COLUMNS["pixels"]})
    assert shown(table, 0) == ["10", "9", "100", "8"]


def test_two_hundred_thousand_cells_are_sorted_by_numbers(table):
    values = np.random.default_rng(0).permutation(200_000)
    table.set_columns({"label": values + 1, "area": values.astype(float)})
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert shown(table, 1)[0] == "199,999"
    assert table.model().place_of(int(np.flatnonzero(values == 7)[0])) == 200_000 - 8
