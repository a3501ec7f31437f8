"""A score of objects is fitted to what they look like."""

import numpy as np
import pytest
from scipy import optimize

from napari_unet.core.errors import InputError
from napari_unet.core.object_score import LOOKS, ObjectScore, fit_score

DIAMETER = 10.0


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
