"""The tools of the Correct step in a real napari, by real mouse and key events."""

import numpy as np
import pytest
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from hand import CONTROL, SHIFT, Hand
from napari_unet.bridge.view import camera_of
from person import settle, wait_until

CELLS = {1: np.s_[8:22, 8:36], 2: np.s_[8:22, 50:64], 3: np.s_[8:22, 64:78], 4: np.s_[40:54, 8:22]}


@pytest.fixture
def desk(user):
    return at_desk(user, np.zeros((64, 96)))


def at_desk(user, image, **placed):
    """Four cells, as if Segment had made them: 1 is wide, 2 and 3 touch, 4 has a hole."""
    user.viewer.add_image(image, **placed)
    user.correct = user.dock().steps[1]
    user.item = user.bench.workspace.open()
    user.labels = user.item.labels
    for plane in user.item.pair.labels.reshape(-1, 64, 96):
        for number, box in CELLS.items():
            plane[box] = number
        plane[44:50, 12:18] = 0
    np.copyto(user.item.pair.ledger.labels, user.item.pair.labels)
    user.labels.refresh()
    user.bench.workspace.select(user.item)
    user.viewer.reset_view()
    user.hand = Hand(user.viewer)
    wait_until(lambda: "S" in user.bench.shortcuts.bound)
    return user


def numbers(user, where=np.s_[...]):
    return set(np.unique(user.labels.data[where]).tolist())


def test_a_line_splits_a_cell_and_one_undo_joins_it_again(desk):
    before = desk.labels.data.copy()
    desk.hand.key("S")
    assert desk.correct.grid.buttons["split"].native.isChecked()
    desk.hand.drag(desk.labels, [(4, 20), (26, 20)])
    assert numbers(desk, CELLS[1]) == {1, 5}
    assert desk.labels.data[15, 9] == 5 and desk.labels.data[15, 34] == 1
    assert "2 cells checked" in desk.correct.title.value
    desk.hand.key("Z", held=CONTROL)
    np.testing.assert_array_equal(desk.labels.data, before)


def test_the_line_is_seen_while_it_is_drawn(desk):
    desk.hand.key("S")
    seen = []

    def look():
        wait_until(lambda: len(desk.bench.belt.sketch.points) > 1)  # napari leaves out some moves
        seen.extend(desk.bench.belt.sketch.points)
        sheet = desk.bench.belt.sketch._sheet
        picture = sheet.grab().toImage()
        x, y = map(int, np.mean([seen[0], seen[-1]], axis=0))
        seen.append(picture.pixelColor(x, y).name())

    desk.hand.drag(desk.labels, [(4, 20), (26, 20)], before_release=look)
    assert seen[-1] == "#ffd400"
    assert not desk.bench.belt.sketch.points
    assert len(desk.viewer.layers) == 3  # image, labels, checked area: none for the line


def test_a_line_that_does_not_cut_is_told_and_the_next_one_clears_it(desk):
    desk.hand.key("S")
    desk.hand.drag(desk.labels, [(15, 12), (15, 20)])
    assert "does not cut through" in desk.correct.problem.value
    desk.hand.drag(desk.labels, [(30, 5), (30, 90)])
    assert "crosses no cell" in desk.correct.problem.value
    desk.hand.drag(desk.labels, [(4, 20), (26, 20)])
    assert desk.correct.problem.value == ""


def test_a_drag_across_merges_and_takes_the_first_number(desk):
    desk.hand.key("J")
    desk.hand.drag(desk.labels, [(15, 70), (15, 55)])
    assert numbers(desk) == {0, 1, 3, 4}
    assert numbers(desk, CELLS[2]) == {3}


def test_delete_by_click_and_by_box(desk):
    desk.hand.key("D")
    desk.hand.click(desk.labels, (15, 70))
    assert numbers(desk) == {0, 1, 2, 4}
    desk.hand.drag(desk.labels, [(2, 2), (60, 40)])
    assert numbers(desk) == {0, 2}
    desk.hand.click(desk.labels, (35, 85))
    assert "no cell" in desk.correct.problem.value
    desk.hand.key("D")
    desk.hand.click(desk.labels, (15, 55))
    assert numbers(desk) == {0, 2}
    desk.labels.undo()
    assert numbers(desk) == {0, 1, 2, 4}  # the box was one step


@pytest.mark.parametrize(
    ("key", "name", "area"),
    [("H", "fill", 14 * 14), ("G", "grow", 14 * 14 - 6 * 6 + 4 * 14 + 20), ("K", "shrink", 80)],
)
def test_one_click_changes_the_shape(desk, key, name, area):
    desk.hand.key(key)
    assert desk.bench.belt.in_hand.name == name
    desk.hand.click(desk.labels, (42, 10))
    found = np.count_nonzero(desk.labels.data == 4)
    if name == "shrink":  # 12 x 12 without a hole that is 8 x 8, its corners kept
        assert found == 12 * 12 - 8 * 8 + 4
    else:
        assert found == area
    desk.labels.undo()
    assert np.count_nonzero(desk.labels.data == 4) == 14 * 14 - 6 * 6


def test_smooth_and_waist_by_a_click(desk):
    desk.item.pair.labels[13:17, 36:46] = 1  # a spike
    desk.hand.key("T")
    desk.hand.click(desk.labels, (15, 15))
    assert desk.labels.data[14, 45] == 0
    desk.hand.key("J")
    desk.hand.drag(desk.labels, [(15, 55), (15, 70)])
    desk.item.pair.labels[8:13, 62:66] = desk.item.pair.labels[17:22, 62:66] = 0
    desk.hand.key("W")
    desk.hand.click(desk.labels, (15, 55))
    assert len(numbers(desk, np.s_[8:22, 50:78]) - {0}) == 2


def test_relabel_gives_a_free_number_and_with_shift_the_chosen_one(desk):
    desk.hand.key("R")
    desk.hand.click(desk.labels, (15, 70))
    assert numbers(desk, CELLS[3]) == {5}
    desk.labels.selected_label = 40
    desk.hand.click(desk.labels, (15, 70), held=SHIFT)
    assert numbers(desk, CELLS[3]) == {40}
    desk.labels.selected_label = 0
    desk.hand.click(desk.labels, (15, 70), held=SHIFT)
    assert "above 0" in desk.correct.problem.value


def test_a_cell_is_outlined_by_one_drag_and_takes_no_other(desk):
    desk.hand.key("O")
    around = [(30, 30), (30, 60), (58, 60), (58, 30), (31, 30)]
    desk.hand.drag(desk.labels, around)
    assert desk.labels.data[45, 45] == 5
    assert abs(np.count_nonzero(desk.labels.data == 5) - 28 * 30) < 80
    desk.hand.drag(desk.labels, [(15, 12), (15, 20), (18, 20), (18, 12)])
    assert "no free place" in desk.correct.problem.value


def test_erase_stays_inside_of_the_cell_where_it_began(desk):
    desk.labels.brush_size = 9
    chosen, preserves = desk.labels.selected_label, desk.labels.preserve_labels
    desk.hand.key("I")
    desk.hand.drag(desk.labels, [(15, 60), (15, 68)])
    assert 0 in numbers(desk, CELLS[2])
    assert numbers(desk, CELLS[3]) == {3}
    desk.hand.drag(desk.labels, [(30, 57), (15, 57)])
    assert "Press on the cell" in desk.correct.problem.value
    before = desk.labels.data.copy()
    desk.hand.key("I")
    assert (desk.labels.selected_label, desk.labels.preserve_labels) == (chosen, preserves)
    assert desk.labels.mode == "pan_zoom"
    np.testing.assert_array_equal(desk.labels.data, before)


def test_accept_and_take_it_back_by_click_and_box(desk):
    desk.hand.key("A")
    desk.hand.click(desk.labels, (15, 15))
    assert "1 cell checked" in desk.correct.title.value
    desk.hand.drag(desk.labels, [(2, 45), (30, 90)])
    assert "3 cells checked" in desk.correct.title.value
    desk.hand.key("U")
    desk.hand.click(desk.labels, (15, 15))
    assert "2 cells checked" in desk.correct.title.value
    assert not desk.item.pair.checked[15, 7]  # its rim, too
    desk.hand.drag(desk.labels, [(0, 0), (63, 95)])
    assert np.argwhere(desk.item.pair.checked).tolist() == []
    desk.hand.key("Y")
    assert "4 cells checked" in desk.correct.title.value


def test_one_tool_is_in_the_hand_and_napari_own_tools_take_it_away(desk):
    grid = desk.correct.grid

    def down():
        return {name for name, made in grid.buttons.items() if made.native.isChecked()}

    desk.hand.key("S")
    desk.hand.key("D")
    assert down() == {"delete"}
    desk.hand.key("P")  # napari's brush
    assert down() == set()
    assert desk.labels.mode == "paint"
    desk.hand.key("G")
    desk.hand.key("I")
    assert down() == {"erase"}
    desk.hand.key("N")
    assert down() == set()
    assert desk.labels.mode == "paint"
    assert desk.labels.selected_label == 5


def test_a_click_tool_lets_the_image_be_moved(desk):
    desk.hand.key("G")
    center = camera_of(desk.viewer).center
    desk.hand.drag(desk.labels, [(15, 15), (40, 50)])
    assert camera_of(desk.viewer).center != center
    assert np.count_nonzero(desk.labels.data == 1) == 14 * 28


def test_the_image_is_moved_while_space_is_held_and_the_tool_stays(desk):
    desk.hand.key("S")
    center = camera_of(desk.viewer).center
    QTest.keyPress(desk.hand.canvas, " ")
    desk.hand.drag(desk.labels, [(4, 20), (26, 40)])
    QTest.keyRelease(desk.hand.canvas, " ")
    settle(0.1)
    assert camera_of(desk.viewer).center != center
    assert numbers(desk) == {0, 1, 2, 3, 4}
    desk.hand.drag(desk.labels, [(4, 20), (26, 20)])
    assert numbers(desk) == {0, 1, 2, 3, 4, 5}


def test_the_tool_stays_in_the_hand_when_the_checked_area_appears(desk):
    desk.hand.key("D")
    desk.hand.click(desk.labels, (15, 70))
    assert len(desk.viewer.layers) == 3
    assert desk.bench.belt.in_hand.name == "delete"
    desk.hand.click(desk.labels, (15, 55))
    assert numbers(desk) == {0, 1, 4}


def test_without_labels_a_tool_makes_them_and_says_that_there_is_no_cell(user):
    user.viewer.add_image(np.zeros((64, 96)))
    correct = user.dock().steps[1]
    user.press(correct.grid.buttons["split"])
    labels = user.bench.workspace.current.labels
    hand = Hand(user.viewer)
    hand.drag(labels, [(4, 20), (26, 20)])
    assert "crosses no cell" in correct.problem.value
    user.press(correct.delete)
    hand.click(labels, (20, 20))
    assert "no cell" in correct.problem.value
    hand.click(labels, (-4, -4))  # beside the image
    assert not labels.data.any()


def test_another_layer_is_selected_then_nothing_happens(desk):
    desk.hand.key("D")
    desk.viewer.layers.selection.active = desk.viewer.layers[0]
    desk.hand.click(desk.labels, (15, 15))
    desk.hand.key("G")
    assert numbers(desk) == {0, 1, 2, 3, 4}
    assert desk.bench.belt.in_hand.name == "delete"


def test_labels_that_are_removed_take_the_tool_along(desk):
    desk.hand.key("D")
    desk.viewer.layers.remove(desk.labels)
    settle(0.2)
    assert desk.bench.belt.in_hand is None
    assert not desk.correct.delete.native.isChecked()
    desk.hand.key("S")


def test_hidden_labels_are_told(desk):
    desk.labels.visible = False
    desk.hand.key("D")
    desk.hand.click(desk.labels, (15, 15))
    assert "hidden" in desk.correct.problem.value
    assert numbers(desk) == {0, 1, 2, 3, 4}


def test_a_rescaled_layer_is_corrected_where_the_mouse_is(user):
    desk = at_desk(user, np.zeros((64, 96)), scale=(0.5, 2.0), translate=(30, -7))
    desk.hand.key("S")
    desk.hand.drag(desk.labels, [(4, 20), (26, 20)])
    assert numbers(desk, np.s_[8:22, 8:19]) == {5}
    desk.hand.key("D")
    desk.hand.drag(desk.labels, [(2, 40), (30, 90)])
    assert numbers(desk) == {0, 1, 4, 5}


def test_one_slice_of_a_stack_or_the_whole_of_it(user):
    desk = at_desk(user, np.zeros((3, 64, 96)), scale=(2, 1, 1))
    desk.viewer.dims.set_current_step(0, 1)
    desk.hand.key("D")
    desk.hand.click(desk.labels, (15, 70))
    assert [numbers(desk, z) for z in range(3)] == [{0, 1, 2, 3, 4}, {0, 1, 2, 4}, {0, 1, 2, 3, 4}]
    desk.correct.through.value = True
    desk.hand.click(desk.labels, (15, 55))
    assert [2 in numbers(desk, z) for z in range(3)] == [False] * 3
    assert desk.item.pair.checked[0][15, 55]
    desk.labels.undo()
    assert [2 in numbers(desk, z) for z in range(3)] == [True] * 3
    desk.hand.key("H")
    desk.hand.click(desk.labels, (41, 9))
    assert (desk.labels.data[:, 47, 15] == 4).all()


def test_whole_stack_is_offered_for_stacks_alone(desk):
    assert not desk.correct.through.native.isVisible()


def test_three_dimensions_and_other_axes_are_told(user):
    desk = at_desk(user, np.zeros((3, 64, 96)))
    desk.hand.key("D")
    desk.viewer.dims.ndisplay = 3
    settle(0.2)
    desk.hand.click(desk.labels, (15, 15))
    assert "2D" in desk.correct.problem.value
    desk.viewer.dims.ndisplay = 2
    desk.viewer.dims.order = (1, 0, 2)
    settle(0.2)
    desk.hand.click(desk.labels, (15, 15))
    assert "axes" in desk.correct.problem.value
    assert numbers(desk) == {0, 1, 2, 3, 4}


def test_full_numbers_are_told(desk):
    desk.item.pair.labels[40, 40] = np.iinfo(np.int32).max
    desk.hand.key("S")
    desk.hand.drag(desk.labels, [(4, 20), (26, 20)])
    assert "No number is left" in desk.correct.problem.value
    assert numbers(desk, CELLS[1]) == {1}
    desk.hand.key("N")
    assert "No number is left" in desk.correct.problem.value
    QApplication.processEvents()
