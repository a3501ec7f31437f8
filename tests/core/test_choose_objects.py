"""The better of objects that overlap is chosen."""

import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core.choose_objects import LEAST, choose_objects
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.object_score import LOOKS, ObjectScore, outline_of_upper
from small_scenes import discs

DIAMETER = 10.0


def score_by(constant=0.0, **coefficients):
    """A score of a few looks, the others do not count."""
    values = [coefficients.get(name.replace(" ", "_"), 0.0) for name in LOOKS]
    return ObjectScore((*values, constant), DIAMETER)


def haze():
    """Two nuclei in a haze that joins them, and one that stands alone."""
    probability = np.zeros((40, 90), np.float32)
    probability[5:35, 5:55] = 0.55
    discs_there = discs(probability.shape, [(20, 17), (20, 42), (20, 75)], radius=7) > 0
    probability[discs_there] = 0.95
    return probability


def test_of_objects_of_two_thresholds_the_better_ones_are_taken():
    probability = haze()
    plain = probability_to_labels(probability, min_size=5)
    assert plain.max() == 2  # haze and all that is in it, and the one alone
    score = score_by(probability=10.0, constant=-7.5)
    labels = probability_to_labels(probability, min_size=5, score=score)
    expected = probability_to_labels(probability, min_size=5, threshold=0.7)
    assert (labels[expected > 0] > 0).all()
    # They are drawn out to 0.55, by a pixel at the most.
    is_rim = ndimage.binary_dilation(expected > 0) & (expected == 0) & (probability >= 0.55)
    np.testing.assert_array_equal(labels > 0, (expected > 0) | is_rim)
    assert sorted(np.unique(labels)) == [0, 1, 2, 3]


def test_the_larger_one_is_taken_where_that_looks_better():
    score = score_by(is_of_the_upper_threshold=-1.0)
    labels = probability_to_labels(haze(), min_size=5, score=score)
    np.testing.assert_array_equal(labels, probability_to_labels(haze(), min_size=5))


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_what_is_likely_no_object_is_left_out_and_a_lower_threshold_takes_more(threshold):
    probability = np.zeros((40, 90), np.float32)
    probability[10:20, 10:20] = 0.99
    probability[10:20, 40:50] = 0.85
    for likely in (LEAST * threshold - 0.01, LEAST * threshold + 0.01):
        # The second one has this score, the first a higher one.
        constant = np.log(likely / (1 - likely)) - 10 * 0.85
        score = score_by(probability=10.0, constant=constant)
        labels = probability_to_labels(probability, threshold=threshold, min_size=5, score=score)
        assert labels.max() == (1 if likely < LEAST * threshold else 2)


def test_objects_that_share_little_stand_side_by_side_and_the_better_one_on_top():
    lower, upper = np.zeros((12, 30), np.int32), np.zeros((12, 30), np.int32)
    lower[2:10, 2:12] = 1
    upper[2:10, 10:20] = 1  # shares 16 of 80 pixels
    belief = np.full(lower.shape, 0.6, np.float32)
    for sign in (-1.0, 1.0):
        score = score_by(is_of_the_upper_threshold=sign, constant=1.0)
        labels, is_upper, _ = choose_objects(lower, upper, belief, score, 0.5)
        assert is_upper.tolist() == [False, False, True]
        assert (labels[2:10, 10:12] == (1 if sign < 0 else 2)).all()
        assert (labels[2:10, 2:10] == 1).all() and (labels[2:10, 12:20] == 2).all()
    upper[2:10, 8:12] = 1  # now 32 of 80 and of 112
    labels, is_upper, _ = choose_objects(lower, upper, belief, score, 0.5)
    assert is_upper.tolist() == [False, True]


def test_outlines_of_either_threshold_are_drawn_where_a_person_would_on_every_grid():
    probability = np.zeros((20, 45), np.float32)
    probability[4:16, 4:16] = probability[4:16, 28:40] = 0.95
    probability[4:16, 16:22] = 0.6  # haze on one side of the first
    probability = ndimage.gaussian_filter(probability, 1.0)
    for shape in ((60, 135), (20, 45), (15, 33)):
        rows = slice(shape[0] // 3, shape[0] - shape[0] // 3)
        scale = shape[1] / 45
        haze = slice(round(19 * scale), round(21 * scale))
        second = slice(round(25 * scale), shape[1])
        for constant, threshold in ((2.0, outline_of_upper(0.5)), (-2.0, 0.5)):
            score = score_by(is_of_the_upper_threshold=constant, constant=1.0)
            labels = probability_to_labels(probability, min_size=5, shape=shape, score=score)
            expected = probability_to_labels(
                probability, min_size=5, shape=shape, threshold=threshold
            )
            np.testing.assert_array_equal(labels[:, second] > 0, expected[:, second] > 0)
            assert (labels[rows, haze] > 0).all() == (constant < 0)
            assert (labels[rows, haze] > 0).any() == (constant < 0)
