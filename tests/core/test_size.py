import numpy as np
import pytest

from napari_unet.core.size import median_diameter


def test_a_disc_has_its_own_diameter():
    y, x = np.mgrid[:60, :60] - 29.5
    disc = (np.hypot(y, x) <= 20).astype(np.uint8)
    assert median_diameter([disc]) == pytest.approx(40, rel=0.01)


def test_the_median_is_over_the_objects_of_all_planes():
    first, second = np.zeros((20, 20), int), np.zeros((20, 20), np.uint16)
    first[0, :4] = 5  # 4, 9 and 100 pixels
    first[3:6, 3:6] = 9
    second[5:15, 5:15] = 5
    assert median_diameter(iter([first, second])) == pytest.approx(np.sqrt(9 * 4 / np.pi))


@pytest.mark.parametrize("planes", [[], [np.zeros((3, 3), int)], [np.zeros((0, 3), int)]])
def test_no_object_has_no_diameter(planes):
    assert median_diameter(planes) is None
