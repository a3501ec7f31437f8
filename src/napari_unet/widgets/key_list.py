"""All tools of the Correct step with their keys and gestures, to be seen in one place."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QGridLayout, QLabel, QWidget

from napari_unet.widgets.tool_list import NAPARI_KEYS, NEXT_KEY, TOOLS, VIEW_KEY

__all__ = ["KeyList", "key_rows"]

HEADS = ("Key", "Tool", "Gesture")
WHERE = "The keys work while the labels are the selected layer. Press a tool again to put it down."
TAKEN = "–"  # instead of a key that napari's settings or another plugin use


def key_rows(bound: Iterable[str] | None = None) -> list[tuple[str, str, str]]:
    """Return key, name and gesture of everything that has a key.

    With `bound`, a key that is not among them is shown as none.
    """
    ours = [(tool.key, tool.text, tool.how) for tool in TOOLS]
    ours += [(VIEW_KEY, "All I see", "is right, the empty places too: no gesture")]
    ours += [(NEXT_KEY, "Next", "go to what is likely wrong")]
    if bound is not None:
        works = set(bound)
        ours = [(key if key in works else TAKEN, text, how) for key, text, how in ours]
    return ours + [(key, "napari", what) for key, what in NAPARI_KEYS.items()]


class KeyList(QDialog):
    """A small window that stays open beside the image; Esc closes it."""

    def __init__(self, rows: list[tuple[str, str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Keys of the Correct step")
        layout = QGridLayout(self)
        layout.setHorizontalSpacing(16)
        layout.setVerticalSpacing(3)
        for column, head in enumerate(HEADS):
            layout.addWidget(QLabel(f"<b>{head}</b>"), 0, column)
        for line, row in enumerate(rows, 1):
            for column, text in enumerate(row):
                layout.addWidget(QLabel(text), line, column)
        where = QLabel(WHERE)
        where.setWordWrap(True)
        layout.addWidget(where, len(rows) + 1, 0, 1, len(HEADS))
