"""The checked area grows with every edit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core.checked import (
    _near,
    check_objects,
    grow_checked,
    uncheck_objects,
)
from napari_unet.core.lay_around import count_checked, keep_checked


def plane(*rows):
    """Build labels from rows of digits."""
    return np.array([[int(digit) for digit in row] for row in rows], np.int32)


def grown(before, after, margin=0):
    checked = np.zeros(before.shape, np.uint8)
    box = grow_checked(checked, before, after, margin=margin)
    return checked, box


BEFORE = plane(
    "1100022",
    "1100022",
    "0000000",
    "0033000",
)
# What an edit does -> what is checked without a rim: the objects as they were and as they are.
EDITS = {
    "a new object": (
        plane("1100022", "1104022", "0004000", "0033000"),
        plane("0000000", "0001000", "0001000", "0000000"),
    ),
    "an erased object": (
        plane("0000022", "0000022", "0000000", "0033000"),
        plane("1100000", "1100000", "0000000", "0000000"),
    ),
    "a part erased": (
        plane("1100020", "1100022", "0000000", "0033000"),
        plane("0000011", "0000011", "0000000", "0000000"),
    ),
    "a part added": (
        plane("1100022", "1100022", "0000000", "0033300"),
        plane("0000000", "0000000", "0000000", "0011100"),
    ),
    "two merged by renumbering": (
        plane("1100011", "1100011", "0000000", "0033000"),
        plane("1100011", "1100011", "0000000", "0000000"),
    ),
    "two merged by a bridge": (
        plane("1100022", "1111122", "0000000", "0033000"),
        plane("1100000", "1111100", "0000000", "0000000"),
    ),
    "one split in two": (
        plane("1400022", "1400022", "0000000", "0033000"),
        plane("1100000", "1100000", "0000000", "0000000"),
    ),
    "an object painted over by its neighbour": (
        plane("1100022", "1100022", "0000000", "0113000"),
        plane("1100000", "1100000", "0000000", "0111000"),
    ),
}


@pytest.mark.parametrize(("after", "expected"), EDITS.values(), ids=EDITS.keys())
def test_an_edit_checks_whole_objects_as_before_and_as_now(after, expected):
    checked, _ = grown(BEFORE, after)
    np.testing.assert_array_equal(checked, expected)


@pytest.mark.parametrize("after", [after for after, _ in EDITS.values()], ids=EDITS.keys())
def test_undoing_an_edit_checks_the_same_area(after):
    there, _ = grown(BEFORE, after)
    back, _ = grown(after, BEFORE)
    np.testing.assert_array_equal(there, back)


def test_nothing_changed_grows_nothing():
    checked, box = grown(BEFORE, BEFORE.copy(), margin=3)
    assert box is None
    assert not checked.any()


def test_the_rim_is_a_disc_of_three_pixels():
    before = np.zeros((11, 13), np.int32)
    after = before.copy()
    after[5, 6] = 1
    checked = np.zeros(before.shape, bool)
    box = grow_checked(checked, before, after)
    y, x = np.mgrid[:11, :13]
    np.testing.assert_array_equal(checked, (y - 5) ** 2 + (x - 6) ** 2 <= 9)
    assert box == (slice(2, 9), slice(3, 10))


@pytest.mark.parametrize(
    ("pixel", "box"),
    [
        ((0, 0), (slice(0, 4), slice(0, 4))),
        ((9, 7), (slice(6, 10), slice(4, 8))),
        ((0, 7), (slice(0, 4), slice(4, 8))),
        ((5, 4), (slice(2, 9), slice(1, 8))),
    ],
)
def test_the_box_ends_at_the_border_of_the_image(pixel, box):
    before = np.zeros((10, 8), np.int32)
    after = before.copy()
    after[pixel] = 7
    checked, found = grown(before, after, margin=3)
    assert found == box
    rows, columns = np.nonzero(checked)
    assert (rows.min(), rows.max() + 1) == (box[0].start, box[0].stop)
    assert (columns.min(), columns.max() + 1) == (box[1].start, box[1].stop)


def test_all_parts_of_an_object_are_checked_however_far_from_the_stroke():
    before = np.zeros((4, 400), np.int32)
    before[:, :9] = 1
    after = before.copy()
    after[1:3, 390:393] = 1  # painted with the number of a far object, as napari offers 1
    checked, box = grown(before, after)
    np.testing.assert_array_equal(checked, after)
    assert box == (slice(0, 4), slice(0, 393))
    merged = keep_checked(after, np.zeros_like(after), checked)
    np.testing.assert_array_equal(merged, after)


def test_an_edit_of_many_objects_checks_them_all():
    before = np.arange(60, dtype=np.int32).reshape(6, 10)
    after = before.copy()
    after[:, 0] = 0
    after[3:, 9] = 80
    checked, _ = grown(before, after)
    expected = np.zeros(before.shape, np.uint8)
    expected[:, 0] = expected[3:, 9] = 1
    expected[0, 0] = 0  # was background and is
    np.testing.assert_array_equal(checked, expected)


def test_what_was_checked_stays_checked():
    checked = np.zeros(BEFORE.shape, np.uint8)
    checked[3, 6] = 1
    grow_checked(checked, BEFORE, EDITS["an erased object"][0], margin=0)
    assert checked[3, 6] == 1
    assert checked.sum() == 5


def test_an_image_without_pixels_is_nothing_changed():
    nothing = np.zeros((0, 4), np.int32)
    assert grow_checked(np.zeros((0, 4), np.uint8), nothing, nothing.copy()) is None


def test_looking_right_checks_the_objects_named_and_their_rim():
    checked = np.zeros(BEFORE.shape, np.uint8)
    assert check_objects(checked, BEFORE, np.array([3, 0]), margin=1) == (slice(2, 4), slice(1, 5))
    np.testing.assert_array_equal(checked, plane("0000000", "0000000", "0011000", "0111100"))


@pytest.mark.parametrize("numbers", [[], [0], [9]])
def test_an_object_that_is_not_there_checks_nothing(numbers):
    checked = np.zeros(BEFORE.shape, np.uint8)
    assert check_objects(checked, BEFORE, np.array(numbers, int)) is None
    assert not checked.any()


def test_rest_of_an_object_that_was_mostly_erased_is_not_vouched_for():
    before = np.zeros((20, 60), np.int32)
    before[5:15, 5:55] = 7
    after = before.copy()
    after[:, :35] = 0
    checked = np.zeros(before.shape, np.uint8)
    grow_checked(checked, before, after)
    assert checked[5:15, 5:35].all()  # here is nothing, says the user
    assert not checked[5:15, 45:].any()  # here nobody has looked


def test_rest_of_an_object_that_was_trimmed_is_vouched_for():
    before = np.zeros((20, 60), np.int32)
    before[5:15, 5:55] = 7
    after = before.copy()
    after[:, :25] = 0
    checked = np.zeros(before.shape, np.uint8)
    grow_checked(checked, before, after)
    assert checked[5:15, 5:55].all()


def test_nothing_is_said_of_an_object_that_is_only_near():
    labels = np.zeros((20, 40), np.int32)
    labels[5:15, 5:15] = 1
    labels[8:11, 16:18] = 2  # whole within the rim of the first
    checked = np.zeros(labels.shape, np.uint8)
    grow_checked(checked, np.zeros_like(labels), np.where(labels == 1, 1, 0))
    only_first = checked.copy()
    checked[:] = 0
    before = np.where(labels == 2, 2, 0)
    grow_checked(checked, before, labels)
    assert not checked[labels == 2].any()
    np.testing.assert_array_equal(checked[labels != 2], only_first[labels != 2])
    assert count_checked(labels, checked) == 1


def test_objects_that_a_cell_is_painted_over_are_not_vouched_for():
    before = np.zeros((20, 40), np.int32)
    for number in range(1, 6):  # debris, each half under the cell
        before[8:12, 6 * number : 6 * number + 4] = number
    after = before.copy()
    after[2:10, 4:36] = 9
    checked, _ = grown(before, after, margin=0)
    assert checked[after == 9].all()
    assert not checked[after != 9].any()


def ground():
    """A ground of 120 x 120 pixels, all but three discs of 20 pixels, segmented as one object."""
    y, x = np.mgrid[:140, :140]
    before = np.zeros((140, 140), np.int32)
    before[10:130, 10:130] = 1
    for at in (40, 70, 100):
        before[(y - at) ** 2 + (x - at) ** 2 < 10**2] = 0
    return before


def test_the_border_of_a_large_deleted_object_may_be_that_of_true_ones():
    before = ground()
    checked = np.zeros(before.shape, np.uint8)
    grow_checked(checked, before, np.zeros_like(before))
    depth = ndimage.distance_transform_edt(before)
    wide = 0.05 * np.sqrt(4 / np.pi * before.sum())
    assert 6 < wide < 7
    np.testing.assert_array_equal(checked != 0, depth >= wide)


def test_more_than_half_of_a_thin_deleted_object_is_checked():
    before = np.zeros((40, 600), np.int32)
    before[15:25, 5:595] = 3  # 0.05 of its diameter is more than half of its width
    checked = np.zeros(before.shape, np.uint8)
    grow_checked(checked, before, np.zeros_like(before))
    assert 0.5 < checked.sum() / (10 * 590) < 0.7
    assert not checked[15].any() and checked[19, 10:-10].all()
    again = keep_checked(np.zeros_like(before), (before > 0).astype(np.int32), checked)
    assert not again.any()  # it stays deleted


def test_a_small_deleted_object_is_checked_with_its_rim():
    before = np.zeros((80, 80), np.int32)
    before[15:65, 15:65] = 3
    checked = np.zeros(before.shape, np.uint8)
    grow_checked(checked, before, np.zeros_like(before))
    assert checked[15:65, 15:65].all() and checked[12, 40]


@pytest.mark.parametrize(("usual", "is_said"), [(None, True), (33.0, True), (32.0, False)])
def test_what_is_left_of_a_giant_is_not_vouched_for(usual, is_said):
    before = ground()  # its diameter is 131 px
    after = before.copy()
    after[50:60, 60:70] = 0
    checked = np.zeros(before.shape, np.uint8)
    grow_checked(checked, before, after, usual=usual)
    assert checked[50:60, 60:70].all()
    assert checked[after == 1].any() == is_said


@pytest.mark.parametrize(("width", "is_said"), [(80, True), (79, False)])
def test_the_rest_of_an_object_that_a_small_cell_was_painted_into_is_not_vouched_for(
    width, is_said
):
    before = np.zeros((20, 220), np.int32)
    before[5:15, 10:210] = 3
    after = before.copy()
    after[5:15, 10 : 10 + width] = 4  # of 200 columns; 120 are 1.5 times 80
    checked = np.zeros(before.shape, np.uint8)
    grow_checked(checked, before, after)
    assert checked[after == 4].all()
    assert checked[after == 3].any() == is_said


@pytest.mark.parametrize(
    ("usual", "rim"), [(None, 3), (10.0, 3), (24.0, 3), (48.0, 6), (100.0, 12)]
)
def test_the_rim_grows_with_the_objects(usual, rim):
    labels = np.zeros((60, 60), np.int32)
    labels[30, 30] = 1
    for act in (
        lambda checked: grow_checked(checked, np.zeros_like(labels), labels, usual=usual),
        lambda checked: check_objects(checked, labels, [1], usual=usual),
    ):
        checked = np.zeros(labels.shape, np.uint8)
        act(checked)
        assert np.flatnonzero(checked[30]).tolist() == list(range(30 - rim, 31 + rim))


@pytest.mark.parametrize("seed", range(12))
def test_an_edit_grows_the_same_area_wherever_it_lies_in_a_plane(seed):
    """What is far from an edit is not looked at; random edits of random objects, some in parts."""
    rng = np.random.default_rng(seed)
    before = np.kron(rng.integers(0, 5, (5, 6)), np.ones((6, 6), int)).astype(np.int32)
    after = before.copy()
    top, left = rng.integers(0, 20, 2)
    after[top : top + 9, left : left + 7] = rng.choice([0, 0, 2, 9])
    alone = np.zeros(before.shape, np.uint8)
    box = grow_checked(alone, before, after, usual=8.0)
    wide_before = np.zeros((300, 280), np.int32)
    wide_before[250:, 250:], wide_before[:20, 200:] = 77, 78
    here = np.s_[100 : 100 + before.shape[0], 60 : 60 + before.shape[1]]
    wide_before[here] = before
    wide_after = wide_before.copy()
    wide_after[here] = after
    wide = np.zeros(wide_before.shape, np.uint8)
    wide_box = grow_checked(wide, wide_before, wide_after, usual=8.0)
    np.testing.assert_array_equal(wide[here], alone)
    assert (box is None) == (wide_box is None)
    if wide_box is not None:
        outside = wide.copy()
        outside[wide_box] = 0
        assert not outside.any()


def test_an_object_that_is_unchecked_takes_its_rim_along_and_no_neighbour():
    labels = np.zeros((30, 40), np.int32)
    labels[8:18, 8:18], labels[8:18, 18:28] = 1, 2
    checked = np.zeros(labels.shape, np.uint8)
    check_objects(checked, labels, np.array([1, 2]), margin=3)
    only_second = np.zeros_like(checked)
    check_objects(only_second, labels, np.array([2]), margin=3)
    box = uncheck_objects(checked, labels, np.array([1]), margin=3)
    assert box == np.s_[5:21, 5:21]
    assert not checked[labels == 1].any()
    assert not checked[12, 5:8].any()
    np.testing.assert_array_equal(checked[labels == 2], 1)
    np.testing.assert_array_equal(checked[:, 21:], only_second[:, 21:])
    assert uncheck_objects(checked, labels, np.array([0, 99])) is None


@pytest.mark.parametrize("margin", [0, 1, 2, 3, 4])
def test_a_rim_is_as_wide_as_the_distance_says(margin):
    area = np.random.default_rng(margin).random((40, 50)) < 0.01
    area[0, 0] = True
    near = ndimage.distance_transform_edt(~area) <= margin
    np.testing.assert_array_equal(_near(area, margin), near)
