"""What can be chosen of a training run's craft, each by itself."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from napari_unet.core.augment import AugmentConfig
from napari_unet.core.errors import InputError
from napari_unet.core.lesson import checked_loss
from napari_unet.core.loss_config import LossConfig
from napari_unet.core.model_file import Model
from napari_unet.core.optimise import Budget, Optimisation, TrainSettings
from napari_unet.core.optimisers import OPTIMISERS, build_optimiser
from napari_unet.core.sampling import Batch, PatchSampler, WeightSettings
from small_scenes import SMALL, ended, example, loss_left, small_model

SETTINGS = TrainSettings(patch=32, batch=2, learning_rate=1e-2, average=0.0)
LOSS = checked_loss(LossConfig.parse("ce"))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def sampler(batch=2):
    return PatchSampler(
        [example([(20, 20), (44, 44)])],
        side=32,
        batch=batch,
        percentiles=SMALL.percentiles,
        augment=AugmentConfig(),
        weights=WeightSettings(),
        seed=0,
    )


def optimised(steps=3, batch=2, model=None, **settings):
    network = (model or small_model()).network
    chosen = replace(SETTINGS, **settings)
    run = Optimisation(network, chosen, Budget(None, steps), "cpu", "float32", 0)
    events, _ = ended(run.steps(sampler(batch), LOSS, None))
    return run, events


@pytest.mark.usefixtures("each_step_reported")
@pytest.mark.parametrize("name", OPTIMISERS)
def test_each_optimiser_learns(name):
    rate = {"sgd": 1e-3}.get(name, 1e-2)
    _, events = optimised(80, optimiser=name, learning_rate=rate, schedule="constant")
    assert loss_left(events) < 0.8


def test_momentum_of_the_paper_and_its_step_by_hand():
    weight = nn.Parameter(torch.tensor([1.0]))
    optimiser = build_optimiser("sgd", [weight], learning_rate=0.1, weight_decay=0.0)
    for _ in range(2):
        optimiser.zero_grad()
        (2 * weight).sum().backward()
        optimiser.step()
    assert weight.item() == pytest.approx(1 - 0.1 * 2 - 0.1 * (0.99 * 2 + 2))


class Halves:
    """Gives the batches of a sampler patch by patch."""

    def batches(self, first, step):
        for batch in sampler().batches(first // 2):
            for patch in (slice(0, 1), slice(1, 2)):
                yield Batch(batch.image[patch], batch.target[patch], batch.weight[patch])


def test_two_batches_of_one_patch_make_the_step_of_a_batch_of_two():
    moved = []
    for source, accumulate in ((sampler(), 1), (Halves(), 2), (Halves(), 1)):
        settings = replace(SETTINGS, optimiser="sgd", learning_rate=1.0, accumulate=accumulate)
        run = Optimisation(without_norm().network, settings, Budget(None, 1), "cpu", "float32", 0)
        ended(run.steps(source, LOSS, None))
        moved.append(run.network.head.weight.detach())
    assert torch.allclose(moved[0], moved[1], atol=1e-5)
    assert not torch.allclose(moved[0], moved[2], atol=1e-3)


def without_norm():
    return Model.fresh(replace(SMALL, norm="none"), seed=0)


def test_a_gradient_is_clipped_to_its_norm_or_let_be():
    moved = {}
    for clip in (0.0, 1e-2):
        model = small_model()
        before = [weight.detach().clone() for weight in model.network.parameters()]
        run, _ = optimised(
            1, model=model, clip=clip, optimiser="sgd", weight_decay=0.0, learning_rate=1.0
        )
        pairs = zip(run.network.parameters(), before, strict=True)
        moved[clip] = float(sum((a - b).detach().square().sum() for a, b in pairs) ** 0.5)
    rate = 0.05  # of the first step of the rise
    assert moved[1e-2] == pytest.approx(1e-2 * rate, rel=0.01)
    assert moved[0.0] > 10 * moved[1e-2]


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_run_of_any_optimiser_goes_on_where_it_was(name):
    settings = replace(SETTINGS, optimiser=name, schedule="step", accumulate=2)

    def run():
        return Optimisation(small_model().network, settings, Budget(None, 4), "cpu", "float32", 0)

    whole, first, second = run(), run(), run()
    ended(whole.steps(sampler(), LOSS, None))
    ended(first.steps(sampler(), LOSS, lambda: first._budget.step == 2))
    second.restore(first.state())
    ended(second.steps(sampler(), LOSS, None))
    pairs = zip(whole.network.parameters(), second.network.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)


@pytest.mark.parametrize(
    "settings",
    [{"optimiser": "best"}, {"schedule": "up"}, {"momentum": 1.0}, {"accumulate": 0}],
)
def test_what_is_unknown_is_refused(settings):
    with pytest.raises(InputError):
        replace(SETTINGS, **settings)
