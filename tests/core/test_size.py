import numpy as np
import pytest

from napari_unet.core.size import choose_min_size, median_diameter


def squares(*sides, shape=(60, 200)):
    """Draw squares in a row, away from the border."""
    labels = np.zeros(shape, np.int32)
    x = 2
    for number, side in enumerate(sides, 1):
        labels[2 : 2 + side, x : x + side] = number
        x += side + 2
    return labels


def disc_diameter(area):
    return np.sqrt(4 / np.pi * area)


def test_a_disc_has_its_own_diameter():
    y, x = np.mgrid[:60, :60]
    disc = np.where((y - 30) ** 2 + (x - 30) ** 2 <= 20**2, 7, 0)
    assert median_diameter([disc]) == pytest.approx(40, rel=0.01)


def test_half_of_the_area_is_in_wider_objects():
    # 16, 16, 25, 36, 49: 142 pixels, and the 71st is in the square of 36
    assert median_diameter([squares(4, 7, 4, 5, 6)]) == pytest.approx(disc_diameter(36))


def test_crumbs_do_not_count_by_their_number():
    assert median_diameter([squares(*[2] * 20, 20, 20)]) == pytest.approx(disc_diameter(400))


def test_objects_cut_by_the_border_are_left_out():
    labels = squares(5, 5, 5)
    labels[-30:, :] = 9
    assert median_diameter([labels]) == pytest.approx(disc_diameter(25))


def test_where_few_are_whole_those_cut_count_too():
    labels = squares(5, 5)
    labels[-10:, :50] = 9
    assert median_diameter([labels]) == pytest.approx(disc_diameter(500))


def test_planes_are_taken_together():
    first, second = squares(3, 3, 3), squares(9, 9, 9)
    assert median_diameter(iter([first, second])) == pytest.approx(disc_diameter(81))


@pytest.mark.parametrize("planes", [[], [np.zeros((4, 5), np.int32)], [np.zeros((0, 3), np.int32)]])
def test_no_object_has_no_diameter(planes):
    assert median_diameter(planes) is None


def test_nearly_all_objects_are_larger_than_the_smallest_that_is_kept():
    # of 51 objects one has 4 pixels: the 2nd percentile is the second smallest
    labels = squares(2, *[5] * 20)
    more = squares(*[5] * 15)
    assert choose_min_size([labels, more, more]) == 12  # half of 25
    assert choose_min_size([squares(1, 1, 1)]) == 4  # never fewer than this
    assert choose_min_size([np.zeros((4, 5), np.int32)]) is None
    assert choose_min_size([]) is None
