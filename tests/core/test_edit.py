"""An edit of a box: back, forth, and only where nothing else has been done since."""

import numpy as np

from napari_unet.core.edit import Edit, apply_edit, change_of, changed_box

BOX = np.s_[2:6, 3:9]


def edit_of(before, after):
    checked = np.zeros_like(before[BOX], np.uint8)
    return Edit(
        (), BOX, change_of(before[BOX], after[BOX]), change_of(checked, checked + 1), 1, 0.0
    )


def two_planes():
    before = np.zeros((10, 12), np.int32)
    before[4:, 5:] = 7
    after = before.copy()
    after[3:5, 4:7] = 2
    return before, after


def test_the_box_is_the_smallest_around_what_differs():
    before, after = two_planes()
    assert changed_box(before, after) == np.s_[3:5, 4:7]
    assert changed_box(before, after, within=np.s_[4:10, 0:12]) == np.s_[4:5, 4:7]
    assert changed_box(before, after, within=np.s_[5:10, 0:12]) is None
    assert changed_box(before, before) is None


def test_an_edit_is_taken_back_and_done_again():
    before, after = two_planes()
    edit = edit_of(before, after)
    labels, checked = after.copy(), np.zeros((10, 12), np.uint8)
    checked[BOX] = 1
    apply_edit(edit.reversed(), labels, checked)
    np.testing.assert_array_equal(labels, before)
    assert not checked.any()
    apply_edit(edit, labels, checked)
    np.testing.assert_array_equal(labels, after)
    assert checked[BOX].all() and checked.sum() == checked[BOX].size


def test_pixels_that_were_changed_since_stay_as_they_are():
    before, after = two_planes()
    edit = edit_of(before, after)
    labels, checked = after.copy(), np.zeros((10, 12), np.uint8)
    labels[3, 4] = 99
    apply_edit(edit.reversed(), labels, checked)
    expected = before.copy()
    expected[3, 4] = 99
    np.testing.assert_array_equal(labels, expected)


def test_an_array_without_a_change_is_not_kept():
    before, after = two_planes()
    assert change_of(before, before) is None
    edit = Edit((), BOX, change_of(before[BOX], after[BOX]), None, 1, 0.0)
    assert edit.reversed().checked is None
    assert 0 < edit.n_bytes < 200
