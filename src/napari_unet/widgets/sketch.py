"""What is drawn over the image while the mouse is down: a line, a box, an outline."""

from __future__ import annotations

from typing import Any  # napari's mouse events

from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QApplication, QWidget

from napari_unet.bridge.gestures import Kind

__all__ = ["CanvasSketch"]

# Seen on dark and on bright images: a bright line on a dark, wider one.
PENS = ((QColor("#000000"), 4), (QColor("#ffd400"), 2))


class _Sheet(QWidget):
    """A sheet of glass over the canvas; mouse and keys go through it."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.kind = Kind.LINE
        self.points: list[tuple[float, float]] = []
        self.resize(canvas.size())
        self.show()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw what there is so far."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for colour, width in PENS:
            painter.setPen(QPen(colour, width))
            painter.drawPolyline(_corners(self.kind, self.points))
        painter.end()


class CanvasSketch:
    """Draws on a sheet over napari's canvas; a layer would take a quarter of a second to come and
    go, and would be seen in the list."""

    def __init__(self) -> None:
        self._sheet: _Sheet | None = None

    @property
    def points(self) -> list[tuple[float, float]]:
        """What is drawn, x and y in the canvas."""
        return [] if self._sheet is None else self._sheet.points

    def draw(self, event: Any, kind: Kind, points: list[tuple[float, float]]) -> None:
        """Show points of the canvas that a mouse event came from."""
        if self._sheet is None:
            canvas = _canvas_of(event)
            if canvas is None:
                return
            self._sheet = _Sheet(canvas)
        self._sheet.kind, self._sheet.points = kind, points
        self._sheet.update()

    def clear(self) -> None:
        """Show nothing."""
        sheet, self._sheet = self._sheet, None
        if sheet is not None:
            try:
                sheet.hide()
                sheet.deleteLater()
            except RuntimeError:  # gone with its canvas
                return


def _canvas_of(event: Any) -> QWidget | None:
    """The widget under the mouse; napari does not hand out its canvas."""
    native = getattr(event, "native", None)
    if native is None:
        return None
    place = native.globalPosition if hasattr(native, "globalPosition") else native.globalPos
    at = place()
    return QApplication.widgetAt(at.toPoint() if isinstance(at, QPointF) else at)


def _corners(kind: Kind, points: list[tuple[float, float]]) -> QPolygonF:
    drawn = [QPointF(x, y) for x, y in points]
    if kind is Kind.BOX and drawn:
        (left, top), (right, bottom) = points[0], points[-1]
        corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        drawn = [QPointF(x, y) for x, y in corners]
    if kind is Kind.OUTLINE:
        drawn = [*drawn, *drawn[:1]]
    return QPolygonF(drawn)
