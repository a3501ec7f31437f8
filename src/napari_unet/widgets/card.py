"""What a person should know of a model before trusting it, on one card."""

from __future__ import annotations

from html import escape
from pathlib import Path

from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QImage, QTextDocument
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QHBoxLayout,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from napari_unet.core.config import ModelCard, ModelConfig

__all__ = ["CardDialog", "card_html", "picture_of"]

SIZE = 460, 560
PICTURE = "picture"
PICTURE_WIDTH = 400
NOT_STATED = "not stated"
AP = "AP "  # names of scores such as "AP 0.50": average precision at an IoU
AP_MEANS = (
    "AP is 1 where every object is found and none is made up; IoU says how well an outline must "
    "fit to count as found."
)


class CardDialog(QDialog):
    """A model's card: it scrolls, its text can be selected and copied, Esc closes it."""

    def __init__(self, config: ModelConfig, card: ModelCard, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"About {card.title or card.name}")
        self.resize(*SIZE)
        self.text = QTextBrowser()
        self.text.setOpenExternalLinks(True)
        picture = picture_of(card)
        document = QTextDocument(self.text)
        if picture is not None:
            kind = QTextDocument.ResourceType.ImageResource.value
            document.addResource(kind, QUrl(PICTURE), picture)
        self.text.setDocument(document)
        self.text.setHtml(card_html(config, card, has_picture=picture is not None))
        self.copy = QPushButton("Copy all")
        self.copy.setAutoDefault(False)
        self.copy.clicked.connect(self._copy)
        self.done_button = QPushButton("Close")
        self.done_button.clicked.connect(self.close)
        self._lay_out()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.copy)
        buttons.addStretch(1)
        buttons.addWidget(self.done_button)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addLayout(buttons)

    def _copy(self) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.text.toPlainText().replace("\ufffc", "").strip())


def picture_of(card: ModelCard) -> QImage | None:
    """Return the example beside the model's file, as wide as the card; None if there is none."""
    path = Path(card.path).with_suffix(".png") if card.path else None
    if path is None or not path.is_file():
        return None
    picture = QImage(str(path))
    if picture.isNull():
        return None
    width = min(PICTURE_WIDTH, picture.width())
    return picture.scaledToWidth(width, Qt.TransformationMode.SmoothTransformation)


def card_html(config: ModelConfig, card: ModelCard, *, has_picture: bool = False) -> str:
    """Return the card as rich text; what the model's file does not say is "not stated"."""
    parts = [f"<h3>{escape(card.title or card.name)}</h3>"]
    if has_picture:
        parts.append(f'<p><img src="{PICTURE}"></p>')
    parts += [
        _section("What it is for", card.purpose),
        _section("Takes", _takes(config)),
        _section("Size of objects", _size(config)),
        _section("Before you use it", _warning(config)) if config.graph is not None else "",
        _heading("Scores on images it never saw") + _scores(card),
        _section("Known to fail", card.failures),
        _section("Learnt from", card.data),
        _section("Licence", card.licence),
        _section("Taught from", card.parent) if card.parent else "",
        _heading("History") + _history(card),
        _heading("Trained with") + _command(card.command),
    ]
    return "".join(parts)


def _heading(text: str) -> str:
    return f'<p style="margin-bottom: 0"><b>{text}</b></p>'


def _section(title: str, text: str) -> str:
    return _heading(title) + _paragraph(escape(text or NOT_STATED))


def _paragraph(html: str) -> str:
    return f'<p style="margin-top: 2px">{html}</p>'


def _takes(config: ModelConfig) -> str:
    return f"Images of {config.takes}; finds {', '.join(config.classes[1:])}."


def _size(config: ModelConfig) -> str:
    if config.diameter is None:
        return "Not stated; images are taken as they are."
    return f"{config.diameter:.3g} px across; images are rescaled so that theirs have this size."


def _warning(config: ModelConfig) -> str:
    """Whatever the card says of itself: by its settings the file holds another one's network."""
    assert config.graph is not None
    kind = {"torchscript": "TorchScript, which is a program", "onnx": "ONNX"}[config.graph.kind]
    return (
        f"It holds a network that another program has made, as {kind}. It is run when you press "
        "Segment: use it only if you trust who made it."
    )


def _scores(card: ModelCard) -> str:
    scores = {name: value for name, value in card.scores.items() if isinstance(value, int | float)}
    precision = {name: value for name, value in scores.items() if name.startswith(AP)}
    others = {name: value for name, value in scores.items() if name not in precision}
    html = _table(precision) if precision else ""
    if others:
        said = ", ".join(f"{escape(name)} {value:.3f}" for name, value in others.items())
        html += _paragraph(said)
    if not html:
        html = _paragraph(NOT_STATED)
    elif card.parent:
        html += _paragraph("Teaching by hand measures none: they are of the model before it.")
    held_out = len(card.held_out)
    if held_out:
        html += _paragraph(f"On {held_out} image" + ("" if held_out == 1 else "s") + " held out.")
    return html


def _table(precision: dict[str, float]) -> str:
    """How many objects are right, for every overlap that counts as found."""
    overlaps = "".join(f"<td>{escape(name[len(AP) :])}</td>" for name in precision)
    values = "".join(f"<td>{value:.2f}</td>" for value in precision.values())
    return (
        '<table border="1" cellspacing="0" cellpadding="3" style="border-collapse: collapse">'
        f"<tr><td>IoU</td>{overlaps}</tr><tr><td><b>AP</b></td>{values}</tr></table>"
        + _paragraph(AP_MEANS)
    )


def _history(card: ModelCard) -> str:
    lines = [escape(line) for line in card.history] or [NOT_STATED]
    return "".join(_paragraph(line) for line in lines)


def _command(command: str) -> str:
    return _paragraph(f"<tt>{escape(command)}</tt>" if command else NOT_STATED)
