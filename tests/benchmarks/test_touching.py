"""Touching pairs on drawn labels."""

import numpy as np
import pytest

from benchmarks.touching import Pairs, count_pairs, touching_pairs


def two(gap: int) -> np.ndarray:
    """Two squares beside each other, and one far away."""
    labels = np.zeros((30, 40), np.int32)
    labels[2:12, 2:12] = 3
    labels[2:12, 12 + gap : 22 + gap] = 7
    labels[20:28, 2:10] = 9
    return labels


@pytest.mark.parametrize(("gap", "count"), [(0, 1), (1, 1), (2, 0)])
def test_a_pair_touches_across_one_pixel_of_background_at_most(gap, count):
    assert touching_pairs(two(gap)).tolist() == [[3, 7]] * count


@pytest.mark.parametrize("turned", [np.asarray, np.transpose, np.fliplr, np.flipud])
def test_pairs_are_found_in_every_direction(turned):
    corners = np.zeros((9, 9), np.int32)
    corners[:4, :4], corners[5:, 5:] = 1, 2
    assert len(touching_pairs(turned(corners))) == 1


def test_the_truth_itself_separates_every_pair():
    assert count_pairs(two(0), two(0)) == Pairs(separated=1)


def test_one_object_over_both_fuses_them():
    truth = two(1)
    assert count_pairs(truth, (truth > 0).astype(np.int32)) == Pairs(fused=1)


def test_a_pair_is_lost_where_nothing_covers_more_than_half_of_one():
    truth = two(0)
    prediction = truth.copy()
    prediction[2:7, 12:22] = 0
    assert count_pairs(truth, prediction) == Pairs(lost=1)


def test_pieces_of_less_than_half_lose_a_pair():
    truth = two(0)
    prediction = truth.copy()
    prediction[2:6, 2:12], prediction[6:9, 2:12], prediction[9:12, 2:12] = 20, 21, 22
    assert count_pairs(truth, prediction) == Pairs(lost=1)
