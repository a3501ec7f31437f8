import pytest
import torch

from napari_unet.core.schedules import SCHEDULES, rate_of


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_rate_is_never_below_nothing_nor_above_the_highest(name):
    rates = [rate_of(name, step / 1000) for step in range(1001)]
    assert min(rates) >= 0
    assert max(rates) == pytest.approx(1, abs=0.01)
    assert rates[0] < 0.06  # none begins at once


@pytest.mark.parametrize(
    ("name", "at", "factor"),
    [
        ("constant", 0.01, 0.55),  # of the rise over a fiftieth
        ("constant", 1.0, 1.0),
        ("cosine", 0.5, 0.5),
        ("cosine", 1.0, 0.0),
        ("step", 0.49, 1.0),
        ("step", 0.51, 0.1),
        ("step", 0.76, 0.01),
        ("restarts", 1 / 7 - 1e-9, 0.0),
        ("restarts", 1 / 7 + 1e-9, 1.0),
        ("restarts", 2 / 7, 0.5),  # the second takes two sevenths
        ("restarts", 1.0, 0.0),
        ("plateau", 0.9, 1.0),
    ],
)
def test_rates_by_hand(name, at, factor):
    assert rate_of(name, at) == pytest.approx(factor, abs=1e-6)


def test_one_cycle_is_that_of_torch():
    steps = 200
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=steps)
    # torch's peak is at step 0.3 n - 1, and its end at n - 1
    for step in range(steps):
        if step in (0, 59, 130, 199):
            at = step / 59 * 0.3 if step < 60 else 0.3 + 0.7 * (step - 59) / 140
            assert rate_of("one-cycle", at) == pytest.approx(theirs.get_last_lr()[0], abs=1e-6)
        optimizer.step()
        theirs.step()
