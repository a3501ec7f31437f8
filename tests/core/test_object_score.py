"""Objects are judged by their looks, and the better of those that overlap is chosen."""

import numpy as np
import pytest
from scipy import ndimage, optimize
from skimage.measure import regionprops

from napari_unet.core.errors import InputError
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.object_score import (
    LEAST,
    LOOKS,
    ObjectScore,
    choose_objects,
    fit_score,
    looks_of,
    upper_threshold,
)
from small_scenes import discs

DIAMETER = 10.0


def look(looks, name):
    return looks[:, LOOKS.index(name)]


def score_by(constant=0.0, **coefficients):
    """A score of a few looks, the others do not count."""
    values = [coefficients.get(name.replace(" ", "_"), 0.0) for name in LOOKS]
    return ObjectScore((*values, constant), DIAMETER)


@pytest.fixture
def scene():
    """Shapes of several kinds, and a probability that is uneven."""
    labels = discs((60, 80), [(12, 12), (12, 40)], radius=7).astype(np.int32)
    labels[30:36, 5:35] = 3
    labels[42:56, 5:9] = labels[52:56, 5:25] = 4  # an L
    labels[30:40, 50:60] = 5
    labels[30:40, 60:70] = 6
    labels[50:60, 70:80] = 7
    rng = np.random.default_rng(0)
    probability = ndimage.gaussian_filter(rng.random(labels.shape), 2).astype(np.float32)
    return labels, probability


def test_shapes_are_as_scikit_image_measures_them(scene):
    labels, probability = scene
    looks = looks_of(labels, probability, DIAMETER)
    regions = regionprops(labels, probability)
    size = [np.log(r.area / (np.pi / 4 * DIAMETER**2)) for r in regions]
    np.testing.assert_allclose(look(looks, "size"), size)
    mean = [r.intensity_mean for r in regions]
    np.testing.assert_allclose(look(looks, "probability"), mean, rtol=1e-5)
    # Principal axes of pixels that are squares, not points.
    axes = [
        np.linalg.eigvalsh(
            np.array([[m[2, 0], m[1, 1]], [m[1, 1], m[0, 2]]]) / m[0, 0] + np.eye(2) / 12
        )
        for m in (r.moments_central for r in regions)
    ]
    short, long = np.transpose(axes)
    area = np.array([r.area for r in regions])
    np.testing.assert_allclose(
        look(looks, "fill of the ellipse"), area / (4 * np.pi * np.sqrt(short * long))
    )
    np.testing.assert_allclose(
        look(looks, "elongation"), (long - short) / (long + short), atol=1e-9
    )
    usual = np.median([r.area for r in regions])
    np.testing.assert_allclose(
        look(looks, "size against the others"), [np.log(r.area / usual) for r in regions]
    )


def test_rims_by_hand(scene):
    labels, _ = scene
    probability = np.zeros(labels.shape, np.float32)
    probability += np.linspace(0, 0.79, 80, dtype=np.float32)  # 0.01 a column
    looks = looks_of(labels, probability, DIAMETER)
    # A square of 10 pixels has a rim of 36, of which 10 touch the square beside it.
    np.testing.assert_allclose(look(looks, "rim shared with others")[4:6], 10 / 36)
    assert (look(looks, "rim shared with others")[[0, 1, 2, 3, 6]] == 0).all()
    np.testing.assert_allclose(look(looks, "steepness of the rim")[:6], 0.01, rtol=1e-4)
    np.testing.assert_allclose(look(looks, "probability of the rim")[4], 0.545, rtol=1e-4)
    # Two pixels out: left of the first column and of the second one, above and below the two
    # rows at each end; on the right lies the other square.
    columns = np.arange(50, 60)
    sides = [48] * 10 + [49] * 2
    ends = [*columns, *columns, 50, 59, 50, 59][:22]
    expected = (np.sum(sides) + np.sum(ends)) / (len(sides) + len(ends)) * 0.01
    np.testing.assert_allclose(look(looks, "probability around")[4], expected, rtol=1e-2)
    assert look(looks, "is cut by the border").tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_nothing_has_no_looks():
    nothing = np.zeros((5, 6), np.int32)
    assert looks_of(nothing, nothing.astype(np.float32), DIAMETER).shape == (0, len(LOOKS))


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
    np.testing.assert_array_equal(labels > 0, expected > 0)
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


def test_outlines_follow_the_threshold_of_each_object_on_a_finer_grid():
    probability = np.zeros((20, 45), np.float32)
    probability[4:16, 4:16] = probability[4:16, 28:40] = 0.95
    probability[4:16, 16:20] = 0.6  # haze on one side of the first
    probability = ndimage.gaussian_filter(probability, 1.0)
    shape = (60, 135)
    for constant, threshold in ((2.0, upper_threshold(0.5)), (-2.0, 0.5)):
        score = score_by(is_of_the_upper_threshold=constant, constant=1.0)
        labels = probability_to_labels(probability, min_size=5, shape=shape, score=score)
        expected = probability_to_labels(probability, min_size=5, shape=shape, threshold=threshold)
        np.testing.assert_array_equal(labels, expected)


def test_a_score_is_fitted_as_another_solver_does():
    rng = np.random.default_rng(1)
    looks = [rng.normal(size=(n, len(LOOKS))) for n in (30, 200, 90)]
    true = rng.normal(size=len(LOOKS)) / 2
    ious = [1 / (1 + np.exp(-(x @ true + 0.3 + rng.normal(size=len(x)) / 4))) for x in looks]
    score = fit_score(looks, ious, DIAMETER)
    x, y = np.concatenate(looks), np.concatenate(ious)
    weight = np.repeat([1 / np.sqrt(len(one)) for one in ious], [len(one) for one in ious])
    weight /= weight.sum()
    spread = x.std(axis=0)

    def loss(b):
        logit = x @ b[:-1] + b[-1]
        return (weight * (np.logaddexp(0, logit) - y * logit)).sum() + 5e-4 * (
            (b[:-1] * spread) ** 2
        ).sum()

    other = optimize.minimize(loss, np.zeros(len(LOOKS) + 1), method="BFGS", tol=1e-10).x
    np.testing.assert_allclose(score.coefficients, other, atol=2e-4)
    assert score.diameter == DIAMETER
    np.testing.assert_allclose(
        score.score(x), 1 / (1 + np.exp(-(x @ other[:-1] + other[-1]))), atol=1e-3
    )


def test_too_few_objects_give_no_score():
    few = np.random.default_rng(0).normal(size=(20, len(LOOKS)))
    assert fit_score([few], [np.full(20, 0.5)], DIAMETER) is None


@pytest.mark.parametrize("values", [(), (1.0,) * len(LOOKS), (np.nan,) * (len(LOOKS) + 1)])
def test_other_numbers_of_coefficients_are_refused(values):
    with pytest.raises(InputError, match=f"it must have {len(LOOKS) + 1} finite ones"):
        ObjectScore(values, DIAMETER)
