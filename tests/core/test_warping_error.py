import numpy as np
import pytest
from skimage.measure import label

from napari_unet.core.warping_error import simple_points, warping_error


def counts(mask):
    """How many cells and grounds scikit-image finds; corners connect cells, sides the ground."""
    padded = np.pad(mask, 1)
    cells, grounds = label(padded, connectivity=2), label(~padded, connectivity=1)
    return cells.max(), grounds.max()


def code_of(around):
    ring = (around[0, 0], around[0, 1], around[0, 2], around[1, 2])
    ring += (around[2, 2], around[2, 1], around[2, 0], around[1, 0])
    return sum(int(cell) << bit for bit, cell in enumerate(ring))


def test_simple_points_are_those_whose_flip_changes_no_count_of_scikit_image():
    rng = np.random.default_rng(3)
    seen = set()
    for _ in range(40):
        mask = rng.random((6, 6)) < rng.uniform(0.3, 0.7)
        padded = np.pad(mask, 1)
        before = counts(mask)
        for y, x in np.ndindex(mask.shape):
            flipped = mask.copy()
            flipped[y, x] ^= True
            code = code_of(padded[y : y + 3, x : x + 3])
            seen.add(code)
            assert simple_points()[code] == (counts(flipped) == before)
    assert len(seen) > 200


def test_borders_in_other_places_are_no_error():
    truth, moved = np.zeros((2, 20, 20), bool)
    truth[2:9, 2:9], moved[4:12, 3:10] = True, True
    assert warping_error(truth, moved) == 0


def test_a_split_costs_its_line_and_a_lost_cell_its_last_pixel():
    truth, split, lost = np.zeros((3, 20, 20), bool)
    truth[2:9, 2:9], truth[12:15, 12:15] = True, True
    split[:], lost[2:9, 2:9] = truth, True
    split[2:9, 5] = False
    assert warping_error(truth, split) == pytest.approx(1 / 400)  # the line but its last pixel
    assert warping_error(truth, lost) == pytest.approx(1 / 400)
    assert warping_error(truth, truth) == 0


def test_a_stack_is_the_mean_of_its_planes():
    truth = np.zeros((2, 9, 9), bool)
    truth[0, 3:6, 3:6] = True
    assert warping_error(truth, np.zeros_like(truth)) == pytest.approx(1 / 81 / 2)
