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


@pytest.mark.parametrize("corner", [np.s_[:9, :9], np.s_[-9:, -9:]])
def test_what_would_become_too_large_is_cut_to_a_part_with_objects(corner):
    truth = np.zeros((120, 160), np.int32)
    truth[corner] = 5
    after = rescaled(Picture("one", truth * 10, truth), 2.0, largest=100)
    assert after.truth.shape == (100, 100)
    assert np.count_nonzero(after.truth) == 4 * 81
