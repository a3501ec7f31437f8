import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_unet.core import smooth as module
from napari_unet.core.smooth import reach_of, smooth


@pytest.mark.parametrize("sigma", [1.0, 1.5])
@pytest.mark.parametrize("shape", [(50, 70), (3, 40), (40, 2), (1, 1), (9, 300)])
def test_it_is_the_gaussian_of_scipy(shape, sigma, monkeypatch):
    monkeypatch.setattr(module, "CELL", 200)
    plane = np.random.default_rng(0).random(shape).astype(np.float32)
    np.testing.assert_allclose(smooth(plane, sigma), gaussian_filter(plane, sigma), atol=1e-6)


def test_a_part_is_what_it_is_in_the_whole_to_the_last_bit():
    plane = np.random.default_rng(0).random((60, 80)).astype(np.float32)
    reach = reach_of(1.5)
    part = smooth(plane[10:50, 7:71], 1.5)
    inner = np.s_[reach:-reach, reach:-reach]
    np.testing.assert_array_equal(part[inner], smooth(plane, 1.5)[10:50, 7:71][inner])


def test_nothing_stays_nothing():
    assert smooth(np.zeros((0, 5), np.float32), 1.0).shape == (0, 5)
