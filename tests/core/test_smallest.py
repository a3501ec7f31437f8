"""Which objects are large enough; those at the border of the image may be smaller."""

import numpy as np
import pytest

from napari_unet.core.instances import probability_to_labels, volume_to_labels
from napari_unet.core.smallest import at_border, large_enough, remove_small


def plane(*squares, shape=(60, 80)):
    """Squares by row, column, height and width."""
    probability = np.zeros(shape, np.float32)
    for y, x, height, width in squares:
        probability[y : y + height, x : x + width] = 0.95
    return probability


def test_removing_small_objects_keeps_the_order_of_the_rest():
    labels = np.pad(np.array([[1, 1, 0, 2, 3, 3, 3, 9, 9]], np.int32), 1)
    kept = np.pad([[1, 1, 0, 0, 2, 2, 2, 3, 3]], 1)
    np.testing.assert_array_equal(remove_small(labels, 2), kept)


def test_the_background_is_no_object_and_a_quarter_is_enough_at_the_border():
    pixels = np.array([1000, 40, 39, 10, 9])
    by_number = large_enough(pixels, np.array([0, 3, 4, 4]), 40)
    by_flag = large_enough(pixels, np.array([True, False, False, True, True]), 40)
    assert by_number.tolist() == by_flag.tolist() == [False, True, False, True, False]
    assert large_enough(np.array([5, 1, 1]), np.array([1]), 0).tolist() == [False, True, True]


def test_only_the_edges_that_are_the_images_are_its_border():
    labels = np.arange(1, 13).reshape(3, 4)
    assert set(at_border(labels)) == {1, 2, 3, 4, 5, 8, 9, 10, 11, 12}
    shape = (10, 12)
    assert set(at_border(labels, np.s_[0:3, 4:8], shape)) == {1, 2, 3, 4}
    assert set(at_border(labels, np.s_[7:10, 8:12], shape)) == {9, 10, 11, 12, 4, 8}
    assert not at_border(labels, np.s_[2:5, 4:8], shape).size
    assert not at_border(np.zeros((0, 4), int)).size


@pytest.mark.parametrize("split", [0.0, 0.5])
@pytest.mark.parametrize("shape", [None, (120, 160)])
def test_what_is_left_of_a_cell_at_the_border_is_kept(split, shape):
    least = 40 if shape is None else 160
    cells = plane((0, 10, 4, 6), (20, 76, 6, 4), (57, 30, 3, 9), (30, 0, 8, 3))  # 24 to 27 pixels
    crumb = plane((30, 30, 5, 5))
    labels = probability_to_labels(
        np.maximum(cells, crumb), min_size=least, split=split, shape=shape
    )
    assert labels.max() == 4
    scale = 1 if shape is None else 2
    assert not labels[30 * scale : 35 * scale, 30 * scale : 35 * scale].any()
    speck = plane((0, 10, 3, 3))  # less than a quarter
    assert not probability_to_labels(speck, min_size=least, split=split, shape=shape).any()


def test_volumes_have_one_smallest_size():
    probability = np.zeros((8, 20, 20), np.float32)
    probability[0:2, 5:9, 5:9] = 0.9  # 32 voxels at the first plane
    probability[3:6, 10:16, 10:16] = 0.9
    assert volume_to_labels(probability, min_size=40).max() == 1
