"""The curves of the demo: loss, and the score on the cells kept aside, over time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from napari_unet.commands.demo.panels import GREY, INK, PAPER, text_font
from napari_unet.core.events import KeptAsideScore, TrainProgress

__all__ = ["draw_learning"]

WIDTH, HEIGHT = 1100, 720
LEFT, RIGHT = 110, 1060
FINE = 2  # drawn so much larger and then reduced, for smooth lines
LOSS, SCORE, GRID = (0, 114, 178), (0, 158, 115), (222, 222, 226)

Point = tuple[float, float]


def draw_learning(history: Sequence[TrainProgress | KeptAsideScore], heading: str) -> Image.Image:
    """Draw the loss above and the score below, over the same seconds."""
    losses = [(e.seconds, e.loss) for e in history if isinstance(e, TrainProgress)]
    scores = [(e.seconds, e.score) for e in history if isinstance(e, KeptAsideScore)]
    end = max((x for x, _ in losses + scores), default=1.0) or 1.0
    page = Image.new("RGB", (WIDTH * FINE, HEIGHT * FINE), PAPER)
    draw = ImageDraw.Draw(page)
    _text(draw, (LEFT - 70, 22), heading, INK, 26)
    top = max((y for _, y in losses), default=1.0) or 1.0
    step = _ticks(top)[1]
    upper = _Axes(draw, 110, 330, end, step * math.ceil(top / step))
    upper.frame("Loss on the corrected objects (lower is better)")
    upper.line(losses, LOSS)
    lower = _Axes(draw, 430, 650, end, 1.0)
    cells = next((e.cells for e in history if isinstance(e, KeptAsideScore)), 0)
    kept = f"Overlap (IoU) on {cells} corrected objects kept aside (higher is better)"
    lower.frame(kept if scores else "Too few objects were corrected to keep any aside")
    lower.line(scores, SCORE)
    lower.dots(scores, SCORE)
    _text(draw, (LEFT, 684), "seconds of teaching", GREY, 18)
    return page.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


class _Axes:
    """One plot: from data to pixels, with its frame and its ticks."""

    def __init__(
        self, draw: ImageDraw.ImageDraw, top: int, bottom: int, x_end: float, y_end: float
    ) -> None:
        self._draw, self._top, self._bottom = draw, top, bottom
        self._x_end, self._y_end = x_end, y_end

    def frame(self, title: str) -> None:
        _text(self._draw, (LEFT, self._top - 34), title, INK, 20)
        for value in _ticks(self._y_end):
            y = self._place((0, value))[1]
            self._draw.line((LEFT * FINE, y, RIGHT * FINE, y), GRID, FINE)
            _text(self._draw, (LEFT - 14, y / FINE), f"{value:.3g}", GREY, 17, "rm")
        for value in _ticks(self._x_end):
            x = self._place((value, 0))[0]
            self._draw.line((x, self._bottom * FINE, x, (self._bottom + 6) * FINE), GREY, FINE)
            _text(self._draw, (x / FINE, self._bottom + 9), f"{value:.3g}", GREY, 17, "ma")
        self._draw.line(
            (LEFT * FINE, self._bottom * FINE, RIGHT * FINE, self._bottom * FINE), GREY, FINE
        )

    def line(self, points: Sequence[Point], colour: tuple[int, int, int]) -> None:
        if len(points) > 1:
            self._draw.line([self._place(point) for point in points], colour, 3 * FINE, "curve")

    def dots(self, points: Sequence[Point], colour: tuple[int, int, int]) -> None:
        for point in points:
            x, y = self._place(point)
            self._draw.circle((x, y), 6 * FINE, colour)

    def _place(self, point: Point) -> Point:
        x = LEFT + (RIGHT - LEFT) * point[0] / self._x_end
        y = self._bottom - (self._bottom - self._top) * point[1] / self._y_end
        return x * FINE, y * FINE


def _text(
    draw: ImageDraw.ImageDraw,
    at: Point,
    text: str,
    colour: tuple[int, int, int],
    size: int,
    anchor: str = "la",
) -> None:
    draw.text((at[0] * FINE, at[1] * FINE), text, colour, text_font(size * FINE), anchor)


def _ticks(end: float) -> list[float]:
    """Return round numbers from 0 up to the end, 4 to 8 of them."""
    power = 10.0 ** math.floor(math.log10(end / 3))
    step = next(n * power for n in (5, 2, 1) if end / (n * power) >= 3)
    return [number * step for number in range(math.floor(end / step + 1e-9) + 1)]
