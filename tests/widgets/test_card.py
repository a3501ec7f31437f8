"""The card of a model, beside its name in the dock."""

from dataclasses import replace

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.graph_config import GraphConfig
from napari_unet.core.model_file import Model
from napari_unet.widgets.card import CardDialog, card_html, picture_of
from napari_unet.widgets.parts import Note
from person import settle

CONFIG = ModelConfig(width=2, depth=1, diameter=20.3)
CARD = ModelCard(
    "cells",
    title="Cells <live>",
    purpose="Cells in phase contrast.",
    data="Images & outlines.",
    licence="MIT",
    command="napari-unet train cells -o cells.safetensors --seed 0",
    failures="Dividing cells.",
    scores={"AP 0.50": 0.7131, "AP 0.90": 0.2, "F1": 0.91234},
    held_out=("a", "b"),
    history=("trained on 9 images", "taught 3 cells"),
)


@pytest.fixture
def card(qtbot):
    dialog = CardDialog(CONFIG, CARD)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)  # qtbot does it
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def test_names_out_of_a_strangers_file_are_shown_letter_by_letter(qtbot):
    name = "<img src='file:///etc/passwd'><b>cells</b>"
    note = Note(name)
    qtbot.addWidget(note.native)
    assert note.native.textFormat() is Qt.TextFormat.PlainText and note.native.text() == name
    html = card_html(replace(CONFIG, classes=("background", name)), replace(CARD, title=name))
    assert "<img" not in html and html.count("&lt;img") == 2


def test_a_network_of_another_program_is_told_whatever_the_card_says():
    html = card_html(replace(CONFIG, graph=GraphConfig("torchscript")), CARD)
    assert "TorchScript, which is a program" in html and "only if you trust" in html
    assert "as ONNX." in card_html(replace(CONFIG, graph=GraphConfig("onnx")), CARD)
    assert "trust" not in card_html(CONFIG, CARD)


def test_all_that_is_known_is_on_it(card):
    text = card.text.toPlainText()
    for said in (
        "Cells <live>",
        CARD.purpose,
        CARD.data,
        CARD.licence,
        CARD.command,
        CARD.failures,
        *CARD.history,
        "20.3 px across",
        "On 2 images held out.",
        "F1 0.912",
    ):
        assert said in text
    assert text.split("IoU\n")[1].startswith("0.50\n0.90\nAP\n0.71\n0.20")
    assert "not stated" not in text


def test_what_a_user_s_own_model_does_not_say_is_not_stated():
    html = card_html(ModelConfig(in_channels=2), ModelCard("mine"))
    assert html.count("not stated") == 7
    assert "Not stated; images are taken as they are." in html
    assert "Images of 2 channels" in html and "Taught from" not in html


def test_scores_of_a_taught_model_are_those_before_it():
    taught = replace(CARD, parent="cells")
    assert "they are of the model before it" in card_html(CONFIG, taught)
    assert "they are of the model before it" not in card_html(CONFIG, CARD)
    assert "they are" not in card_html(CONFIG, ModelCard("mine", parent="cells"))


def test_text_of_a_file_is_text_and_nothing_else():
    html = card_html(CONFIG, ModelCard("<img src='http://x'>", scores={"<i>": 1}))
    assert "<img" not in html and "<i>" not in html


def test_it_can_be_copied_and_scrolls_only_up_and_down(card):
    card.copy.click()
    assert CARD.command in QApplication.clipboard().text()
    assert card.text.horizontalScrollBar().maximum() == 0
    assert card.text.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse


def test_esc_closes_it(card):
    card.text.setFocus()
    QTest.keyClick(card.text, Qt.Key.Key_Escape)
    assert not card.isVisible()


def test_the_picture_beside_the_file_is_shown(qtbot, tmp_path):
    path = tmp_path / "cells.safetensors"
    card = ModelCard("cells", path=str(path))
    assert picture_of(card) is None and picture_of(CARD) is None
    path.with_suffix(".png").write_bytes(b"no picture")
    assert picture_of(card) is None
    image = QImage(1000, 500, QImage.Format.Format_RGB32)
    image.fill(0)
    assert image.save(str(path.with_suffix(".png")))
    assert picture_of(card).width() == 400 and picture_of(card).height() == 200
    dialog = CardDialog(CONFIG, card)
    qtbot.addWidget(dialog)
    assert 'src="picture"' in dialog.text.toHtml()


def test_the_dock_shows_the_card_of_the_model_that_is_chosen(user, tmp_path):
    dock = user.dock()
    user.press(dock.header.about)
    first = dock.header.card
    assert first.windowTitle() == "About Nuclei, fluorescence"
    path = tmp_path / "mine.safetensors"
    Model.fresh(ModelConfig(width=2, depth=1), name="mine").save(path)
    dock.header.load(str(path))
    user.press(dock.header.about)
    settle(0.1)
    assert dock.header.card.windowTitle() == "About mine"
    dock.header.card.close()
    settle(0.1)
    assert dock.header.card is None
    path.unlink()
    user.press(dock.header.about)
    assert dock.status.value.startswith("⚠")
