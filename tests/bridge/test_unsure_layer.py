"""The layer that glows where averaged versions differ."""

import numpy as np
import pytest

from napari_unet.bridge import unsure_layer
from napari_unet.bridge.unsure_layer import UnsureLayers
from napari_unet.core.events import TileResult


@pytest.fixture
def layers(viewer, workspace, monkeypatch):
    monkeypatch.setattr(unsure_layer, "DRAW_EVERY_S", -1.0)
    layers = UnsureLayers(viewer, workspace.session, workspace)
    yield layers
    layers.close()


def tile(shape, deviation):
    return TileResult(0, 0, np.zeros((2, *shape), np.float32), 0, 1, deviation)


def told(workspace, layers, item, place):
    workspace.session.labels_changed.emit(item.pair, place)
    layers.flush()


def test_it_shows_percent_where_the_image_lies_below_the_labels(viewer, workspace, layers):
    image = viewer.add_image(np.zeros((20, 30)), scale=(2, 2), name="cells")
    item = workspace.open()
    deviation = np.zeros((10, 15), np.float32)  # as the network sees it, at half the size
    deviation[2, 3] = 0.5
    item.pair.begin_plane((), (10, 15), 40.0)
    item.pair.place_tile((), tile((10, 15), deviation))
    workspace.select(item)
    told(workspace, layers, item, ())
    assert [layer.name for layer in viewer.layers] == ["cells", "cells unsure", "cells labels"]
    shown = viewer.layers["cells unsure"]
    assert shown.data.shape == (20, 30) and (shown.data[4:6, 6:8] == 50).all()
    assert shown.data.sum() == 200
    np.testing.assert_array_equal(shown.scale, image.scale)
    assert viewer.layers.selection.active == item.labels
    assert workspace.chosen == image and workspace.images() == [image]


def test_without_averages_there_is_none_and_an_old_one_goes_dark(viewer, workspace, layers):
    viewer.add_image(np.zeros((3, 20, 30)), name="stack")
    item = workspace.open()
    item.pair.place_tile((1,), tile((20, 30), None))
    told(workspace, layers, item, (1,))
    assert "stack unsure" not in viewer.layers
    item.pair.place_tile((1,), tile((20, 30), np.full((20, 30), 0.2, np.float32)))
    told(workspace, layers, item, (1,))
    data = viewer.layers["stack unsure"].data
    assert (data[1] == 20).all() and not data[[0, 2]].any()
    item.pair.begin_plane((1,), (20, 30), None)
    item.pair.place_tile((1,), tile((20, 30), None))
    told(workspace, layers, item, (1,))
    assert not data.any()


def test_one_that_was_removed_comes_with_the_next_tile(viewer, workspace, layers):
    viewer.add_image(np.zeros((20, 30)), name="cells")
    item = workspace.open()
    for _ in range(2):
        item.pair.place_tile((), tile((20, 30), np.full((20, 30), 0.1, np.float32)))
        told(workspace, layers, item, ())
        viewer.layers.remove("cells unsure")
    assert workspace.current is item
