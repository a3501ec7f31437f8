"""A session is saved and opened by the dock's menu, with real dialogs of Qt."""

import numpy as np
import pytest
import tifffile
from napari.layers import Image as ImageLayer
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QDialogButtonBox, QFileDialog, QLineEdit, QMessageBox

from person import settle, wait_until

DIALOGS = "napari_unet.widgets.session_menu"
SHAPE = (60, 80)


@pytest.fixture
def no_native_dialogs():
    attribute = Qt.ApplicationAttribute.AA_DontUseNativeDialogs
    QApplication.setAttribute(attribute, True)
    yield
    QApplication.setAttribute(attribute, False)


@pytest.fixture
def image_file(tmp_path):
    path = tmp_path / "data" / "cells.tif"
    path.parent.mkdir()
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 99, SHAPE, np.uint8))
    return path


def answer(path):
    """Type a path into the file dialog that opens next, and accept."""

    def type_it():
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, QFileDialog) or not dialog.isVisible():
            QTimer.singleShot(300, type_it)
            return
        dialog.findChild(QLineEdit, "fileNameEdit").setText(str(path))
        dialog.findChild(QDialogButtonBox).buttons()[0].click()

    QTimer.singleShot(300, type_it)


def choose(menu, name):
    menu.menu.native.menu().aboutToShow.emit()
    actions = {action.text(): action for action in menu.menu.native.menu().actions()}
    assert actions[name].isVisible()
    actions[name].trigger()


def names_of(header):
    header.menu.native.menu().aboutToShow.emit()
    return [a.text() for a in header.menu.native.menu().actions() if a.isVisible() and a.text()]


def painted(user, image_file):
    user.viewer.open(str(image_file))
    item = user.bench.workspace.open()
    where = np.zeros(SHAPE, bool)
    where[20:30, 20:30] = True
    user.paint(item.labels, where, 7)
    return item


def test_saved_closed_and_opened_again(user, image_file, tmp_path, no_native_dialogs):
    dock = user.dock()
    header = dock.header
    segment, _, teach = dock.steps
    item = painted(user, image_file)
    segment.threshold.value, segment.smallest.value = 0.7, 44
    teach.keep.value = 0.2
    assert names_of(header)[-2:] == ["Save session…", "Open session…"]
    folder = tmp_path / "session"
    folder.mkdir()

    answer(folder)
    choose(header, "Save session…")
    wait_until(lambda: not user.bench.sessions.busy)
    assert dock.status.value == f"Saved 1 image and 1 version to {folder}."
    saved = item.pair.labels.copy()

    more = np.zeros(SHAPE, bool)
    more[40:50, 50:60] = True
    user.paint(item.labels, more, 8)
    choose(header, "Save session")  # asks nothing
    wait_until(lambda: not user.bench.sessions.busy)
    assert dock.status.value == f"Saved 1 image and 1 version to {folder}."
    assert (tifffile.imread(folder / "labels" / "cells.ome.tif") != saved).any()

    labels, checked = item.pair.labels.copy(), item.pair.checked.copy()
    user.viewer.layers.clear()
    segment.threshold.value, segment.smallest.value, teach.keep.value = 0.3, 20, 0.9
    settle(0.2)
    answer(folder)
    choose(header, "Open session…")
    wait_until(lambda: not user.bench.sessions.busy)
    settle(0.3)
    assert dock.status.value == f"Opened 1 image of {folder}."
    again = user.bench.workspace.current
    np.testing.assert_array_equal(again.pair.labels, labels)
    np.testing.assert_array_equal(again.pair.checked, checked)
    assert again.checked is not None and again.checked.visible
    assert (segment.threshold.value, segment.smallest.value, teach.keep.value) == (0.7, 44, 0.2)
    assert [layer.name for layer in user.viewer.layers if isinstance(layer, ImageLayer)] == [
        "cells"
    ]


def test_where_the_image_is_gone_it_is_asked_for(user, image_file, tmp_path, monkeypatch):
    dock = user.dock()
    item = painted(user, image_file)
    folder = tmp_path / "session"
    user.bench.sessions.save(folder)
    wait_until(lambda: not user.bench.sessions.busy)
    labels = item.pair.labels.copy()
    user.viewer.layers.clear()
    image_file.rename(tmp_path / "moved.tif")
    asked = []
    buttons = QMessageBox.StandardButton
    answers = [buttons.Ignore, buttons.Open]

    def question(_, title, sentence, *__):
        asked.append(sentence)
        return answers.pop(0)

    monkeypatch.setattr(f"{DIALOGS}.QMessageBox.question", question)
    monkeypatch.setattr(f"{DIALOGS}.QFileDialog.getExistingDirectory", lambda *_, **__: str(folder))
    monkeypatch.setattr(
        f"{DIALOGS}.QFileDialog.getOpenFileName", lambda *_, **__: (str(tmp_path / "moved.tif"), "")
    )
    choose(dock.header, "Open session…")
    wait_until(lambda: not user.bench.sessions.busy)
    settle(0.3)
    assert dock.status.value.startswith(f"⚠ Opened 0 of 1 images of {folder}. cells is not at")
    choose(dock.header, "Open session…")
    wait_until(lambda: not user.bench.sessions.busy)
    settle(0.3)
    assert dock.status.value == f"Opened 1 image of {folder}."
    assert (
        asked == [f"<p>cells is not at {image_file} any more; choose where the image is.</p>"] * 2
    )
    np.testing.assert_array_equal(user.bench.workspace.current.pair.labels, labels)


def test_what_cannot_be_done_is_said(user, tmp_path, monkeypatch):
    dock = user.dock()
    chosen = [str(tmp_path)]
    monkeypatch.setattr(f"{DIALOGS}.QFileDialog.getExistingDirectory", lambda *_, **__: chosen[0])
    choose(dock.header, "Save session…")
    assert dock.status.value.startswith("⚠ There are no labels to save yet")
    choose(dock.header, "Open session…")
    assert dock.status.value.startswith(f"⚠ There is no session in {tmp_path}")
    before = dock.status.value
    chosen[0] = ""  # the dialog was closed
    choose(dock.header, "Open session…")
    choose(dock.header, "Save session…")
    assert dock.status.value == before


def test_a_save_under_way_is_finished_when_the_viewer_closes(user, image_file, tmp_path):
    user.dock()
    painted(user, image_file)
    user.bench.sessions.save(tmp_path / "session")
    user.bench.close()
    assert (tmp_path / "session" / "session.json").is_file()
