import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_unet.core import targets
from napari_unet.core.errors import InputError
from napari_unet.core.metrics import match_objects
from napari_unet.core.targets import (
    classes_to_labels,
    fill_gaps,
    fill_gaps_and_nooks,
    labels_to_classes,
)


def test_gap_opens_on_the_left_and_is_one_pixel_wide():
    labels = np.array([[2, 2, 2, 1, 1], [2, 2, 2, 1, 1], [2, 2, 1, 1, 1]])
    expected = [[1, 1, 0, 1, 1], [1, 0, 0, 1, 1], [1, 0, 1, 1, 1]]
    np.testing.assert_array_equal(labels_to_classes(labels), expected)


def test_straight_border_comes_back_exactly():
    labels = np.repeat([[4, 4, 4, 9, 9, 9]], 6, axis=0)
    np.testing.assert_array_equal(
        classes_to_labels(labels_to_classes(labels)), np.where(labels == 4, 1, 2)
    )


def test_thin_object_is_spared():
    labels = np.zeros((5, 6), int)
    labels[:, 2] = 1
    labels[:, 3:] = 2
    classes = labels_to_classes(labels)
    assert classes[:, 2].all()
    assert not classes[:, 3].any()


@pytest.mark.parametrize("labels", [np.zeros((4, 4), int), np.ones((3, 5), np.uint16)])
def test_nothing_opens_without_two_objects(labels):
    np.testing.assert_array_equal(labels_to_classes(labels), labels > 0)


def test_wider_gaps_are_filled_only_within_reach():
    row = np.array([[1, 1, 0, 0, 0, 2, 2]] * 3)
    np.testing.assert_array_equal(fill_gaps(row, reach=1), row)
    np.testing.assert_array_equal(fill_gaps(row, reach=2)[1], [1, 1, 1, 1, 2, 2, 2])


def test_background_beside_one_object_stays():
    labels = np.zeros((7, 7), np.int32)
    labels[2:5, 2:5] = 3
    np.testing.assert_array_equal(fill_gaps(labels, reach=3), labels)


@pytest.mark.parametrize("shape", [(40,), (1, 9), (30, 41), (7, 9, 8)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("band", [1, 130, 2**18])
def test_gaps_are_background_beside_two_objects(shape, dtype, band, monkeypatch):
    monkeypatch.setattr(targets, "BAND", band)
    rng = np.random.default_rng(0)
    for share in (0.1, 0.5):
        labels = (rng.integers(0, 4, shape) * (rng.random(shape) < share)).astype(dtype)
        high = ndimage.maximum_filter(labels, 3, mode="constant")
        low = ndimage.minimum_filter(np.where(labels, labels, 9), 3, mode="constant", cval=9)
        is_gap = (labels == 0) & (low < high)
        filled = fill_gaps(labels)
        np.testing.assert_array_equal(filled != 0, (labels != 0) | is_gap)
        np.testing.assert_array_equal(filled[labels != 0], labels[labels != 0])


def test_planes_are_treated_alone_when_asked():
    stack = np.array([np.ones((4, 4), int), np.full((4, 4), 2)])
    assert labels_to_classes(stack, n_dims=2).all()
    assert not labels_to_classes(stack)[0].any() or not labels_to_classes(stack)[1].any()


def test_cubes_come_back_in_3d():
    labels = np.zeros((6, 12, 6), np.int32)
    labels[1:5, 1:6, 1:5] = 1
    labels[1:5, 6:11, 1:5] = 2
    back = classes_to_labels(labels_to_classes(labels))
    np.testing.assert_array_equal(back[labels > 0], labels[labels > 0])


def test_fractions_are_refused():
    with pytest.raises(InputError, match="whole numbers"):
        labels_to_classes(np.zeros((2, 2)))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_no_object_is_lost_or_merged(seed):
    rng = np.random.default_rng(seed)
    labels = np.zeros((40, 40), np.int32)
    cuts = np.sort(rng.choice(np.arange(6, 34, 7), 2, replace=False))
    for i, strip in enumerate(np.split(labels, cuts, axis=1)):
        cut = rng.integers(8, 32)
        strip[:cut], strip[cut:] = 2 * i + 1, 2 * i + 2
    back = classes_to_labels(labels_to_classes(labels))
    assert len(match_objects(labels, back, 0.8).truth) == 6
    assert back.max() == 6


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_classes_do_not_depend_on_the_numbering(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 6, (8, 8)).repeat(4, 0).repeat(4, 1)
    names = np.concatenate([[0], rng.permutation(10**6)[:5] + 1])
    np.testing.assert_array_equal(labels_to_classes(labels), labels_to_classes(names[labels]))


def test_nooks_beside_gaps_go_to_the_object_on_most_sides():
    labels = np.array(
        [
            [1, 1, 1, 0, 2, 2],
            [1, 1, 0, 0, 2, 2],
            [1, 1, 1, 0, 2, 2],
            [1, 1, 1, 1, 0, 2],
            [1, 0, 1, 1, 1, 0],
        ]
    )
    gaps = fill_gaps(labels)
    assert gaps[1, 2] == 0  # two pixels lie between the objects there, and nothing else
    assert (np.argwhere(gaps == 0) == [[1, 2], [4, 1]]).all()
    expected = gaps.copy()
    expected[1, 2] = 1
    np.testing.assert_array_equal(fill_gaps_and_nooks(labels), expected)
