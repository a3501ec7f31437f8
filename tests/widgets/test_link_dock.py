"""Objects are linked in napari: a new layer in which each has one number, and its way."""

import sys

import numpy as np
import pytest
from napari.layers import Labels, Tracks

from person import PLUGIN, settle, wait_until


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


def opened(viewer):
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Link objects")
    settle(0.1)
    return dock


def linked(viewer, dock, count=1):
    layers = len(viewer.layers)
    assert dock.link.native.isEnabled(), dock.link.tooltip
    dock.link.native.click()
    wait_until(lambda: len(viewer.layers) == layers + count)
    settle(0.05)


def stack():
    labels = np.zeros((3, 30, 40), np.int32)
    for z, (one, other) in enumerate([(1, 2), (2, 1), (1, 2)]):
        labels[z, 4:10, 4 + 2 * z : 12 + 2 * z] = one
        labels[z, 20:26, 20:30] = other
    return labels


def test_slices_get_one_number_an_object(viewer):
    over = viewer.add_labels(stack(), name="cells", scale=(2, 0.5, 0.5))
    dock = opened(viewer)
    assert not dock.along.visible and not dock.distance.visible and dock.least.visible
    linked(viewer, dock)
    layer = viewer.layers["cells linked"]
    assert isinstance(layer, Labels) and tuple(layer.scale) == (2, 0.5, 0.5)
    assert [int(layer.data[z, 5, 9]) for z in range(3)] == [1, 1, 1]
    assert [int(layer.data[z, 22, 22]) for z in range(3)] == [2, 2, 2]
    assert dock.note.value.startswith("2 objects in all. “cells” is as it was")
    assert not over.visible
    np.testing.assert_array_equal(over.data, stack())  # the user's own labels stay


def test_a_movie_is_followed_with_tracks(viewer):
    pytest.importorskip("laptrack", reason="the extra tracking is not installed")
    labels = np.zeros((3, 30, 30), np.int32)
    for t, places in enumerate([[(12, 2)], [(12, 8)], [(8, 14), (16, 14)]]):
        for number, (y, x) in enumerate(places, start=1):
            labels[t, y : y + 3, x : x + 3] = number
    viewer.add_labels(labels, name="cells")
    dock = opened(viewer)
    dock.by.value = "motion"
    assert dock.distance.visible and not dock.least.visible
    dock.distance.value, dock.divisions.value = 9, True
    linked(viewer, dock, count=2)
    tracks = viewer.layers["cells tracks"]
    assert isinstance(tracks, Tracks)
    assert tracks.graph == {2: [1], 3: [1]}
    np.testing.assert_allclose(tracks.data[0], [1, 0, 13, 3])
    assert "2 of them daughters" in dock.note.value


def test_without_the_library_it_is_said_how_to_get_it(viewer, monkeypatch):
    monkeypatch.setitem(sys.modules, "laptrack", None)
    viewer.add_labels(stack())
    dock = opened(viewer)
    dock.by.value = "motion"
    dock.link.native.click()
    wait_until(lambda: "laptrack" in dock.note.value)


def test_there_must_be_labels_of_a_stack(viewer):
    dock = opened(viewer)
    assert not dock.link.native.isEnabled() and "stack or a movie" in dock.note.value
    viewer.add_labels(stack()[0])
    assert not dock.link.native.isEnabled()
    layer = viewer.add_labels(np.stack([stack(), stack()]), name="deep")
    assert dock.link.native.isEnabled() and not dock.note.value
    assert dock.along.visible and dock.along.value == "Z"
    viewer.layers.remove(layer)
    assert not dock.link.native.isEnabled()
