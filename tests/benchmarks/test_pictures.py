"""Rescaled pictures: image and truth stay one."""

import numpy as np
import pytest

from benchmarks.pictures import Picture, rescaled
from napari_unet.sample_data import nuclei


@pytest.fixture(scope="module")
def picture():
    image, truth = nuclei((120, 160), seed=0)
    return Picture("drawn", image, truth)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 3.3])
def test_objects_grow_with_the_image(picture, scale):
    after = rescaled(picture, scale)
    assert after.image.shape == after.truth.shape == (round(120 * scale), round(160 * scale))
    assert after.diameter == pytest.approx(scale * picture.diameter, rel=0.05)
    inside = [np.mean(one.image[one.truth > 0]) for one in (picture, after)]
    assert inside[1] == pytest.approx(inside[0], rel=0.05)


def test_the_middle_is_kept_where_the_image_would_become_too_large(picture):
    after = rescaled(picture, 2.0, largest=100)
    assert after.truth.shape == (100, 100)
    np.testing.assert_array_equal(after.truth[::2, ::2], picture.truth[35:85, 55:105])
