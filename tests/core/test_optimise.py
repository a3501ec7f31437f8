"""The training loop: what it keeps to, what it keeps as it is, and how it ends."""

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from napari_unet.core import budget, optimise
from napari_unet.core.augment import AugmentConfig
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import ComputeError, InputError, OutOfMemoryError
from napari_unet.core.lesson import steps_of
from napari_unet.core.losses import weighted_cross_entropy
from napari_unet.core.model_file import Model
from napari_unet.core.optimise import Budget, Optimisation, TrainSettings
from napari_unet.core.sampling import PatchSampler, WeightSettings
from small_scenes import SMALL, ended, example, small_model

SETTINGS = TrainSettings(patch=32, batch=2, learning_rate=1e-2, average=0.9)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(budget.time, "monotonic", lambda: self.now)


def a_sampler(seed=0):
    return PatchSampler(
        [example([(20, 20), (44, 44)])],
        side=32,
        batch=2,
        percentiles=SMALL.percentiles,
        augment=AugmentConfig(),
        weights=WeightSettings(),
        seed=seed,
    )


def loss_of(logits, batch):
    return weighted_cross_entropy(logits, batch.target, batch.weight)


def optimised(steps=5, *, freeze=False, loss=loss_of, cancelled=None, model=None, seconds=None):
    network = (model or small_model()).network
    run = Optimisation(network, SETTINGS, Budget(seconds, steps), "cpu", "float32", 0)
    if freeze:
        run.freeze_batch_norm()
    events, _ = ended(run.steps(a_sampler(), loss, cancelled))
    return run, events


@pytest.mark.parametrize(("seconds", "steps"), [(None, None), (0, None), (-1.0, 5), (None, 0)])
def test_a_budget_is_more_than_nothing(seconds, steps):
    with pytest.raises(InputError, match=r"seconds"):
        Budget(seconds, steps)


def test_steps_are_kept_to_exactly():
    _run, events = optimised(7)
    assert events[-1].step == 7
    assert events[-1].fraction == 1


def test_whichever_of_seconds_and_steps_is_over_first_ends_it(monkeypatch):
    clock, budget = Clock(monkeypatch), None
    budget = Budget(10.0, 100)
    for _ in range(20):
        clock.now += 1
        budget.count_step()
        if budget.is_spent:
            break
    assert budget.step == 10
    budget = Budget(1000.0, 3)
    while not budget.is_spent:
        clock.now += 1
        budget.count_step()
    assert budget.step == 3


def test_a_slow_start_does_not_end_a_budget_early(monkeypatch):
    clock = Clock(monkeypatch)
    budget = Budget(10.0, None)
    clock.now += 6  # loading, preparing
    while not budget.is_spent:
        clock.now += 0.5
        budget.count_step()
    assert 9.5 <= budget.elapsed <= 10.25


def test_time_is_kept_back_but_never_more_than_a_quarter(monkeypatch):
    clock = Clock(monkeypatch)
    budget = Budget(10.0, None)
    budget.keep_back(1.0)
    assert budget.seconds == 9
    budget.keep_back(100.0)
    assert budget.seconds == pytest.approx(6.75)
    clock.now += 3.375
    assert budget.fraction == pytest.approx(0.5)


def test_the_rate_rises_shortly_and_falls_to_zero(monkeypatch):
    clock = Clock(monkeypatch)
    budget = Budget(100.0, None)
    rates = []
    for _ in range(101):
        rates.append(budget.learning_rate(1.0))
        clock.now += 1
    assert rates[0] == pytest.approx(0.05)
    assert max(rates) == pytest.approx(1, abs=0.01)
    assert rates.index(max(rates)) in (1, 2)
    assert rates[50] == pytest.approx(0.5, abs=0.01)
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[100] == pytest.approx(0, abs=1e-6)


def test_seconds_are_kept_to():
    start = time.monotonic()
    _, events = optimised(None, seconds=2.0)
    assert 1.5 < time.monotonic() - start < 3.0
    assert events[-1].step > 3


def test_reports_come_a_few_times_a_second_and_at_the_end():
    _, events = optimised(None, seconds=1.5)
    gaps = [b.seconds - a.seconds for a, b in pairwise(events)]
    assert all(gap >= optimise.REPORT_EVERY_S - 0.01 for gap in gaps[:-1])
    assert [event.fraction for event in events] == sorted(event.fraction for event in events)
    assert all(0 < event.loss < 10 for event in events)


def test_cancelling_ends_it_before_the_next_step():
    seen = []

    def cancelled():
        seen.append(1)
        return len(seen) > 3

    run, events = optimised(1000, cancelled=cancelled)
    assert events[-1].step == 3
    assert run.averaged()


def test_cancelled_before_the_first_step_nothing_is_changed():
    model = small_model()
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    run, events = optimised(1000, cancelled=lambda: True, model=model)
    assert events == []
    after = run.averaged().state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def statistics(network):
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    return torch.cat([t for norm in norms for t in (norm.running_mean, norm.running_var)])


def test_frozen_batch_norm_keeps_its_statistics_and_learns_its_factors():
    model = small_model()
    before = statistics(model.network).clone()
    factors = model.network.down[0][1].weight.detach().clone()
    run, _ = optimised(5, freeze=True, model=model)
    assert torch.equal(statistics(run.network), before)
    assert torch.equal(statistics(run.averaged()), before)
    assert not torch.equal(run.network.down[0][1].weight, factors)


def test_batch_norm_that_is_not_frozen_moves():
    model = small_model()
    before = statistics(model.network).clone()
    run, _ = optimised(5, model=model)
    assert not torch.equal(statistics(run.network), before)


@pytest.mark.parametrize("levels", [1, 2])
def test_frozen_levels_stay_and_the_others_learn(levels):
    model = small_model()
    before = [[p.clone() for p in block.parameters()] for block in model.network.down]
    settings = replace(SETTINGS, frozen=levels)
    run = Optimisation(model.network, settings, Budget(None, 5), "cpu", "float32", 0)
    run.freeze_batch_norm()
    ended(run.steps(a_sampler(), loss_of, None))
    for network in (run.network, run.averaged()):
        for number, block in enumerate(network.down):
            same = [
                torch.equal(a, b) for a, b in zip(block.parameters(), before[number], strict=True)
            ]
            assert all(same) if number < levels else not any(same)
    assert all(p.requires_grad for p in run.averaged().parameters())  # ready to learn on


@pytest.mark.parametrize("levels", [-1, 9])
def test_more_levels_than_there_are_cannot_stay(levels):
    settings = replace(SETTINGS, frozen=levels)
    with pytest.raises(InputError, match="contracting path has"):
        Optimisation(small_model().network, settings, Budget(None, 5), "cpu", "float32", 0)


def test_an_epoch_covers_what_is_checked_once():
    whole = example([(20, 20)])
    pixels = whole.labels.size
    half = replace(whole, checked=np.indices(whole.labels.shape)[0] * 2 < whole.labels.shape[0])
    settings = TrainSettings(patch=16, batch=2)
    assert steps_of(1, [whole], settings) == -(-pixels // 512)
    assert steps_of(4, [whole, half], settings) == -(-6 * pixels // 512)
    assert steps_of(0.001, [half], settings) == 1
    sized = replace(whole, diameter=10.0)
    assert steps_of(1, [sized], settings, 20.0) == -(-4 * pixels // 512)


def test_the_average_is_that_of_the_formula():
    model = small_model()
    bias = [model.network.head.bias.detach().clone()]

    def watching(logits, batch):
        bias.append(run.network.head.bias.detach().clone())
        return loss_of(logits, batch)

    run = Optimisation(model.network, SETTINGS, Budget(None, 12), "cpu", "float32", 0)
    ended(run.steps(a_sampler(), watching, None))
    bias.append(run.network.head.bias.detach().clone())
    expected = bias[0]
    for step, now in enumerate(bias[2:]):  # the first loss sees the weights before any step
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * now
    torch.testing.assert_close(run.averaged().head.bias.detach(), expected)


@pytest.mark.parametrize(("weight", "expected"), [(0.0, 1.0), (1.0, 5.0), (0.5, 3.0)])
def test_side_outputs_count_as_their_mean_times_their_weight(weight, expected):
    """Of a U-Net++ of depth 3: its output has a loss of 1, the two others of 3 and 5."""
    model = Model.fresh(ModelConfig("unet++", width=2, depth=3))
    asked = []

    def loss(logits, batch):
        asked.append(logits.shape)
        return 0 * logits.sum() + (1.0, 3.0, 5.0)[(len(asked) - 1) % 3]

    settings = replace(SETTINGS, side_weight=weight)
    run = Optimisation(model.network, settings, Budget(None, 1), "cpu", "float32", 0)
    events, _ = ended(run.steps(a_sampler(), loss, None))
    assert events[-1].loss == pytest.approx(expected)
    assert len(asked) == (3 if weight else 1)


def failing(error):
    def loss(logits, batch):
        raise error

    return loss


def test_a_failure_in_torch_is_one_sentence():
    error = RuntimeError("size mismatch.\nException raised from add\nframe #0: libtorch")
    with pytest.raises(ComputeError, match=r"^Training failed: size mismatch\.$"):
        optimised(loss=failing(error))


def test_too_little_memory_says_what_to_do():
    with pytest.raises(OutOfMemoryError, match="choose smaller patches"):
        optimised(loss=failing(torch.OutOfMemoryError("CUDA out of memory")))


def test_after_a_failure_no_thread_is_left():
    import threading

    with pytest.raises(ComputeError):
        optimised(loss=failing(RuntimeError("odd")))
    assert not [t for t in threading.enumerate() if t.name.startswith("patches")]
