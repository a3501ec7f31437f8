"""Splitting objects by a line and at the waist, on arrays made by hand."""

import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core.edits import split_along, split_touching
from napari_unet.core.errors import InputError

EIGHT = np.ones((3, 3), bool)


def written(labels, change):
    after = labels.astype(change.after.dtype)
    after[change.box] = change.after
    return after


def block(shape=(12, 16), number=3):
    labels = np.zeros(shape, np.int32)
    labels[2:10, 2:14] = number
    return labels


def blobs(apart=14, radius=9):
    """Two discs that overlap, as one object."""
    rows, columns = np.ogrid[:40, :60]
    first = (rows - 20) ** 2 + (columns - 20) ** 2 <= radius**2
    second = (rows - 20) ** 2 + (columns - 20 - apart) ** 2 <= radius**2
    return np.where(first | second, 5, 0).astype(np.int32)


@pytest.mark.parametrize(
    "path",
    [
        [(0, 6), (11, 6)],  # down
        [(11, 6), (0, 6)],  # up
        [(6, 0), (6, 15)],  # across
        [(0, 0), (11, 15)],  # aslant
        [(0, 3), (5, 9), (11, 4)],  # with a bend
        [(-5, 8), (30, 8)],  # from outside of the image to outside
    ],
)
def test_a_line_makes_two_whole_objects_and_loses_no_pixel(path):
    labels = block()
    after = written(labels, split_along(labels, path, 8))
    np.testing.assert_array_equal(after > 0, labels > 0)
    assert set(np.unique(after)) == {0, 3, 8}
    for number in (3, 8):
        assert ndimage.label(after == number, EIGHT)[1] == 1
    assert (after == 3).sum() >= (after == 8).sum()


def test_pixels_lie_on_the_side_of_the_line_where_they_were():
    after = written(block(), split_along(block(), [(0, 5), (11, 5)], 8))
    assert (after[2:10, 2:5] == 8).all()  # the smaller side
    assert (after[2:10, 6:14] == 3).all()


def test_labels_are_not_changed():
    labels = block()
    split_along(labels, [(0, 6), (11, 6)], 8)
    np.testing.assert_array_equal(labels, block())


def test_a_line_over_several_objects_splits_each_and_leaves_the_others():
    labels = np.zeros((12, 40), np.int32)
    for number, left in enumerate((1, 11, 21, 31), 1):
        labels[2:10, left : left + 8] = number
    after = written(labels, split_along(labels, [(6, 9), (6, 30)], 7))
    assert set(np.unique(after[2:10, 11:19])) == {2, 7}
    assert set(np.unique(after[2:10, 21:29])) == {3, 8}
    assert set(np.unique(after[:, :10])) == {0, 1}
    assert set(np.unique(after[:, 30:])) == {0, 4}


def test_touching_neighbours_of_the_split_object_keep_their_pixels():
    labels = block()
    labels[2:10, 14:16] = 9
    after = written(labels, split_along(labels, [(0, 6), (11, 6)], 10))
    np.testing.assert_array_equal(after == 9, labels == 9)


def test_a_line_that_ends_inside_cuts_nothing_and_says_so():
    with pytest.raises(InputError, match="does not cut through"):
        split_along(block(), [(0, 6), (6, 6)], 8)


def test_a_line_through_the_background_says_that_it_crosses_no_cell():
    with pytest.raises(InputError, match="crosses no cell"):
        split_along(block(), [(0, 0), (11, 0)], 8)
    with pytest.raises(InputError, match="crosses no cell"):
        split_along(block(), [(-4, -4), (-9, 3)], 8)
    with pytest.raises(InputError, match="crosses no cell"):
        split_along(block(), np.zeros((0, 2)), 8)


def test_a_grazed_neighbour_is_not_split():
    labels = np.zeros((24, 40), np.int32)
    labels[2:22, 2:20], labels[2:22, 20:38] = 1, 2
    path = [(0, 10), (20, 18), (20, 20), (23, 21)]  # cuts the first, and a corner off the second
    after = written(labels, split_along(labels, path, 5))
    assert set(np.unique(after[:, 20:])) <= {0, 2, 5}
    np.testing.assert_array_equal(after[:20, 20:], labels[:20, 20:])
    assert 5 in after[:, :20]


def test_a_pixel_of_a_small_cell_is_no_piece():
    labels = np.zeros((8, 8), np.int32)
    labels[2:6, 2:6] = 1
    with pytest.raises(InputError, match="does not cut through"):
        split_along(labels, [(4, 1), (1, 4)], 2)  # around the corner at 2, 2


@pytest.mark.parametrize(
    "cell",
    [np.s_[2:10, 3:12], np.s_[2:10, 0:16], np.s_[5:6, 2:14], np.s_[0:12, 0:16]],
    ids=["a rectangle", "from border to border", "a line", "the whole image"],
)
def test_a_shape_without_a_waist_is_told(cell):
    labels = np.zeros((12, 16), np.int32)
    labels[cell] = 1
    with pytest.raises(InputError, match="no waist"):
        split_touching(labels, 1, 2)


def test_a_notch_on_one_side_is_a_waist():
    """The other side is straight, and lies on the border of the cells' box."""
    labels = np.zeros((30, 50), np.int32)
    labels[5:20, 5:40] = 5
    labels[5:16, 20:25] = 0
    after = written(labels, split_touching(labels, 5, 6))
    assert {after[10, 8], after[10, 36]} == {5, 6}


def test_both_tips_of_a_horseshoe_become_objects_of_their_own():
    labels = np.zeros((20, 20), np.int32)
    labels[2:18, 2:7], labels[2:18, 13:18], labels[13:18, 2:18] = 1, 1, 1
    after = written(labels, split_along(labels, [(8, 0), (8, 19)], 2))
    assert {after[3, 3], after[3, 15], after[16, 10]} == {1, 2, 3}
    assert after[16, 10] == 1


def test_a_part_elsewhere_keeps_its_number():
    labels = np.zeros((12, 40), np.int32)
    labels[2:10, 2:14], labels[4:8, 30:36] = 3, 3
    after = written(labels, split_along(labels, [(0, 7), (11, 7)], 8))
    assert (after[4:8, 30:36] == 3).all()


def test_a_number_that_does_not_fit_makes_the_labels_wider():
    labels = block(number=255).astype(np.uint8)
    after = written(labels, split_along(labels, [(0, 6), (11, 6)], 256))
    assert set(np.unique(after)) == {0, 255, 256}


def test_cells_that_touch_are_split_at_the_waist():
    labels = blobs()
    after = written(labels, split_touching(labels, 5, 6))
    np.testing.assert_array_equal(after > 0, labels > 0)
    assert set(np.unique(after)) == {0, 5, 6}
    assert abs(int((after == 5).sum()) - int((after == 6).sum())) < 30
    border = np.flatnonzero((after[20, 1:] != after[20, :-1]) & (labels[20, 1:] > 0)).tolist()
    assert any(abs(column - 27) <= 2 for column in border)  # half way from 20 to 34


def test_cells_that_the_image_border_cuts_are_split_at_the_waist_too():
    labels = blobs()[20:, :]
    after = written(labels, split_touching(labels, 5, 6))
    assert set(np.unique(after)) == {0, 5, 6}


def test_a_round_cell_has_no_waist():
    with pytest.raises(InputError, match="no waist"):
        split_touching(blobs(apart=0), 5, 6)


def test_no_such_object_is_no_change():
    assert split_touching(blobs(), 77, 78) is None
