"""Merging, relabelling and deleting, on arrays made by hand."""

import numpy as np
import pytest

from napari_unet.core.edits import delete, delete_in, merge, numbers_along, objects_in, relabel
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


def test_objects_in_a_box_are_removed_with_all_their_parts(labels):
    labels[0, 19] = 2  # a part elsewhere, so that of 17 pixels 12 lie in the box
    after = written(labels, delete_in(labels, np.s_[0:10, 0:8]))
    np.testing.assert_array_equal(after, np.where(labels == 7, 7, 0))


def test_a_box_without_objects_says_what_to_do(labels):
    with pytest.raises(InputError, match="more than half"):
        delete_in(labels, np.s_[0:2, 0:20])
