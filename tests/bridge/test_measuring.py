"""Measured cells of a labels layer, in a viewer without a window."""

import time

import numpy as np
import pytest

from napari_unet.bridge.measuring import Measuring
from napari_unet.core.errors import InputError
from napari_unet.session.measures import Scope
from person import is_seen, look_away

PLANE = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)
LABELS = np.zeros((20, 30), np.int32)
LABELS[2:6, 3:9] = 4
LABELS[10:15, 20:26] = 7


@pytest.fixture
def measuring(workspace, monkeypatch):
    monkeypatch.setattr("napari_unet.bridge.measuring.QUIET_S", 0)
    measuring = Measuring(workspace)
    yield measuring
    measuring.close()


def until_done(measuring):
    end = time.monotonic() + 30
    measuring.pump()
    while measuring.busy or measuring.is_stale:
        assert time.monotonic() < end
        time.sleep(0.002)
        measuring.pump()


@pytest.fixture
def layers(viewer):
    where = {"scale": (0.5, 0.25), "units": "um"}
    return viewer.add_image(PLANE, **where), viewer.add_labels(LABELS.copy(), **where)


def test_a_table_in_micrometres_is_in_the_features(measuring, layers):
    image, labels = layers
    measuring.follow(labels, (image,))
    until_done(measuring)
    assert measuring.table["label"].tolist() == [4, 7]
    assert measuring.table["area"].tolist() == [24 / 8, 30 / 8]
    assert measuring.table["mean_0"][0] == PLANE[2:6, 3:9].mean()
    assert labels.features["index"].tolist() == [4, 7]
    assert labels.features["area"].tolist() == [3.0, 3.75]
    assert "area: 3.75" in labels.get_status((12 * 0.5, 22 * 0.25), world=True)["value"]


def test_own_features_stay(measuring, layers):
    image, labels = layers
    labels.features = {"index": [7, 9], "treated": ["yes", "no"]}
    measuring.follow(labels, (image,))
    until_done(measuring)
    labels.data_setitem((np.array([0]), np.array([0])), 9)
    until_done(measuring)
    found = labels.features.set_index("index")
    assert found.index.tolist() == [4, 7, 9]
    assert found.loc[[7, 9], "treated"].tolist() == ["yes", "no"]
    assert found.loc[9, "area"] == 1 / 8


def test_what_is_painted_undone_or_replaced_is_measured_again(measuring, layers):
    image, labels = layers
    measuring.follow(labels, (image,))
    until_done(measuring)
    labels.data_setitem((np.array([6]), np.array([3])), 4)
    assert measuring.is_stale
    until_done(measuring)
    assert measuring.table["area"][0] == 25 / 8
    labels.undo()
    assert measuring.is_stale
    until_done(measuring)
    assert measuring.table["area"][0] == 24 / 8
    labels.data = np.where(LABELS == 4, 0, LABELS)
    assert measuring.is_stale
    until_done(measuring)
    assert measuring.table["label"].tolist() == [7]


def test_edits_of_the_loop_are_measured_again(measuring, workspace, layers):
    image, labels = layers
    item = workspace.open(labels)
    measuring.follow(labels, (image,))
    until_done(measuring)
    item.pair.labels[LABELS == 7] = 0
    workspace.labels_changed(item)
    until_done(measuring)
    assert measuring.table["label"].tolist() == [4]


def test_colours_of_a_column_and_back(measuring, layers):
    image, labels = layers
    before = labels.colormap
    measuring.follow(labels, (image,))
    until_done(measuring)
    measuring.colour("area")
    assert not measuring.is_stale  # a colour is no change
    small, large = labels.get_color(4), labels.get_color(7)
    assert small[2] > small[1] and large[1] > large[2]  # viridis: from violet to yellow
    measuring.colour("")
    assert labels.colormap == before


def test_a_row_brings_its_cell_into_view(measuring, layers, viewer):
    image, labels = layers
    measuring.follow(labels, (image,))
    until_done(measuring)
    look_away(viewer, (12 * 0.5, 22.5 * 0.25))
    measuring.go_to(1)
    assert is_seen(viewer, (12 * 0.5, 22.5 * 0.25))
    assert labels.selected_label == 7 and not measuring.is_stale
    ring = viewer.layers[-1]
    low, high = ring.data[0].min(axis=0), ring.data[0].max(axis=0)
    assert (low < (10, 20)).all() and (high > (15, 26)).all()


def test_planes_of_a_stack(measuring, viewer):
    stack = np.stack([LABELS, np.roll(LABELS, 3, axis=0) * 2])
    labels = viewer.add_labels(stack)
    measuring.follow(labels, ())
    assert measuring.scopes() == [Scope.SHOWN, Scope.PLANES, Scope.VOLUMES]
    viewer.dims.set_point(0, 0)
    until_done(measuring)
    assert measuring.table["label"].tolist() == [4, 7]
    viewer.dims.set_point(0, 1)
    until_done(measuring)
    assert measuring.table["label"].tolist() == [8, 14]
    measuring.take(Scope.PLANES)
    measuring.measure()
    until_done(measuring)
    assert measuring.table["z"].tolist() == [0, 0, 1, 1]
    viewer.dims.set_point(0, 0)
    assert not measuring.is_stale
    measuring.go_to(3)
    assert viewer.dims.current_step[0] == 1
    assert measuring.row_of(14, (1,)) == 3 and measuring.row_of(14, (0,)) is None


def test_a_whole_stack_is_only_marked_out_of_date(measuring, viewer):
    labels = viewer.add_labels(np.stack([LABELS, LABELS]))
    measuring.follow(labels, ())
    measuring.take(Scope.PLANES)
    until_done(measuring)
    assert "area" not in labels.features  # a number is two objects
    labels.data_setitem((np.array([0]), np.array([0]), np.array([0])), 1)
    measuring.pump()
    assert measuring.is_stale and not measuring.busy
    measuring.measure()
    until_done(measuring)
    viewer.dims.set_point(0, 1 - viewer.dims.current_step[0])
    assert not measuring.is_stale
    labels.undo()
    assert measuring.is_stale
    viewer.dims.set_point(0, 1 - viewer.dims.current_step[0])


def test_axes_that_are_named_tell_time_from_depth(measuring, viewer):
    labels = viewer.add_labels(np.stack([LABELS, LABELS]), axis_labels=("t", "y", "x"))
    measuring.follow(labels, ())
    assert Scope.VOLUMES not in measuring.scopes()
    until_done(measuring)
    assert "t" in measuring.table


def test_labels_over_channels_are_measured_in_all_of_them(measuring, workspace, viewer):
    image = viewer.add_image(np.stack([PLANE, PLANE * 2]), axis_labels=("c", "y", "x"))
    item = workspace.open()
    item.pair.labels[...] = LABELS
    measuring.follow(item.labels, tuple(measuring.images_of(item.labels)))
    assert measuring.images == (image,)
    until_done(measuring)
    assert np.allclose(measuring.table["mean_1"], measuring.table["mean_0"] * 2)
    measuring.go_to(0)
    assert workspace.viewer.dims.current_step[0] == 0


def test_images_of_another_size_are_not_offered(measuring, layers, viewer):
    image, labels = layers
    viewer.add_image(np.zeros((5, 5)))
    same = viewer.add_image(PLANE[::-1].copy())
    assert measuring.images_of(labels) == [same, image]
    with pytest.raises(InputError, match="Nothing is measured"):
        measuring.written()


def test_a_click_on_a_cell_tells_its_row(measuring, layers, viewer):
    image, labels = layers
    measuring.follow(labels, (image,))
    until_done(measuring)
    told = []
    measuring.pointed.connect(told.append)
    click(viewer, (12 * 0.5, 22 * 0.25))
    click(viewer, (0, 0))
    assert told == [1]
    viewer.layers.selection.active = labels
    labels.mode = "paint"
    click(viewer, (12 * 0.5, 22 * 0.25))
    assert told == [1]


def click(viewer, position):
    class Event:
        button, pos = 1, (5, 5)
        view_direction, dims_displayed = None, [0, 1]
        type = "mouse_press"

    Event.position = position
    (callback,) = [one for one in viewer.mouse_drag_callbacks if "Measuring" in one.__qualname__]
    for _ in callback(viewer, Event):
        Event.type = "mouse_release"
