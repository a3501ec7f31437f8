"""Measured objects as a table that is sorted by a click on a column."""

from __future__ import annotations

from typing import Any  # what Qt hands over

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from qtpy.QtWidgets import QAbstractItemView, QTableView, QWidget

from napari_unet.core.regions import Columns
from napari_unet.session.measures import unit_of

__all__ = ["MeasureTable", "TableModel"]

# What is read first; the rest comes as it is measured.
FIRST = ("t", "z", "label", "area", "volume", "mean_")
HIDDEN = ("unit",)  # it is in the headers
Index = QModelIndex | QPersistentModelIndex


class TableModel(QAbstractTableModel):
    """The rows of a table in the order of one of its columns."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._table: Columns = {}
        self._unit = ""
        self.names: list[str] = []
        self.order = np.zeros(0, np.intp)  # row of the table for each row on the screen
        self._by: str = ""
        self._descending = False

    def show(self, table: Columns, unit: str) -> None:
        """Show another table, in the order that was chosen before."""
        self.beginResetModel()
        self._table, self._unit = table, unit
        shown = [name for name in table if name not in HIDDEN]
        self.names = sorted(shown, key=_rank)
        self._sort()
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        """Return how many objects there are."""
        return 0 if parent is not None and parent.isValid() else len(self.order)

    def columnCount(self, parent: Index | None = None) -> int:
        """Return how many columns there are."""
        return 0 if parent is not None and parent.isValid() else len(self.names)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text of a cell."""
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role != Qt.ItemDataRole.DisplayRole or not index.isValid():
            return None
        return _shown(self._table[self.names[index.column()]][self.order[index.row()]])

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """Return the name of a column, and its unit."""
        if orientation != Qt.Orientation.Horizontal or role != Qt.ItemDataRole.DisplayRole:
            return None
        name = self.names[section]
        unit = unit_of(name, self._unit)
        return name.replace("_", " ") + (f"\n{unit}" if unit else "\n")

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Put the rows into the order of a column."""
        self.layoutAboutToBeChanged.emit()
        self._by = self.names[column] if 0 <= column < len(self.names) else ""
        self._descending = order == Qt.SortOrder.DescendingOrder
        self._sort()
        self.layoutChanged.emit()

    def _sort(self) -> None:
        count = len(next(iter(self._table.values()), ()))
        values = self._table.get(self._by, np.arange(count))
        order = np.argsort(values, kind="stable")
        self.order = order[::-1] if self._descending else order

    def number(self, row: int) -> int:
        """Return the number of the cell in a row of the table."""
        return int(self._table["label"][row])

    def row_of(self, row: int) -> int:
        """Return where a row of the table is on the screen."""
        return int(np.flatnonzero(self.order == row)[0])


class MeasureTable(QTableView):
    """Shows one table; a row is chosen as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = TableModel(self)
        self.setModel(self.rows)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.setWordWrap(False)
        header = self.verticalHeader()
        if header is not None:
            header.hide()
            header.setDefaultSectionSize(self.fontMetrics().height() + 4)

    def show_table(self, table: Columns, unit: str) -> None:
        """Show another table; columns of the same names keep their width."""
        names = self.rows.names
        self.rows.show(table, unit)
        if names != self.rows.names:
            self.resizeColumnsToContents()

    @property
    def chosen(self) -> int | None:
        """The chosen row of the table."""
        index = self.currentIndex()
        return int(self.rows.order[index.row()]) if index.isValid() else None

    def choose(self, row: int) -> None:
        """Mark a row of the table, and scroll to it."""
        at = self.rows.row_of(row)
        self.selectRow(at)
        self.scrollTo(self.rows.index(at, 0))


def _rank(name: str) -> int:
    kind = "mean_" if name.startswith("mean_") else name
    return FIRST.index(kind) if kind in FIRST else len(FIRST)


def _shown(value: Any) -> str:
    """A number as it is read: four digits, whole where it is."""
    if isinstance(value, np.bool_):
        return "yes" if value else "no"
    if isinstance(value, np.floating):
        if not np.isfinite(value):
            return "–"
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return str(value)
