"""Keys of the tools: seen, working where they should, and in nobody's way."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from napari.utils.action_manager import action_manager
from napari.utils.key_bindings import coerce_keybinding
from napari.utils.shortcuts import default_shortcuts
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QDockWidget,
    QLabel,
    QLineEdit,
)

from hand import Hand
from napari_unet.widgets.key_list import key_rows
from napari_unet.widgets.shortcuts import taken_keys
from napari_unet.widgets.tool_list import NEXT_KEY, TOOLS, VIEW_KEY
from person import settle, wait_until

KEYS = [*(tool.key for tool in TOOLS), VIEW_KEY, NEXT_KEY]


@pytest.fixture
def desk(user):
    user.viewer.add_image(np.zeros((64, 96)))
    user.own_dock = user.dock()
    user.correct = user.own_dock.steps[1]
    user.item = user.bench.workspace.open()
    user.bench.workspace.select(user.item)
    user.hand = Hand(user.viewer)
    return user


def ours(layer):
    return {key for key in KEYS if coerce_keybinding(key) in layer.keymap}


def test_no_key_is_used_twice():
    assert len(set(KEYS)) == len(KEYS)


def test_no_key_is_one_of_napari_viewer_or_labels(desk):
    of_others = ("points", "shapes", "vectors", "tracks", "surface", "image")
    used = {*ViewerModel.class_keymap, *Labels.class_keymap}
    assert coerce_keybinding("P") in used and coerce_keybinding("Control-Z") in used
    assert taken_keys(ViewerModel(), Labels(np.zeros((2, 2), int)), [*KEYS, "P", "V"]) == {"P", "V"}
    clashes = {
        name for name, bound in default_shortcuts.items() for key in bound if str(key) in KEYS
    }
    for name in clashes:
        provider = action_manager._actions[name].keymapprovider
        assert provider.__name__.lower() in of_others, name


def test_keys_of_napari_do_what_they_did(desk):
    for key, mode in {
        "P": "paint",
        "E": "erase",
        "F": "fill",
        "L": "pick",
        "Z": "pan_zoom",
    }.items():
        desk.hand.key(key)
        assert desk.item.labels.mode == mode


def test_keys_are_bound_to_the_labels_that_are_corrected_alone(desk):
    other = desk.viewer.add_labels(np.zeros((64, 96), np.int32))
    assert ours(desk.item.labels) == set(KEYS)
    assert not ours(other)
    assert not ours(desk.viewer)
    desk.bench.workspace.open(other)
    assert ours(other) == set(KEYS)
    assert not ours(desk.item.labels)


def test_keys_do_nothing_where_classes_are_painted(desk):
    item = desk.bench.workspace.open_classes(["vessel"])
    assert not ours(item.labels) and not ours(desk.item.labels)


def test_keys_are_written_on_the_buttons_and_in_the_tips(desk):
    for tool in TOOLS:
        made = desk.correct.grid.buttons[tool.name]
        assert made.text.split() == [*tool.text.split(), tool.key]
        assert f"Key: {tool.key}" in made.tooltip


def test_keys_are_gone_with_the_dock_and_come_back_with_it(desk):
    parent = desk.own_dock.native
    while not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    desk.hand.key("D")
    desk.own_dock = desk.correct = None
    parent.destroyOnClose()
    settle(0.3)
    assert not ours(desk.item.labels)
    assert desk.bench.belt.in_hand is None
    desk.hand.key("D")
    desk.own_dock = desk.dock()
    assert ours(desk.item.labels) == set(KEYS)
    desk.hand.key("D")
    assert desk.bench.belt.in_hand.name == "delete"


def test_a_hidden_dock_listens_to_no_key(desk):
    parent = desk.own_dock.native
    while not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    parent.hide()
    settle(0.1)
    assert not ours(desk.item.labels)
    desk.hand.key("D")
    assert desk.bench.belt.in_hand is None
    parent.show()
    settle(0.1)
    desk.hand.key("D")
    assert desk.bench.belt.in_hand.name == "delete"


def test_two_docks_share_the_keys_and_the_tool(desk):
    second = desk.dock("Correct labels").steps[0]
    desk.hand.key("D")
    assert desk.correct.delete.native.isChecked() and second.delete.native.isChecked()
    desk.hand.key("D")
    assert not desk.correct.delete.native.isChecked() and not second.delete.native.isChecked()


def test_keys_do_not_fire_while_text_is_typed(desk):
    fields = [f for f in desk.own_dock.native.findChildren(QLineEdit) if f.isVisible()]
    assert fields
    desk.viewer.window._qt_window.activateWindow()
    for field in fields:
        field.setFocus()
        settle(0.1)
        for key in KEYS:
            desk.hand.key(key, on=field)
        assert desk.bench.belt.in_hand is None
        assert desk.item.labels.mode == "pan_zoom"


def test_keys_work_after_a_button_of_the_dock_was_pressed(desk):
    desk.press(desk.correct.grid.buttons["split"])
    button = desk.correct.uncheck.native
    button.setFocus()
    desk.hand.key("D", on=button)
    assert desk.bench.belt.in_hand.name == "delete"


def test_a_key_that_is_taken_is_left_and_shown_as_none(desk):
    heard = []
    desk.item.labels.bind_key("S", None)
    desk.item.labels.bind_key("S", lambda layer: heard.append(layer))
    desk.bench.shortcuts.bind()
    desk.hand.key("S")
    assert heard and desk.bench.belt.in_hand is None
    assert "S" not in desk.bench.shortcuts.bound
    rows = {text: key for key, text, _ in key_rows(desk.bench.shortcuts.bound)}
    assert (rows["Split"], rows["Merge"]) == ("–", "J")


def test_a_button_that_is_off_says_why(desk):
    desk.hand.key("Q")
    assert "Segment first" in desk.correct.problem.value


def test_all_keys_are_listed_in_one_place(desk):
    desk.press(desk.correct.grid.keys)
    window = desk.correct.grid.key_list
    shown = {label.text() for label in window.findChildren(QLabel)}
    assert {*KEYS, "Ctrl+Z", "Ctrl+Shift+Z", *(tool.how for tool in TOOLS)} <= shown
    desk.press(desk.correct.grid.keys)
    settle(0.1)
    assert desk.correct.grid.key_list is None


def test_every_button_of_the_grid_says_what_it_does(desk):
    for child in desk.correct.tools.native.findChildren(QAbstractButton):
        assert len(child.toolTip()) > 10, child.text()


@pytest.mark.parametrize("gone", [QAbstractButton.setEnabled, QAbstractButton.setVisible])
def test_no_other_field_of_the_dock_gets_the_keys_of_a_button_that_went_off(desk, gone):
    segment = desk.own_dock.steps[0]
    desk.viewer.window._qt_window.activateWindow()
    segment.segment.native.setFocus()
    wait_until(segment.segment.native.hasFocus)
    gone(segment.segment.native, False)
    settle(0.1)
    has_focus = QApplication.focusWidget()
    assert has_focus is None or not desk.own_dock.native.isAncestorOf(has_focus)


def test_a_new_smallest_object_does_not_take_the_keys(desk):
    """A measured size of objects sets it, and the next key was typed into it."""
    smallest = desk.own_dock.steps[0].smallest
    desk.viewer.window._qt_window.activateWindow()
    settle(0.1)
    smallest.value = 47
    settle(0.1)
    has_focus = QApplication.focusWidget()
    assert has_focus is None or not smallest.native.isAncestorOf(has_focus)
    field = smallest.native.findChild(QAbstractSpinBox)
    field.lineEdit().selectAll()
    desk.hand.key("9", on=field.lineEdit())
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert smallest.value == desk.bench.session.settings.min_size == 9
