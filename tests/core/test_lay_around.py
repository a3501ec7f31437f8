"""What is checked stays as it is when an image is segmented anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unet.core.lay_around import count_checked, keep_checked, keep_checked_through


def plane(*rows):
    """Build labels from rows of digits."""
    return np.array([[int(digit) for digit in row] for row in rows], np.int32)


BEFORE = plane(
    "1100022",
    "1100022",
    "0000000",
    "0033000",
)


@pytest.mark.parametrize(("pixels", "count"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1)])
def test_an_object_counts_from_half_of_its_area(pixels, count):
    labels = np.zeros((3, 6), np.int32)
    labels[0, :4] = 5
    checked = np.zeros((3, 6), np.uint8)
    checked[0, :pixels] = 1
    checked[1:] = 1  # background never counts
    assert count_checked(labels, checked) == count


def test_each_object_is_counted_once():
    assert count_checked(BEFORE, np.ones(BEFORE.shape, bool)) == 3


CURRENT = plane(
    "0077000",
    "0077055",
    "0000055",
    "0000000",
)


def around(labels, number, *, also=()):
    checked = labels == number
    for row, column in also:
        checked[row, column] = True
    return checked


def test_a_checked_object_keeps_its_pixels_and_its_number():
    predicted = plane("0011100", "0011000", "0000000", "2200033")
    merged = keep_checked(CURRENT, predicted, around(CURRENT, 7))
    # 1 lies mostly in the kept object: left out. 5 is not checked: gone. 2 and 3 follow 7.
    np.testing.assert_array_equal(merged, plane("0077000", "0077000", "0000000", "8800099"))


def test_checked_background_stays_empty():
    checked = np.zeros(CURRENT.shape, bool)
    checked[3, :4] = True
    predicted = plane("0000000", "0000000", "1110000", "1112222")
    merged = keep_checked(CURRENT, predicted, checked)
    # Exactly half of object 1 is free, of object 2 three quarters: both stay, cut to what is free.
    np.testing.assert_array_equal(merged, plane("0000000", "0000000", "1110000", "0000222"))


def test_a_neighbour_with_its_rim_in_the_checked_area_is_replaced_as_a_whole():
    current = plane("7788888", "7788888")
    checked = plane("1110000", "1110000")
    predicted = plane("0001111", "0000000")
    merged = keep_checked(current, predicted, checked)
    # No sliver of 8 is left in column 2, though that is checked.
    np.testing.assert_array_equal(merged, plane("7700000", "7700000") + (predicted * 8))


@pytest.mark.parametrize(("width", "is_kept"), [(3, False), (4, True)])
def test_a_predicted_object_is_left_out_if_more_than_half_is_covered(width, is_kept):
    current = np.zeros((2, 8), np.int32)
    checked = np.zeros((2, 8), bool)
    checked[0, :2] = True
    predicted = np.zeros((2, 8), np.int32)
    predicted[0, :width] = 1  # 2 of 3 are covered, or 2 of 4
    merged = keep_checked(current, predicted, checked)
    assert merged.any() == is_kept
    assert not merged[checked].any()


def test_new_numbers_lie_above_all_that_must_not_be_used_again():
    predicted = plane("0000000", "0000000", "0000000", "1100022")
    merged = keep_checked(CURRENT, predicted, around(CURRENT, 5), above=100)
    assert set(np.unique(merged)) == {0, 5, 101, 102}
    merged = keep_checked(CURRENT, predicted, around(CURRENT, 7), above=3)
    assert set(np.unique(merged)) == {0, 7, 8, 9}


def test_where_nothing_is_checked_the_prediction_is_taken_as_it_is():
    predicted = plane("1100022", "0000000", "0000000", "0000333")
    merged = keep_checked(CURRENT, predicted, np.zeros(CURRENT.shape, np.uint8))
    np.testing.assert_array_equal(merged, predicted)
    assert merged.dtype == np.int32


SHAPE = (6, 7)


@settings(max_examples=150, deadline=None)
@given(
    arrays(np.int32, SHAPE, elements=st.integers(0, 4)),
    arrays(np.int32, SHAPE, elements=st.integers(0, 5)),
    arrays(np.bool_, SHAPE),
    st.integers(0, 9),
)
def test_nothing_checked_is_ever_lost(current, predicted, checked, above):
    merged = keep_checked(current, predicted, checked, above=above)
    kept = [
        number
        for number in np.unique(current[current > 0])
        if 2 * np.count_nonzero(checked[current == number]) >= np.count_nonzero(current == number)
    ]
    stays = np.isin(current, kept)
    np.testing.assert_array_equal(merged[stays], current[stays])
    new = np.unique(merged[~stays & (merged > 0)])
    assert not set(new) & set(kept)
    assert all(number > max([above, *kept]) for number in new)
    assert not merged[checked & (current == 0)].any()
    # What is new is the prediction, object by object, cut to what is free.
    for number in new:
        of = np.unique(predicted[merged == number])
        assert len(of) == 1 and of[0] > 0
        free = ~stays & ~(checked & (current == 0))
        np.testing.assert_array_equal(merged == number, (predicted == of[0]) & free)


def test_planes_of_a_volume_keep_what_is_checked_and_objects_keep_one_number():
    """5 was corrected in the first plane: what was found there goes on as 5 in the second."""
    current = np.stack([plane("5550000"), plane("0000000")])
    predicted = np.stack([plane("1100022"), plane("1110022")])
    checked = np.stack([plane("1111000"), plane("0000000")])
    merged = keep_checked_through(current, predicted, checked)
    np.testing.assert_array_equal(merged, [plane("5550077"), plane("5550077")])


def test_an_object_that_only_touches_what_is_checked_keeps_its_own_number():
    current = np.stack([plane("5500000"), plane("0000000")])
    predicted = np.stack([plane("0111110"), plane("0111110")])
    checked = np.stack([plane("1100000"), plane("0000000")])
    merged = keep_checked_through(current, predicted, checked, above=8)
    np.testing.assert_array_equal(merged, [plane("5599990"), plane("0999990")])


def test_what_was_deleted_in_a_plane_stays_deleted_there_alone():
    current = np.zeros((2, 1, 7), np.int32)
    predicted = np.stack([plane("0111000"), plane("0111000")])
    checked = np.stack([plane("1111100"), plane("0000000")])
    merged = keep_checked_through(current, predicted, checked)
    np.testing.assert_array_equal(merged, [plane("0000000"), plane("0111000")])


@pytest.mark.parametrize("seed", range(5))
def test_of_one_plane_it_is_what_keep_checked_says_but_for_the_numbers(seed):
    draw = np.random.default_rng(seed)
    current, predicted = (draw.integers(0, 4, (12, 14)).repeat(2, 0).repeat(2, 1) for _ in "ab")
    checked = draw.integers(0, 2, (24, 28))
    alone = keep_checked(current, predicted, checked)
    through = keep_checked_through(current[None], predicted[None], checked[None])[0]
    pairs = set(zip(alone.ravel().tolist(), through.ravel().tolist(), strict=True))
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
