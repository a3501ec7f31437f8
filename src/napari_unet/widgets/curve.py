"""The loss and the score while the network learns, drawn small."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_unet.session.teach_run import Curve

__all__ = ["CurveView"]

LOSS, SCORE = QColor("#f2a33a"), QColor("#35a7f0")
HEIGHT, LEGEND = 72, 18
SMOOTH = 0.8  # of the running mean that is drawn over the raw loss


class CurveView(QWidget):
    """Draws the loss (left scale, from 0) and the score on cells kept aside (0 to 1)."""

    def __init__(self) -> None:
        super().__init__()
        self._curve = Curve()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "Orange: loss, lower is better. Blue: score on cells kept aside, higher is better. "
            "From left to right: the time."
        )

    def sizeHint(self) -> QSize:  # Qt's name
        """The height is fixed."""
        return QSize(200, HEIGHT)

    def minimumSizeHint(self) -> QSize:  # Qt's name
        """It can be as narrow as the dock."""
        return QSize(80, HEIGHT)

    @property
    def points(self) -> int:
        """How many points are drawn."""
        return len(self._curve.loss) + len(self._curve.score)

    def show_curve(self, curve: Curve) -> None:
        """Draw what has come so far."""
        self._curve = curve
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # Qt's name
        """Draw frame, loss, score and legend in the theme's colours."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        text = self.palette().color(self.foregroundRole())
        faint = QColor(text)
        faint.setAlpha(70)
        painter.setPen(QPen(faint, 1))
        painter.drawRect(box)
        if not self._curve.loss:
            painter.setPen(QPen(text if self.isEnabled() else faint))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, "loss and score, while it learns")
            return
        inner = box.adjusted(2, LEGEND, -2, -4)
        top = max(loss for _, loss in self._curve.loss) or 1.0
        raw = [(at, loss / top) for at, loss in self._curve.loss]
        raw_colour = QColor(LOSS)
        raw_colour.setAlpha(90)
        _draw_line(painter, inner, raw, QPen(raw_colour, 1))
        _draw_line(painter, inner, _smoothed(raw), QPen(LOSS, 2))
        _draw_line(painter, inner, self._curve.score, QPen(SCORE, 2), dots=True)
        self._draw_legend(painter, box)

    def _draw_legend(self, painter: QPainter, box: QRectF) -> None:
        words = [(f"loss {self._curve.loss[-1][1]:.2f}", LOSS)]
        if self._curve.score:
            words.append((f"score {self._curve.score[-1][1]:.2f}", SCORE))
        right = box.right() - 4
        for word, colour in words:
            width = painter.fontMetrics().horizontalAdvance(word)
            painter.setPen(QPen(colour))
            painter.drawText(QPointF(right - width, box.top() + 14), word)
            right -= width + 10


def _smoothed(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    mean, out = points[0][1], []
    for at, value in points:
        mean = SMOOTH * mean + (1 - SMOOTH) * value
        out.append((at, mean))
    return out


def _draw_line(
    painter: QPainter,
    box: QRectF,
    points: list[tuple[float, float]],
    pen: QPen,
    *,
    dots: bool = False,
) -> None:
    """Draw points given as fractions of the box, from its lower left."""
    painter.setPen(pen)
    spots = [
        QPointF(box.left() + at * box.width(), box.bottom() - value * box.height())
        for at, value in points
    ]
    painter.drawPolyline(QPolygonF(spots))
    if dots:
        painter.setBrush(pen.color())
        for spot in spots:
            painter.drawEllipse(spot, 2.0, 2.0)
        painter.setBrush(Qt.BrushStyle.NoBrush)
