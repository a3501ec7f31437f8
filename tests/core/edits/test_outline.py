"""Filling, smoothing, growing, shrinking and drawing one object, on arrays made by hand."""

import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core.edits import fill_holes, grow, new_object, shrink, smooth
from napari_unet.core.errors import InputError

CROSS = ndimage.generate_binary_structure(2, 1)


def written(labels, change):
    after = labels.astype(change.after.dtype)
    after[change.box] = change.after
    return after


def disc(radius=9, shape=(40, 40), center=(20, 20)):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - center[0]) ** 2 + (columns - center[1]) ** 2 <= radius**2


@pytest.fixture
def ring():
    """A ring of 4 around a hole with a cell of 6 in it; 8 touches from outside."""
    labels = np.where(disc(12) & ~disc(6), 4, 0).astype(np.int32)
    labels[disc(2)] = 6
    labels[:, 33:36] = 8
    return labels


def test_holes_are_filled_around_what_is_in_them(ring):
    after = written(ring, fill_holes(ring, 4))
    np.testing.assert_array_equal(after == 4, disc(12) & ~disc(2))
    np.testing.assert_array_equal(after == 6, ring == 6)
    np.testing.assert_array_equal(after == 8, ring == 8)


def test_an_object_without_holes_does_not_change(ring):
    assert fill_holes(ring, 6) is None
    assert fill_holes(ring, 99) is None


def test_a_bay_is_no_hole():
    labels = np.zeros((9, 9), np.int32)
    labels[1:8, 1:8], labels[3:6, 4:8] = 1, 0
    assert fill_holes(labels, 1) is None


def test_grow_adds_a_pixel_of_background_all_around_and_no_neighbour(ring):
    after = written(ring, grow(ring, 4))
    wider = ndimage.binary_dilation(ring == 4, CROSS)
    np.testing.assert_array_equal(after == 4, (ring == 4) | (wider & (ring == 0)))
    for number in (6, 8):
        np.testing.assert_array_equal(after == number, ring == number)


def test_an_object_without_room_does_not_grow():
    labels = np.full((6, 6), 2, np.int32)
    labels[2:4, 2:4] = 1
    assert grow(labels, 1) is None


def test_shrink_takes_a_pixel_all_around():
    labels = disc(6).astype(np.int32)
    after = written(labels, shrink(labels, 1))
    np.testing.assert_array_equal(after > 0, ndimage.binary_erosion(disc(6), CROSS))


def test_shrink_stops_at_the_border_of_the_image_and_gives_neighbours_nothing():
    labels = np.zeros((10, 12), np.int32)
    labels[:6, :6], labels[:6, 6:] = 1, 2
    after = written(labels, shrink(labels, 1))
    np.testing.assert_array_equal(np.argwhere(after == 1).max(axis=0), [4, 4])
    assert after[0, 0] == 1
    np.testing.assert_array_equal(after == 2, labels == 2)


def test_shrink_does_not_remove_the_last_pixel():
    labels = np.zeros((9, 9), np.int32)
    labels[4, 2:7] = 1
    with pytest.raises(InputError, match="too thin"):
        shrink(labels, 1)


def test_shrink_and_grow_lead_back_where_the_outline_is_a_diamond():
    labels = np.where(np.add.outer(*[np.abs(np.arange(21) - 10)] * 2) <= 6, 3, 0)
    after = written(labels, shrink(labels, 3))
    np.testing.assert_array_equal(written(after, grow(after, 3)), labels)


def test_smooth_takes_spikes_and_fills_notches_and_keeps_the_rest():
    labels = disc(12).astype(np.int32)
    labels[20, 30:38] = 1  # a spike
    labels[8:14, 20] = 0  # a notch
    after = written(labels, smooth(labels, 1))
    assert after[20, 36] == 0
    assert after[12, 20] == 1
    assert np.count_nonzero((after == 1) != disc(12)) < 25  # of 441 pixels


def test_smooth_leaves_a_circle_nearly_as_it_is():
    labels = disc(15).astype(np.int32)
    change = smooth(labels, 1)
    moved = 0 if change is None else np.count_nonzero(written(labels, change) != labels)
    assert moved < 0.02 * labels.sum()


def test_smooth_takes_nothing_from_neighbours(ring):
    change = smooth(ring, 4)
    after = ring if change is None else written(ring, change)
    for number in (6, 8):
        np.testing.assert_array_equal(after == number, ring == number)


def test_smooth_keeps_the_edge_of_a_cell_that_the_image_cuts():
    labels = disc(12, center=(0, 20)).astype(np.int32)
    change = smooth(labels, 1)
    after = labels if change is None else written(labels, change)
    np.testing.assert_array_equal(after[0], labels[0])


def test_what_would_vanish_or_fall_apart_is_not_smoothed():
    line = np.zeros((9, 20), np.int32)
    line[4, 2:18] = 1
    with pytest.raises(InputError, match="smooth"):
        smooth(line, 1)
    dumbbell = (disc(8, (40, 70), (20, 15)) | disc(8, (40, 70), (20, 50))).astype(np.int32)
    dumbbell[20, 15:50] = 1
    with pytest.raises(InputError, match="smooth"):
        smooth(dumbbell, 1)


def test_a_new_object_takes_background_only():
    labels = np.zeros((20, 20), np.int32)
    labels[5:15, 10:12] = 3
    corners = [(4, 4), (4, 14), (12, 14), (12, 4)]
    after = written(labels, new_object(labels, corners, 9))
    np.testing.assert_array_equal(after == 3, labels == 3)
    assert after[8, 6] == 9
    assert (after[13:] != 9).all() and (after[:4] != 9).all()


def test_a_new_object_is_one_piece():
    labels = np.zeros((20, 20), np.int32)
    labels[:, 10] = 3
    after = written(labels, new_object(labels, [(4, 2), (4, 13), (12, 13), (12, 2)], 9))
    assert ndimage.label(after == 9)[1] == 1
    assert (after[5:12, 3:10] == 9).all()
    assert not (after[:, 11:] == 9).any()


def test_a_new_object_may_be_outlined_beyond_the_image():
    labels = np.zeros((20, 20), np.int32)
    after = written(labels, new_object(labels, [(-5, -5), (-5, 6), (6, 6), (6, -5)], 2))
    assert (after[:6, :6] == 2).all()
    assert not after[8:].any()


@pytest.mark.parametrize(
    "corners", [[], [(3, 3)], [(3, 3), (9, 9)], [(-9, -9), (-9, -4), (-4, -4)], [(30, 30)] * 4]
)
def test_an_outline_of_nothing_says_what_to_do(corners):
    with pytest.raises(InputError, match="around the cell"):
        new_object(np.zeros((20, 20), np.int32), corners, 2)


def test_an_outline_inside_of_another_cell_says_that_there_is_no_room():
    with pytest.raises(InputError, match="no free place"):
        new_object(np.ones((20, 20), np.int32), [(4, 4), (4, 9), (9, 9), (9, 4)], 2)
