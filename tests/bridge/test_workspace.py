"""Layers and pairs in step, on a viewer without a window."""

import numpy as np
import pytest

from napari_unet.bridge.view import camera_of
from napari_unet.core.errors import InputError
from napari_unet.core.events import TileResult
from napari_unet.session import pair as pair_module
from strokes import disc, paint, show, wait


def test_newest_image_is_chosen_and_the_next_when_it_goes(viewer, workspace):
    assert workspace.chosen is None
    first = viewer.add_image(np.zeros((8, 9)))
    second = viewer.add_image(np.zeros((8, 9)))
    assert workspace.chosen == second
    viewer.layers.remove(second)
    assert workspace.chosen == first
    viewer.layers.remove(first)
    assert workspace.chosen is None
    with pytest.raises(InputError, match="Open an image"):
        workspace.open()


def test_labels_lie_where_the_image_lies(viewer, workspace):
    placement = {
        "scale": (2.0, 0.5, 0.25),
        "translate": (5.0, 6.0, 7.0),
        "rotate": 20,
        "units": ("second", "um", "um"),
        "axis_labels": ("t", "y", "x"),
    }
    image = viewer.add_image(np.zeros((3, 20, 30)), **placement)
    item = workspace.open()
    paint(workspace, item.labels, np.arange(1800).reshape(3, 20, 30) == 7, 1)
    show(workspace)
    for layer in (item.labels, item.checked):
        for name in ("scale", "translate", "rotate", "shear"):
            np.testing.assert_allclose(getattr(layer, name), getattr(image, name))
        assert layer.units == image.units
        assert layer.axis_labels == image.axis_labels
        corner = (1.0, 19.0, 29.0)
        np.testing.assert_allclose(layer.data_to_world(corner), image.data_to_world(corner))


def test_labels_of_channels_lie_over_each_channel(viewer, workspace):
    image = viewer.add_image(np.zeros((3, 20, 30)), scale=(1, 2, 2))
    workspace.choose_channels(0, (1,))
    item = workspace.open()
    assert item.pair.labels.shape == (20, 30)
    assert item.labels.data.shape == image.data.shape
    viewer.dims.set_point(0, 2)
    paint(workspace, item.labels, np.indices((3, 20, 30))[0] == 2, 5)
    assert (item.pair.labels == 5).all()


def test_a_stroke_grows_the_checked_area_and_shows_it(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    assert item.checked is None
    cell = disc((40, 50), 20, 25)
    paint(workspace, item.labels, cell, 3)
    assert item.pair.checked[cell].all()
    assert not item.pair.checked[:10].any()
    show(workspace)
    assert item.checked.data is item.pair.checked
    names = [layer.name for layer in viewer.layers]
    assert names.index(item.checked.name) == names.index(item.labels.name) - 1


def test_a_stroke_in_a_stack_checks_its_slice_alone(viewer, workspace):
    viewer.add_image(np.zeros((4, 40, 50)))
    item = workspace.open()
    viewer.dims.set_point(0, 2)
    where = np.zeros((4, 40, 50), bool)
    where[2] = disc((40, 50), 20, 25)
    paint(workspace, item.labels, where, 3)
    assert item.pair.checked[2].any()
    assert not item.pair.checked[[0, 1, 3]].any()


def test_painting_in_the_checked_area_itself_counts(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    paint(workspace, item.labels, disc((40, 50), 20, 25), 3)
    show(workspace)
    told = []
    workspace.corrected.connect(lambda: told.append(1))
    edits = item.pair.edits
    paint(workspace, item.checked, disc((40, 50), 5, 5), 1)
    assert told
    assert item.pair.edits > edits


def test_removing_the_checked_area_clears_it_and_keeps_the_labels(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    paint(workspace, item.labels, disc((40, 50), 20, 25), 3)
    show(workspace)
    viewer.layers.remove(item.checked)
    assert not item.pair.has_checked
    assert (item.labels.data == 3).any()


def test_removing_the_checked_area_of_a_stack_is_one_step(viewer, workspace):
    viewer.add_image(np.zeros((3, 40, 50)))
    item = workspace.open()
    paint(workspace, item.labels, np.broadcast_to(disc((40, 50), 20, 25), (3, 40, 50)), 3)
    show(workspace)
    checked = item.pair.checked.copy()
    viewer.layers.remove(item.checked)
    assert not item.pair.has_checked
    item.pair.undo()
    np.testing.assert_array_equal(item.pair.checked, checked)


def test_undo_takes_a_stroke_back_and_redo_brings_it_again(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    cell = disc((40, 50), 20, 25)
    paint(workspace, item.labels, cell, 3)
    assert item.pair.checked_cells == 1
    item.labels.undo()
    assert not item.pair.labels.any()
    workspace.notice()
    assert item.pair.checked_cells == 0
    item.labels.redo()
    assert (item.pair.labels[cell] == 3).all()
    workspace.notice()
    assert item.pair.checked_cells == 1


def test_own_labels_are_checked_and_stay(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)))
    cell = disc((40, 50), 20, 25)
    own = viewer.add_labels(np.where(cell, 200, 0).astype(np.uint8))
    item = workspace.open(own)
    assert item.labels == own
    assert own.data.dtype == np.int32  # room for the next number
    assert item.pair.checked[cell].all()
    background = np.full((1, 40, 50), 255, np.uint8)
    item.pair.place_tile((), TileResult(0, 0, background, 0, 1))
    workspace.session.set_objects(workspace.session.settings, item.pair, ())
    wait(workspace)
    assert (own.data[cell] == 200).all()


def test_own_labels_of_another_size_are_refused(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)))
    own = viewer.add_labels(np.zeros((40, 51), int))
    with pytest.raises(InputError, match="same size"):
        workspace.open(own)
    assert own in viewer.layers


def test_deleting_labels_or_image_forgets_the_pair(viewer, workspace):
    image = viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    paint(workspace, item.labels, disc((40, 50), 20, 25), 3)
    show(workspace)
    viewer.layers.remove(item.labels)
    assert workspace.current is None
    show(workspace)
    assert list(viewer.layers) == [image]
    again = workspace.open()
    assert not again.pair.has_checked
    viewer.layers.remove(image)
    assert workspace.current is None
    assert again.labels in viewer.layers  # the user's work is not thrown away with the image


def test_replaced_label_data_is_followed(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    new = np.where(disc((40, 50), 20, 25), 9, 0).astype(np.int32)
    item.labels.data = new
    assert item.pair.labels is item.labels.data
    assert item.pair.checked[20, 25]


def test_center_follows_camera_and_scale(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)), scale=(2, 2), translate=(10, 20))
    item = workspace.open()
    camera_of(viewer).center = (0, 30, 60)
    assert workspace.center(item) == (10, 20)
    camera_of(viewer).center = (0, 999, -999)
    assert workspace.center(item) == (39, 0)


def test_replaced_label_data_of_few_bits_gets_room(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    item.labels.data = np.where(disc((40, 50), 20, 25), 9, 0).astype(np.uint8)
    assert item.labels.data.dtype == np.int32
    assert item.pair.labels is item.labels.data
    assert workspace.current is item


TOO_LARGE = np.array([[2**31, 2**31 + 5], [0, 3]], np.int64)


def test_numbers_too_large_for_the_labels_are_refused_not_wrapped(viewer, workspace):
    viewer.add_image(np.zeros((2, 2)))
    own = viewer.add_labels(TOO_LARGE)
    with pytest.raises(InputError, match=r"2147483653, .* up to 2147483647"):
        workspace.open(own)
    np.testing.assert_array_equal(own.data, TOO_LARGE)


def test_replaced_data_of_too_large_numbers_stays_as_it_is(viewer, workspace):
    viewer.add_image(np.zeros((2, 2)))
    item = workspace.open()
    item.labels.data = TOO_LARGE
    np.testing.assert_array_equal(item.labels.data, TOO_LARGE)
    assert workspace.current is None  # as with labels of another shape


def test_removing_the_image_stops_its_segmentation(viewer, workspace):
    image = viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    workspace.session.segment(item.pair, [()])
    viewer.layers.remove(image)
    wait(workspace)
    assert not workspace.session.busy
    assert workspace.current is None


def test_labels_that_are_chosen_again_know_what_was_checked(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    cell, guessed = disc((40, 50), 10, 10), disc((40, 50), 30, 40)
    background = np.where(guessed, 0, 255).astype(np.uint8)
    item.pair.place_tile((), TileResult(0, 0, background[None], 0, 1))
    workspace.session.set_objects(workspace.session.settings, item.pair, ())
    wait(workspace)
    paint(workspace, item.labels, cell, 90)
    show(workspace)
    own = viewer.add_labels(np.zeros((40, 50), int))
    other = workspace.open(own)
    assert not other.pair.has_checked
    show(workspace)
    assert len(viewer.layers) == 3  # the checked area went with its labels
    again = workspace.open(item.labels)
    assert again is item
    assert again.pair.checked[cell].all()
    assert not again.pair.checked[guessed].any()  # nobody has looked at those
    show(workspace)
    assert again.checked in viewer.layers


def test_a_stroke_that_nobody_has_noticed_is_kept_when_other_labels_are_chosen(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    own = viewer.add_labels(np.zeros((40, 50), int))
    cell = disc((40, 50), 10, 10)
    item.labels.data_setitem(np.nonzero(cell), 90)
    workspace.open(own)
    again = workspace.open(item.labels)
    assert again.pair.checked[cell].all() and again.pair.history.can_undo


def test_refused_labels_leave_everything_as_it_was(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    paint(workspace, item.labels, disc((40, 50), 10, 10), 90)
    own = viewer.add_labels(np.zeros((40, 51), int))
    with pytest.raises(InputError, match="same size"):
        workspace.open(own)
    assert workspace.current is item
    assert item.pair.has_checked


def test_a_stroke_in_a_stack_too_large_to_look_through_is_noticed(viewer, workspace, monkeypatch):
    monkeypatch.setattr(pair_module, "SMALL", 0)
    viewer.add_image(np.zeros((3, 40, 50)))
    item = workspace.open()
    viewer.dims.set_point(0, 1)
    where = np.zeros((3, 40, 50), bool)
    where[1] = disc((40, 50), 20, 25)
    paint(workspace, item.labels, where, 3)
    assert item.pair.checked[1][where[1]].all()
    assert item.pair.checked_cells == 1
