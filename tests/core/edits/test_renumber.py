"""Merging, relabelling and deleting, on arrays made by hand."""

import numpy as np
import pytest

from napari_unet.core.edits import delete, merge, numbers_along, objects_in, relabel
from napari_unet.core.edits.change import box_around, is_any
from napari_unet.core.errors import InputError


@pytest.fixture
def labels():
    """Three squares of 4 x 4 in a row; 1 and 2 touch, 7 stands apart."""
    labels = np.zeros((10, 20), np.int32)
    labels[3:7, 1:5], labels[3:7, 5:9], labels[3:7, 14:18] = 1, 2, 7
    return labels


def written(labels, change):
    after = labels.astype(change.after.dtype)
    after[change.box] = change.after
    return after


@pytest.mark.parametrize(
    ("path", "numbers"),
    [
        ([(5, 0), (5, 19)], [1, 2, 7]),
        ([(5, 19), (5, 0)], [7, 2, 1]),
        ([(5, 2), (5, 6), (5, 2)], [1, 2]),
        ([(5, 2)], [1]),
        ([(0, 0), (0, 19)], []),
        ([(5, -30), (5, 50)], [1, 2, 7]),
        ([(5, 30), (5, 50)], []),
        ([], []),
    ],
)
def test_a_line_passes_over_objects_in_its_order(labels, path, numbers):
    assert numbers_along(labels, path) == numbers


def test_merged_objects_have_the_number_of_the_first(labels):
    after = written(labels, merge(labels, [2, 1, 7]))
    np.testing.assert_array_equal(after, np.where(labels > 0, 2, 0))


def test_merge_of_one_says_what_to_do(labels):
    with pytest.raises(InputError, match="one cell only"):
        merge(labels, [1])
    with pytest.raises(InputError, match="no cell"):
        merge(labels, [])


def test_relabel_gives_the_number_and_no_more(labels):
    after = written(labels, relabel(labels, 2, 40))
    np.testing.assert_array_equal(after == 40, labels == 2)
    np.testing.assert_array_equal(after == 1, labels == 1)


def test_relabel_with_the_same_number_or_of_nothing_is_no_change(labels):
    assert relabel(labels, 2, 2) is None
    assert relabel(labels, 99, 3) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.uint32, np.int64])
def test_a_number_that_does_not_fit_does_not_wrap(labels, dtype):
    narrow = labels.astype(dtype)
    new = int(np.iinfo(dtype).max) + (dtype != np.int64)
    after = written(narrow, relabel(narrow, 2, new))
    assert int(after[4, 6]) == new
    assert int(after[4, 2]) == 1


def test_delete_leaves_background(labels):
    after = written(labels, delete(labels, [1, 7]))
    np.testing.assert_array_equal(after, np.where(labels == 2, 2, 0))
    assert delete(labels, [99]) is None
    assert delete(labels, []) is None


def test_a_box_holds_the_objects_of_which_more_than_half_lies_in_it(labels):
    assert objects_in(labels, np.s_[0:10, 0:8]) == [1, 2]  # 3 of 4 columns of the second
    assert objects_in(labels, np.s_[0:10, 0:7]) == [1]  # 2 of 4: not more than half
    assert objects_in(labels, np.s_[0:10, 0:20]) == [1, 2, 7]
    assert objects_in(labels, np.s_[0:2, 0:20]) == []
    assert objects_in(labels, np.s_[4:4, 0:20]) == []


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
