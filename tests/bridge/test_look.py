"""The camera goes to what is worth a look, whatever the image's axes, and brushes stay in hand."""

import numpy as np
import pytest
from napari.layers import Shapes

from napari_unet.bridge.look import Ring
from napari_unet.bridge.view import camera_of, visible_box
from napari_unet.core.uncertainty import Doubt

BOX = (slice(100, 120), slice(300, 330))
DOUBT = Doubt(3, 0.9, "odd", (109.5, 314.5), BOX)


@pytest.fixture
def ring(viewer):
    return Ring(viewer)


def rings(viewer):
    return [layer for layer in viewer.layers if isinstance(layer, Shapes)]


def drawn(viewer):
    """Rows and columns that the one ring spans."""
    (layer,) = rings(viewer)
    (points,) = layer.data
    return points[:, -2].min(), points[:, -2].max(), points[:, -1].min(), points[:, -1].max()


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_it_is_in_the_middle_with_a_ring_around(viewer, workspace, ring, scale):
    viewer.add_image(np.zeros((400, 500)), scale=(scale, scale))
    camera_of(viewer).zoom = 4 / scale
    item = workspace.open()
    workspace.select(item)
    ring.show(item, (), DOUBT)
    assert np.allclose(camera_of(viewer).center[-2:], (109.5 * scale, 314.5 * scale))
    top, bottom, left, right = drawn(viewer)
    assert top < 100 and bottom > 119 and left < 300 and right > 329
    assert bottom - top < 50 and right - left < 60
    assert viewer.layers.selection.active is item.labels
    rows, columns = visible_box(viewer, item.image, item.pair.image)
    assert rows.start < 100 and rows.stop > 120 and columns.start < 300 and columns.stop > 330


def test_the_zoom_stays_where_it_shows_the_object_well(viewer, workspace, ring):
    viewer.add_image(np.zeros((400, 500)))
    item = workspace.open()
    camera_of(viewer).zoom = 3
    ring.show(item, (), DOUBT)
    assert camera_of(viewer).zoom == 3
    for zoom in (0.01, 500):
        camera_of(viewer).zoom = zoom
        ring.show(item, (), DOUBT)
        assert 1 < camera_of(viewer).zoom < 30


def test_no_more_is_seen_beside_the_image_than_the_ring_needs(viewer, workspace, ring):
    """The canvas has 800 x 600 pixels; the object lies in the upper right corner of 400 x 500."""
    viewer.add_image(np.zeros((400, 500)))
    item = workspace.open()
    corner = Doubt(3, 0.9, "odd", (29.5, 489.5), (slice(0, 60), slice(480, 500)))
    camera_of(viewer).zoom = 4
    ring.show(item, (), corner)
    top, _, _, right = drawn(viewer)
    assert np.allclose(camera_of(viewer).center[-2:], (top + 800 / 4 / 2, right - 600 / 4 / 2))
    camera_of(viewer).zoom = 1  # all is seen, in the middle
    ring.show(item, (), corner)
    assert np.allclose(camera_of(viewer).center[-2:], ((top + 399) / 2, right / 2))


def test_slices_move_and_the_channel_stays(viewer, workspace, ring):
    viewer.add_image(np.zeros((4, 3, 400, 500)))
    workspace.choose_channels(1, (0,))
    item = workspace.open()
    viewer.dims.set_point(1, 2)
    ring.show(item, (3,), DOUBT)
    assert viewer.dims.point[:2] == (3, 2)
    (points,) = rings(viewer)[0].data
    assert np.all(points[:, :2] == (3, 2))


def test_there_is_one_ring_at_a_time_and_none_at_the_end(viewer, workspace, ring):
    viewer.add_image(np.zeros((400, 500)))
    item = workspace.open()
    ring.show(item, (), DOUBT)
    ring.show(item, (), Doubt(0, 0.8, "missed", (5, 5), (slice(0, 11), slice(0, 11))))
    assert drawn(viewer)[0] < 0
    assert not rings(viewer)[0].editable
    workspace.select(item)
    ring.remove()
    assert rings(viewer) == [] and viewer.layers.selection.active is item.labels
    ring.show(item, (), DOUBT)
    viewer.layers.remove(rings(viewer)[0])  # by the user
    ring.remove()
    ring.show(item, (), DOUBT)
    assert len(rings(viewer)) == 1


def test_another_layer_of_more_dimensions_does_not_matter(viewer, workspace, ring):
    viewer.add_image(np.zeros((5, 400, 500)))
    viewer.add_image(np.zeros((400, 500)))
    camera_of(viewer).zoom = 4
    item = workspace.open()
    ring.show(item, (), DOUBT)
    assert np.allclose(camera_of(viewer).center[-2:], (109.5, 314.5))
