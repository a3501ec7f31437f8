"""An index of objects: what is found with it is what looking at the whole plane finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.core.checked import grow_checked
from napari_unet.core.edit import changed_box
from napari_unet.core.lay_around import count_checked
from napari_unet.core.object_index import ObjectIndex, grow_near

SHAPE = (60, 70)


def rectangle(draw, most=14):
    top, left = draw(st.integers(0, SHAPE[0] - 2)), draw(st.integers(0, SHAPE[1] - 2))
    height, width = draw(st.integers(1, most)), draw(st.integers(1, most))
    return slice(top, min(SHAPE[0], top + height)), slice(left, min(SHAPE[1], left + width))


@st.composite
def scenes(draw):
    """Rectangles with numbers that may come twice, and some strokes over them."""
    labels = np.zeros(SHAPE, np.int32)
    for _ in range(draw(st.integers(0, 8))):
        labels[rectangle(draw)] = draw(st.sampled_from([1, 2, 3, 4, 70000]))
    strokes = [
        (rectangle(draw, 30), draw(st.sampled_from([0, 1, 2, 9])))
        for _ in range(draw(st.integers(1, 4)))
    ]
    return labels, strokes, draw(st.sampled_from([None, 4.0, 40.0]))


@settings(max_examples=150, deadline=None)
@given(scenes())
def test_growing_near_is_growing(scene):
    labels, strokes, usual = scene
    near, whole = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    index = ObjectIndex(labels, near)
    for box, number in strokes:
        before, checked_before = labels.copy(), near.copy()
        labels[box] = number
        changed = changed_box(before, labels)
        expected = grow_checked(whole, before, labels, usual=usual)
        if changed is None:
            assert expected is None
            continue
        assert grow_near(near, before, labels, changed, index, usual=usual) == expected
        np.testing.assert_array_equal(near, whole)
        everything = np.s_[0 : SHAPE[0], 0 : SHAPE[1]]
        index.update(everything, before, labels, checked_before, near)
        assert index.checked_objects == count_checked(labels, near)


@settings(max_examples=100, deadline=None)
@given(scenes())
def test_an_index_that_was_kept_up_to_date_is_as_a_new_one(scene):
    labels, strokes, _ = scene
    checked = np.zeros(SHAPE, np.uint8)
    index = ObjectIndex(labels, checked)
    for box, number in strokes:
        before, checked_before = labels[box].copy(), checked[box].copy()
        labels[box], checked[box] = number, number % 2
        index.update(box, before, labels[box], checked_before, checked[box])
    new = ObjectIndex(labels, checked)
    assert index.checked_objects == new.checked_objects == count_checked(labels, checked)
    for number in np.unique(labels[labels != 0]).tolist():
        [box] = index.boxes([number])
        inside = np.zeros(SHAPE, bool)
        inside[box] = True
        assert inside[labels == number].all()
        [tight] = new.boxes([number])
        rows, columns = np.nonzero(labels == number)
        assert tight == np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def test_a_run_over_the_end_of_a_row_is_two():
    labels = np.zeros((4, 5), np.int32)
    labels[1, 3:], labels[2, :2] = 6, 6  # in reading order they are one run
    assert ObjectIndex(labels, labels).boxes([6]) == [np.s_[1:3, 0:5]]
    labels[1:3] = 6
    assert ObjectIndex(labels, labels).boxes([6]) == [np.s_[1:3, 0:5]]


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (3, 3)])
def test_where_nothing_is_there_is_no_object(shape):
    index = ObjectIndex(np.zeros(shape, np.int32), np.zeros(shape, np.uint8))
    assert (index.highest, index.checked_objects, index.boxes([1])) == (0, 0, [])


def test_the_highest_number_is_remembered_when_its_object_is_gone():
    labels = np.array([[3, 0], [0, 8]])
    index = ObjectIndex(labels, np.zeros_like(labels))
    gone = np.zeros_like(labels)
    index.update(np.s_[0:2, 0:2], labels, gone, gone, gone)
    assert index.highest == 8 and index.checked_objects == 0
