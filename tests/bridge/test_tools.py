"""Tools on a viewer without a window, where gestures are given as they are."""

import numpy as np
import pytest

from faults.desk import Mouse
from napari_unet.bridge import tools
from napari_unet.bridge.gestures import Gesture
from napari_unet.bridge.tools import Target
from napari_unet.bridge.undo import UNDO
from napari_unet.core.errors import InputError
from strokes import press


def click(y, x, place=(), **given):
    return Gesture(place, np.array([[y, x]], float), **given)


def drag(*points, place=()):
    return Gesture(place, np.array(points, float))


def opened(viewer, workspace, shape):
    """Two cells that touch, in every plane."""
    viewer.add_image(np.zeros(shape))
    item = workspace.open()
    item.pair.labels[..., 5:15, 5:15] = 1
    item.pair.labels[..., 5:15, 15:25] = 2
    item.pair.absorb_all()
    item.pair.uncheck(workspace.shown(item))
    return item


@pytest.mark.parametrize(
    ("act", "gesture"),
    [
        (tools.split_along, drag((2, 10), (18, 10))),
        (tools.merge, drag((10, 10), (10, 20))),
        (tools.delete, click(10, 10)),
        (tools.delete, drag((2, 2), (18, 18))),
        (tools.relabel, click(10, 10)),
        (tools.grow, click(10, 10)),
        (tools.shrink, click(10, 10)),
        (tools.smooth, click(10, 10)),
        (tools.outline, drag((20, 5), (20, 20), (35, 20), (35, 5))),
    ],
)
def test_each_tool_is_one_step_and_grows_the_checked_area(viewer, workspace, act, gesture):
    item = opened(viewer, workspace, (40, 50))
    before = item.pair.labels.copy()
    act(Target(workspace, item), gesture)
    changed = item.pair.labels != before
    assert changed.any()
    assert item.pair.checked[changed].all()
    assert item.pair.labels is item.labels.data
    after = item.pair.labels.copy()
    item.labels.undo()
    np.testing.assert_array_equal(item.pair.labels, before)
    item.labels.redo()
    np.testing.assert_array_equal(item.pair.labels, after)


@pytest.mark.parametrize(
    ("act", "gesture"),
    [
        (tools.delete, click(30, 40)),
        (tools.delete, click(-3, 400)),
        (tools.delete, drag((30, 30), (35, 45))),
        (tools.delete, drag((30, 30), (-90, 4000))),
        (tools.fill_holes, click(30, 40)),
        (tools.split_touching, click(30, 40)),
        (tools.split_along, click(10, 10)),
        (tools.merge, click(10, 10)),
        (tools.outline, click(30, 30)),
        (tools.relabel, click(10, 10, with_shift=True)),
        (tools.accept, click(30, 40)),
        (tools.unaccept, click(30, 40)),
    ],
)
def test_a_gesture_that_means_nothing_is_one_sentence(viewer, workspace, act, gesture):
    item = opened(viewer, workspace, (40, 50))
    item.labels.selected_label = 0
    before = item.pair.labels.copy()
    with pytest.raises(InputError, match=r"^[A-Z].*\.$"):
        act(Target(workspace, item), gesture)
    np.testing.assert_array_equal(item.pair.labels, before)


def test_holes_of_a_filled_cell_are_no_change(viewer, workspace):
    item = opened(viewer, workspace, (40, 50))
    tools.fill_holes(Target(workspace, item), click(10, 10))
    assert not item.pair.has_checked


def test_an_edit_over_channels_is_in_all_of_them(viewer, workspace):
    viewer.add_image(np.zeros((3, 40, 50)))
    workspace.choose_channels(0, (1,))
    item = workspace.open()
    item.pair.labels[20:30, 30:40] = 4
    tools.shrink(Target(workspace, item), click(25, 35))
    assert np.count_nonzero(item.pair.labels) == 64
    assert (item.labels.data[:, 21:29, 31:39] == 4).all()


def test_a_stack_is_changed_plane_by_plane_and_undone_at_once(viewer, workspace):
    item = opened(viewer, workspace, (4, 40, 50))
    before = item.pair.labels.copy()
    item.pair.labels[2] = 0  # the cells end here
    before[2] = 0
    item.pair.absorb_all()
    target = Target(workspace, item, through_stack=True)
    tools.merge(target, drag((10, 20), (10, 10), place=(0,)))
    for place, numbers in enumerate([{0, 2}, {0, 2}, {0}, {0, 1, 2}]):
        assert set(np.unique(item.pair.labels[place])) == numbers
    item.labels.undo()
    np.testing.assert_array_equal(item.pair.labels, before)


def test_own_labels_of_few_bits_take_large_numbers(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)))
    own = np.zeros((40, 50), np.uint8)
    own[5:15, 5:15] = 255
    item = workspace.open(viewer.add_labels(own))
    tools.relabel(Target(workspace, item), click(10, 10))
    assert set(np.unique(item.labels.data)) == {0, 256}


@pytest.mark.parametrize("left", [0, 1])
def test_numbers_that_labels_cannot_hold_are_refused_and_nothing_is_written(
    viewer, workspace, left
):
    item = opened(viewer, workspace, (40, 50))
    item.pair.labels[0, 0] = np.iinfo(np.int32).max - left
    before = item.pair.labels.copy()
    with pytest.raises(InputError, match="No number is left"):  # a line through two cells
        tools.split_along(Target(workspace, item), drag((10, 2), (10, 30)))
    np.testing.assert_array_equal(item.pair.labels, before)


@pytest.mark.parametrize("by_script", [False, True])
def test_what_another_plugin_paints_in_answer_to_a_tool_is_noticed(viewer, workspace, by_script):
    item = opened(viewer, workspace, (40, 50))

    def answer(event):
        item.labels.events.paint.disconnect(answer)
        if by_script:
            item.labels.data[32:36, 40:44] = 7
            item.labels.refresh()
        else:
            item.labels.data_setitem(tuple(np.mgrid[32:36, 40:44].reshape(2, -1)), 7)

    item.labels.events.paint.connect(answer)
    tools.grow(Target(workspace, item), click(10, 10))
    workspace.notice()
    assert item.pair.checked[33, 41] and (item.pair.ledger.labels == item.labels.data).all()


@pytest.mark.parametrize("hasty", [False, True])
def test_a_stroke_that_begins_before_the_last_one_was_noticed_is_another_edit(
    viewer, workspace, hasty
):
    item = opened(viewer, workspace, (40, 50))
    item.labels.brush_size = 9
    for mode, value in (("paint", 7), ("erase", 7)):
        item.labels.mode, item.labels.selected_label = mode, value
        mouse = Mouse()
        mouse.dims_displayed = [0, 1]
        mouse.drag(item.labels, [(30.0, 30.0), (30.0, 40.0)])
        if not hasty:
            workspace.notice()
    workspace.notice()
    assert item.pair.checked[30, 35]  # a cell was there, and was taken away: there is none
    press(viewer, UNDO, item.labels)
    assert item.labels.data[30, 35] == 7


def test_what_a_script_writes_beside_a_stroke_before_it_was_noticed_is_checked(viewer, workspace):
    viewer.add_image(np.zeros((40, 40)))
    item = workspace.open()
    item.labels.data_setitem((np.array([5]), np.array([5])), 1)
    item.labels.data[4:8, 5:30] = 2
    item.labels.refresh()
    workspace.notice()
    assert item.pair.checked[4:8, 5:30].all()
    np.testing.assert_array_equal(item.pair.ledger.labels, item.pair.labels)
