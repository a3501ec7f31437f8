"""A table of objects: sorted by any column, and a row that is clicked says which object it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any  # cells of any type

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor, QKeyEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from napari_unet.formats.tables import Columns

__all__ = ["ColumnsModel", "ObjectTable"]

NOWHERE = QModelIndex()


class ColumnsModel(QAbstractTableModel):
    """Columns of equal length as Qt sees them; sorted and filtered without being copied."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._columns: dict[str, NDArray[Any]] = {}
        self._colours: dict[str, QColor] = {}
        self._headers: dict[str, str] = {}
        self._shown: NDArray[np.intp] = np.zeros(0, np.intp)
        self._kept: NDArray[np.intp] = self._shown
        self._sorted_by: tuple[int, Qt.SortOrder] | None = None

    @property
    def names(self) -> list[str]:
        """Of the columns."""
        return list(self._columns)

    def set_columns(
        self, columns: Columns, colours: Mapping[str, str], headers: Mapping[str, str]
    ) -> None:
        """Replace all; a text that has a colour is shown with a square of it."""
        self.beginResetModel()
        if list(columns) != self.names:
            self._sorted_by = None
        self._columns = {name: np.asarray(column) for name, column in columns.items()}
        self._colours = {text: QColor(colour) for text, colour in colours.items()}
        self._headers = dict(headers)
        count = len(next(iter(self._columns.values()), ()))
        self._shown = self._kept = np.arange(count)
        self.endResetModel()
        self._sort_again()

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Show some of the rows that were given, those where it is True."""
        self.beginResetModel()
        self._shown = self._kept = np.flatnonzero(rows)
        self.endResetModel()
        self._sort_again()

    def row_at(self, shown: int) -> int:
        """Return which of the rows that were given is shown at a place."""
        return int(self._shown[shown])

    def place_of(self, row: int) -> int | None:
        """Return where a row that was given is shown, None if it is left out."""
        at = np.flatnonzero(self._shown == row)
        return int(at[0]) if len(at) else None

    # What Qt asks

    def rowCount(self, parent: QModelIndex = NOWHERE) -> int:
        """Return the number of rows that are shown."""
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: QModelIndex = NOWHERE) -> int:
        """Return the number of columns."""
        return 0 if parent.isValid() else len(self._columns)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the name of a column."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            name = self.names[section]
            return self._headers.get(name, name)
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text of a cell, its colour, or on which side it stands."""
        value = list(self._columns.values())[index.column()][self._shown[index.row()]]
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(value)
        if role == Qt.ItemDataRole.DecorationRole and isinstance(value, str):
            return self._colours.get(value)
        if role == Qt.ItemDataRole.TextAlignmentRole and not isinstance(value, str):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; rows that are equal stay in the order in which they were given."""
        if not 0 <= column < len(self._columns):
            self._sorted_by = None
            return
        self.layoutAboutToBeChanged.emit()
        self._sorted_by = column, order
        _, rank = np.unique(
            list(self._columns.values())[column][self._kept], return_inverse=True, equal_nan=True
        )
        down = order == Qt.SortOrder.DescendingOrder
        self._shown = self._kept[np.argsort(-rank if down else rank, kind="stable")]
        self.layoutChanged.emit()

    def _sort_again(self) -> None:
        if self._sorted_by is not None:
            self.sort(*self._sorted_by)


class ObjectTable(QTableView):
    """Rows of objects, to be sorted, and clicked or walked through with the arrow keys."""

    rowClicked = Signal(int)
    """A row was chosen; its number among those that were given to `set_columns`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = ColumnsModel(self)
        self.setModel(self._model)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setSortingEnabled(True)
        self.setWordWrap(False)
        rows, header = self.verticalHeader(), self.horizontalHeader()
        if rows is not None:
            rows.hide()
            rows.setDefaultSectionSize(self.fontMetrics().height() + 6)
        if header is not None:
            header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
            header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.clicked.connect(self._on_clicked)

    def set_columns(
        self,
        columns: Columns,
        colours: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Show columns of equal length; those of the same names stay as sorted and as wide.

        Parameters
        ----------
        columns : mapping of str to ndarray, each of shape (rows,)
        colours : mapping of str to str, optional
            Texts that are shown with a square of a colour, such as ``"#009e73"``.
        headers : mapping of str to str, optional
            What stands above a column instead of its name.
        """
        are_others = list(columns) != self._model.names
        self._model.set_columns(columns, colours or {}, headers or {})
        if are_others:
            self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
            self.resizeColumnsToContents()

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Show only some of the rows that were given."""
        self._model.keep(rows)

    @property
    def chosen(self) -> int | None:
        """The row that is marked, by its number among those that were given."""
        index = self.currentIndex()
        return self._model.row_at(index.row()) if index.isValid() else None

    def choose(self, row: int) -> None:
        """Mark a row, by its number among those that were given, and scroll to it."""
        place = self._model.place_of(row)
        if place is not None:
            self.selectRow(place)
            self.scrollTo(self._model.index(place, 0))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Tell of the row that was walked to."""
        before = self.currentIndex().row()
        super().keyPressEvent(event)
        if self.currentIndex().row() != before:
            self._on_clicked(self.currentIndex())

    def _on_clicked(self, index: QModelIndex) -> None:
        if index.isValid():
            self.rowClicked.emit(self._model.row_at(index.row()))


def _text(value: Any) -> str:
    """Write a cell as it is read: four digits of a number, all of a whole one."""
    if isinstance(value, np.bool_):
        return "yes" if value else "no"
    if isinstance(value, np.floating):
        if not np.isfinite(value):
            return "–"
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return str(value)
