"""How wide a pixel is, where the layer says so, and sizes that belong to an image."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image as ImageLayer

from napari_unet.bridge.layers import read_image
from napari_unet.bridge.units import pixel_size_of

PLANE = np.zeros((8, 10), np.uint8)


@pytest.mark.parametrize(
    ("data", "how", "expected"),
    [
        (PLANE, {}, None),
        (PLANE, {"scale": (0.5, 0.5)}, None),
        (PLANE, {"scale": (0.5, 0.5), "units": "um"}, (0.5, "µm")),
        (PLANE, {"scale": (-0.5, 0.5), "units": ("um", "um")}, (0.5, "µm")),
        (PLANE, {"scale": (500, 0.5), "units": ("nm", "um")}, (0.5, "µm")),
        (PLANE, {"scale": (0.2, 0.8), "units": ("um", "um")}, (0.4, "µm")),
        (PLANE, {"scale": (1, 1), "units": ("pixel", "um")}, None),
        (PLANE, {"scale": (1, 1), "units": ("s", "s")}, None),
        (np.zeros((2, 8, 10)), {"scale": (3, 0.1, 0.1), "units": ("s", "mm", "mm")}, (0.1, "mm")),
        (np.zeros((8, 10, 3), np.uint8), {"scale": (2, 2), "units": "nm"}, (2.0, "nm")),
    ],
)
def test_pixel_size(data, how, expected):
    layer = ImageLayer(data, **how)
    size = pixel_size_of(layer)
    assert size == (None if expected is None else (pytest.approx(expected[0]), expected[1]))
    assert read_image(layer, ()).pixel_size == size


def test_a_size_stays_with_its_image(workspace, viewer):
    first, second = viewer.add_image(PLANE, name="first"), viewer.add_image(PLANE, name="second")
    workspace.size(first).type(30.0)
    workspace.choose(first)
    assert workspace.open().pair.size is workspace.size(first)
    own = viewer.add_labels(np.zeros(PLANE.shape, np.int32))
    assert workspace.open(own).pair.size.is_typed
    workspace.choose(second)
    assert not workspace.open().pair.size.is_typed
    viewer.layers.remove(first)
    viewer.layers.append(first)
    assert not workspace.size(first).is_typed


def test_a_scale_that_is_given_later_is_told(workspace, viewer):
    layer, told = viewer.add_image(PLANE), []
    workspace.layers_changed.connect(lambda: told.append(pixel_size_of(layer)))
    layer.scale = (0.5, 0.5)
    layer.units = ("um", "um")
    assert told == [None, (0.5, "µm")]
    viewer.layers.remove(layer)
    told.clear()
    layer.scale = (2, 2)
    assert told == []
