"""Following an object through a stack."""

import numpy as np

from napari_unet.core.edits import places_through


def stack():
    labels = np.zeros((6, 12, 12), np.int32)
    labels[1, 2:6, 2:6] = 5
    labels[2, 3:7, 3:7] = 5
    labels[3, 4:8, 6:9] = 5
    labels[4, 9:12, 9:12] = 5  # elsewhere: another object that got the same number
    labels[2, 9:11, 1:3] = 7
    return labels


def test_an_object_goes_on_where_it_lies_over_itself():
    assert places_through(stack(), (2,), 5) == [(2,), (1,), (3,)]
    assert places_through(stack(), (4,), 5) == [(4,)]


def test_what_is_not_in_the_plane_is_nowhere():
    assert places_through(stack(), (0,), 5) == []


def test_a_single_plane_is_its_own_stack():
    assert places_through(stack()[1], (), 5) == [()]


def test_it_goes_along_every_axis():
    labels = np.zeros((2, 2, 8, 8), np.int32)
    labels[..., 2:5, 2:5] = 3
    labels[1, 1] = 0
    assert sorted(places_through(labels, (0, 0), 3)) == [(0, 0), (0, 1), (1, 0)]
