"""Ctrl+Z in a viewer: which layers have it, whose strokes it takes back, and where one sees it."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_unet.bridge import strokes as strokes_module
from napari_unet.bridge import undo as undo_module
from napari_unet.bridge.undo import REDO, UNDO, UndoKeys
from napari_unet.bridge.view import camera_of
from napari_unet.core.events import TileResult
from napari_unet.session.pair import Pair
from strokes import disc, paint, press, show, wait

CELL = disc((40, 50), 20, 25)


@pytest.fixture
def stack(viewer, workspace):
    """A stack with strokes in its first and its last slice; the last is shown."""
    viewer.add_image(np.zeros((3, 40, 50)))
    item = workspace.open()
    for plane, number in ((0, 3), (2, 5)):
        viewer.dims.set_point(0, plane)
        where = np.zeros((3, 40, 50), bool)
        where[plane] = CELL
        paint(workspace, item.labels, where, number)
    show(workspace)
    return item


def test_it_goes_over_slices_and_takes_the_checked_area_along(viewer, stack):
    pair = stack.pair
    checked = pair.checked.copy()
    press(viewer, UNDO, stack.labels)
    assert not pair.labels[2].any() and not pair.checked[2].any()
    press(viewer, UNDO, stack.labels)
    assert not pair.labels.any() and not pair.checked.any()
    press(viewer, REDO, stack.labels)
    press(viewer, REDO, stack.labels)
    assert (pair.labels[0][CELL] == 3).all() and (pair.labels[2][CELL] == 5).all()
    np.testing.assert_array_equal(pair.checked, checked)


def test_one_goes_where_it_happened(viewer, stack):
    viewer.dims.set_point(0, 1)
    press(viewer, UNDO, stack.labels)
    assert viewer.dims.current_step[0] == 2
    press(viewer, UNDO, stack.labels)
    assert viewer.dims.current_step[0] == 0


def test_the_camera_goes_there_only_if_it_is_out_of_view(viewer, workspace):
    viewer.add_image(np.zeros((2000, 2000)), scale=(2, 2))
    item = workspace.open()
    camera = camera_of(viewer)
    for y in (200, 1800):
        paint(workspace, item.labels, disc((2000, 2000), y, y), y)
    camera.zoom, camera.center = 1.0, (0, 3500.0, 3500.0)
    press(viewer, UNDO, item.labels)  # at 3600, 3600 of the world: it is seen
    assert camera.center[-2:] == (3500.0, 3500.0)
    press(viewer, UNDO, item.labels)
    np.testing.assert_allclose(camera.center[-2:], (400, 400), atol=2)


@pytest.mark.parametrize("of", ["labels", "image", "checked", "nothing"])
def test_it_works_whichever_layer_is_active(viewer, stack, of):
    layer = getattr(stack, of, None)
    assert press(viewer, UNDO, layer)
    assert not stack.pair.labels[2].any()
    assert press(viewer, REDO, layer)
    assert stack.pair.labels[2].any()


def test_other_labels_keep_napari_s_own(viewer, workspace, stack):
    other = viewer.add_labels(np.zeros((3, 40, 50), np.int32))
    other.data_setitem((np.array([1]), np.array([2]), np.array([3])), 8)
    press(viewer, UNDO, other)
    assert not other.data.any() and stack.pair.labels[2].any()


def test_a_stroke_that_was_just_ended_is_the_last_step(viewer, stack):
    stack.labels.data_setitem((np.array([1]), np.array([2]), np.array([3])), 8)
    press(viewer, UNDO, stack.labels)  # nobody has noticed it yet
    assert stack.pair.labels[1].sum() == 0 and stack.pair.labels[2].any()


def test_without_anything_to_undo_nothing_happens(viewer, workspace):
    assert press(viewer, UNDO) and press(viewer, REDO)
    viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    press(viewer, UNDO, item.labels)
    assert not item.pair.labels.any()


def test_painting_the_checked_area_is_a_step(viewer, workspace, stack):
    before = stack.pair.checked.copy()
    stack.checked.data_setitem((np.array([2]), np.array([2]), np.array([3])), 1)
    workspace.notice()
    assert stack.pair.checked[2, 2, 3]
    press(viewer, UNDO, stack.checked)
    np.testing.assert_array_equal(stack.pair.checked, before)


def test_segment_is_a_step_that_brings_back_what_was_there(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    paint(workspace, item.labels, CELL, 9)
    before, told = item.pair.labels.copy(), []
    workspace.session.labels_restored.connect(lambda *what: told.append(what))
    press(viewer, UNDO, item.labels)
    press(viewer, REDO, item.labels)
    assert told == []  # what is doubtful is known
    found = np.where(disc((40, 50), 8, 8, radius=6), 0, 255).astype(np.uint8)
    item.pair.place_tile((), TileResult(0, 0, found[None], 0, 1))
    workspace.session.set_objects(workspace.session.settings, item.pair, ())
    wait(workspace)
    assert item.pair.labels[8, 8] and (item.pair.labels[CELL] == 9).all()
    told.clear()
    press(viewer, UNDO, item.labels)
    np.testing.assert_array_equal(item.pair.labels, before)
    assert told == [(item.pair, ())]  # that is looked through anew


def test_keys_are_given_back(viewer, workspace, stack):
    layers = [stack.labels, stack.checked]
    assert all(layer.keymap for layer in layers) and viewer.keymap
    workspace.close()
    assert not any(layer.keymap for layer in layers) and not viewer.keymap


def test_labels_that_are_put_aside_have_napari_s_own_again(viewer, workspace, stack):
    own = viewer.add_labels(np.zeros((3, 40, 50), np.int32))
    workspace.open(own)
    assert not stack.labels.keymap and own.keymap
    workspace.open(stack.labels)
    assert stack.labels.keymap and not own.keymap
    press(viewer, UNDO, stack.labels)
    assert not stack.pair.labels[2].any()


def test_keys_that_others_use_stay_theirs(viewer, workspace):
    calls = []
    workspace.close()
    viewer.bind_key(UNDO, lambda _: calls.append("viewer's"))
    keys = UndoKeys(viewer, workspace)
    press(viewer, UNDO)
    layer = Labels(np.zeros((4, 4), int))
    layer.bind_key(UNDO, lambda _: calls.append("layer's"))
    keys.follow(layer)
    press(viewer, UNDO, layer)
    keys.close()
    press(viewer, UNDO, layer)
    layer.bind_key(UNDO, None)
    press(viewer, UNDO)
    assert calls == ["viewer's", "layer's", "viewer's"]
    viewer.bind_key(UNDO, None)


def test_keys_that_were_taken_since_are_left_alone(viewer, workspace, stack):
    calls = []
    stack.labels.bind_key(UNDO, lambda _: calls.append(1), overwrite=True)
    workspace.close()
    press(viewer, UNDO, stack.labels)
    assert calls == [1]


def test_napari_s_undo_from_a_script_is_one_more_edit(viewer, workspace, stack):
    stack.labels.undo()
    workspace.notice()
    assert not stack.pair.labels[2].any()
    press(viewer, UNDO, stack.labels)
    assert (stack.pair.labels[2][CELL] == 5).all()


def test_replaced_data_begins_a_new_history(viewer, workspace, stack):
    new = np.zeros((3, 40, 50), np.int32)
    new[1][CELL] = 70
    stack.labels.data = new
    press(viewer, UNDO, stack.labels)
    np.testing.assert_array_equal(stack.labels.data, new)
    assert stack.labels.data[1].max() == 70


def test_a_stroke_is_looked_for_where_napari_says(viewer, workspace, monkeypatch):
    viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    asked = []
    real = Pair.absorb

    def absorb(pair, place, within=None):
        asked.append((place, within))
        return real(pair, place, within)

    monkeypatch.setattr(Pair, "absorb", absorb)
    item.labels.paint((20, 25), 3)
    workspace.notice()
    assert len(asked) == 1 and asked[0][1] is not None
    assert item.pair.checked[20, 25]


@pytest.mark.parametrize("wrong", [None, {(): np.s_[0:2, 0:2]}], ids=["nowhere", "elsewhere"])
def test_where_napari_says_nothing_or_the_wrong_place_the_plane_is_looked_through(
    viewer, workspace, monkeypatch, wrong
):
    viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    monkeypatch.setattr(strokes_module, "painted_in", lambda image, atoms: wrong)
    paint(workspace, item.labels, CELL, 3)
    assert item.pair.checked[CELL].all()


@pytest.mark.parametrize("is_large", [False, True])
def test_labels_are_drawn_anew_only_where_much_has_changed(
    viewer, workspace, stack, monkeypatch, is_large
):
    """On 4096 x 4096 pixels napari takes some tenths of a second for all labels."""
    if is_large:
        monkeypatch.setattr(undo_module, "MOST_PIXELS", 0)
    drawn, parts = [], []
    for layer in (stack.labels, stack.checked):
        layer.events.set_data.connect(lambda event: drawn.append(event.source.unique_id))
    stack.labels.events.labels_update.connect(lambda event: parts.append(event.data.shape))
    stack.labels.brush_size = 4
    stack.labels.paint((2, 5, 5), 8)
    show(workspace)
    assert drawn == [stack.checked.unique_id] and len(parts) == 1
    before = stack.pair.labels.copy()
    press(viewer, UNDO, stack.labels)
    show(workspace)
    assert not (stack.pair.labels == 8).any()
    assert (stack.labels.unique_id in drawn) == is_large
    assert len(parts) == 1 if is_large else max(parts[1]) < 8  # the stroke's box
    press(viewer, REDO, stack.labels)
    np.testing.assert_array_equal(stack.pair.labels, before)


def test_over_channels_every_channel_is_drawn_anew(viewer, workspace):
    viewer.add_image(np.zeros((3, 40, 50)))
    workspace.choose_channels(0, (1,))
    item = workspace.open()
    paint(workspace, item.labels, np.broadcast_to(CELL, (3, 40, 50)), 5)
    show(workspace)
    drawn = []
    item.labels.events.set_data.connect(lambda event: drawn.append(event.source.unique_id))
    press(viewer, UNDO, item.labels)
    show(workspace)
    assert drawn and not item.labels.data.any() and not item.pair.checked.any()
