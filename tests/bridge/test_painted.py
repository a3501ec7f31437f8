"""Where napari says that something was painted, in the planes of the labels."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_unet.bridge.painted import painted_in
from napari_unet.session.image import Image


def image_of(shape, axes):
    return Image("image", np.zeros(shape, np.uint8), axes)


def told(layer, act):
    """The value of napari's event."""
    values = []
    layer.events.paint.connect(lambda event: values.append(event.value))
    act(layer)
    [value] = values
    return value


def brush(layer):
    layer.brush_size = 4
    with layer.block_history():
        layer.paint((10, 12), 3)
        layer.paint((20, 30), 3)


@pytest.mark.parametrize(
    "act",
    [
        brush,
        lambda layer: layer.fill((5, 5), 3),
        lambda layer: layer.paint_polygon([(3, 3), (3, 20), (25, 8)], 3),
        lambda layer: layer.data_setitem((np.array([4, 9]), np.array([30, 2])), 3),
    ],
    ids=["brush", "fill", "polygon", "data_setitem"],
)
def test_each_of_napari_s_tools_tells_a_box_around_all_it_painted(act):
    layer = Labels(np.zeros((40, 50), np.int32))
    painted = painted_in(image_of((40, 50), "YX"), told(layer, act))
    [(place, box)] = painted.items()
    assert place == () and layer.data.any()
    inside = np.zeros((40, 50), bool)
    inside[box] = True
    assert inside[layer.data != 0].all()


def test_each_plane_that_was_painted_in_depth_is_told():
    layer = Labels(np.zeros((5, 40, 50), np.int32))
    layer.n_edit_dimensions = 3
    layer.brush_size = 3
    painted = painted_in(
        image_of((5, 40, 50), "ZYX"), told(layer, lambda one: one.paint((2, 9, 9), 4))
    )
    assert set(painted) == {(z,) for z in np.flatnonzero(layer.data.any(axis=(1, 2)))}


@pytest.mark.parametrize(
    ("shape", "axes", "where", "expected"),
    [
        ((3, 40, 50), "CYX", np.s_[1:2, 5:9, 7:8], {(): np.s_[5:9, 7:8]}),
        ((40, 50, 3), "YXC", np.s_[5:9, 7:8], {(): np.s_[5:9, 7:8]}),
        ((2, 3, 9, 9), "ZCYX", np.s_[1:2, 0:1, 5:9, 7:8], {(1,): np.s_[5:9, 7:8]}),
        ((9, 9), "YX", (np.array([4, 2]), np.array([[1], [7]])), {(): np.s_[2:5, 1:8]}),
        ((2, 9, 9), "ZYX", (1, np.array([4]), np.array([1])), {(1,): np.s_[4:5, 1:2]}),
    ],
)
def test_channels_are_left_out_and_indices_are_boxes(shape, axes, where, expected):
    assert painted_in(image_of(shape, axes), [(where, "old", 3)]) == expected


def test_parts_of_a_stroke_are_one_box():
    atoms = [((slice(2, 4), slice(3, 5)), None, None), ((slice(8, 9), slice(1, 2)), None, None)]
    assert painted_in(image_of((9, 9), "YX"), atoms) == {(): np.s_[2:9, 1:5]}


@pytest.mark.parametrize(
    "atom",
    [
        None,
        (),
        ("text", 1, 2),
        ((slice(0, 2),), 1, 2),
        ((slice(None), slice(0, 2)), 1, 2),
        ((slice(0, 4, 2), slice(0, 2)), 1, 2),
        ((np.array([-1]), np.array([0])), 1, 2),
        ((np.zeros((9, 9), bool), np.array([0])), 1, 2),
        ((np.array([], int), np.array([], int)), 1, 2),
        ((slice(-3, -1), slice(0, 2)), 1, 2),
    ],
    ids=repr,
)
def test_what_it_does_not_understand_it_does_not_tell(atom):
    assert painted_in(image_of((9, 9), "YX"), [atom]) is None
