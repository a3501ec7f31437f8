"""Boxes around objects, against a search through the whole plane."""

import numpy as np
import pytest

from napari_unet.core.boxes import box_around, box_of, is_any


@pytest.mark.parametrize("count", [1, 3, 200])
def test_the_box_of_objects_agrees_with_a_search_through_the_whole_plane(count):
    rng = np.random.default_rng(count)
    labels = rng.integers(0, 5000, (200, 90)).astype(np.int32)
    labels[:70], labels[:, 80:] = 0, 0
    numbers = rng.choice(np.arange(1, 5000), count, replace=False).tolist()
    hit = np.isin(labels, numbers)
    np.testing.assert_array_equal(is_any(labels, numbers), hit)
    rows, columns = np.nonzero(hit)
    box = box_around(labels, numbers, margin=2)
    assert box == (
        slice(max(0, rows.min() - 2), min(200, rows.max() + 3)),
        slice(max(0, columns.min() - 2), min(90, columns.max() + 3)),
    )


@pytest.mark.parametrize("dtype", [np.int16, np.uint64, np.int64])
def test_huge_and_negative_numbers_are_no_others(dtype):
    labels = np.array([[0, 1, 2, 9, 300]], dtype)
    labels[0, 4] = np.iinfo(dtype).max
    if np.iinfo(dtype).min < 0:
        labels[0, 0] = -4
    numbers = list(range(2, 12))
    assert is_any(labels, numbers).tolist() == [[False, False, True, True, False]]
    assert is_any(labels, [*numbers, int(labels[0, 4])]).tolist()[0][3:] == [True, True]


def test_nothing_has_no_box():
    labels = np.array([[0, 3], [0, 0]])
    assert box_around(labels, []) is None
    assert box_around(labels, [7]) is None
    assert not is_any(labels, []).any()
    assert box_of(labels == 7, 2) == (slice(0, 0), slice(0, 0))


def test_a_box_ends_where_the_plane_does():
    labels = np.zeros((6, 9), int)
    labels[1, 7] = 4
    assert box_around(labels, [4], margin=3) == np.s_[0:5, 4:9]
    assert box_of(labels == 4, 3) == np.s_[0:5, 4:9]


def test_negative_labels_are_found():
    labels = np.array([[-3, 0, 5, -1]])
    assert is_any(labels, np.array([-3, 1, 2, 3, 4, 5, 6, 7])).tolist() == [
        [True, False, True, False]
    ]
