import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core.runs import runs_in_rows, runs_of_background, runs_of_foreground

SHAPES = [(9, 11), (12, 7), (7, 12), (1, 9), (9, 1), (30, 40), (30, 41), (0, 4)]
PLANES = [
    np.random.default_rng(seed).random(shape) < part
    for seed, shape in enumerate(SHAPES)
    for part in (0.0, 0.2, 0.5, 0.85, 1.1)
]


def drawn(runs, piece, shape):
    labels = np.zeros(shape, int)
    for start, end, number in zip(runs.starts, runs.ends, piece, strict=True):
        labels.ravel()[start:end] = number + 1
    return labels


@pytest.mark.parametrize("plane", PLANES)
def test_pieces_are_those_of_scipy(plane):
    foreground = runs_of_foreground(plane)
    count, piece = foreground.pieces(by_corners=True)
    expected, n_expected = ndimage.label(plane, np.ones((3, 3)))
    assert count == n_expected
    np.testing.assert_array_equal(drawn(foreground, piece, plane.shape), expected)
    background = runs_of_background(foreground)
    count, piece = background.pieces(by_corners=False)
    expected, n_expected = ndimage.label(~plane)
    assert count == n_expected
    np.testing.assert_array_equal(drawn(background, piece, plane.shape), expected)


def test_the_pixels_of_some_runs():
    plane = np.array([[1, 1, 0, 1], [1, 0, 0, 1]], bool)
    runs = runs_of_foreground(plane)
    np.testing.assert_array_equal(runs.pixels(np.array([True, False, True, True])), [0, 1, 4, 7])


def test_runs_of_labels_end_with_their_row():
    runs = runs_in_rows(np.array([[0, 2, 2], [2, 3, 3]]))
    np.testing.assert_array_equal(runs.starts, [1, 3, 4])
    np.testing.assert_array_equal(runs.ends, [3, 4, 6])
    np.testing.assert_array_equal(runs.values, [2, 2, 3])
