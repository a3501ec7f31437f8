from dataclasses import replace

import pytest
import torch

from napari_unet.core.augment import AugmentConfig
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.train import iter_train
from napari_unet.core.watch import Watch
from small_scenes import SMALL, ended, example

SETTINGS = TrainSettings(
    patch=32, batch=1, learning_rate=1e-2, average=0.9, augment=AugmentConfig(elastic_sigma=2)
)


def told(losses, **settings):
    watch = Watch(1, **settings)
    for loss in losses:
        watch.tell(loss)
    return watch


def test_it_is_over_after_so_many_looks_that_are_no_better():
    assert not told([1.0, 0.9, 0.95, 0.91], patience=3).is_over
    assert told([1.0, 0.9, 0.95, 0.91, 0.9], patience=3).is_over
    assert not told([1.0] * 50).is_over


def test_the_rate_falls_to_a_tenth_and_again():
    assert told([1.0, 1.0], drop_after=2).factor == 1
    assert told([1.0] * 3, drop_after=2).factor == pytest.approx(0.1)
    assert told([1.0] * 5, drop_after=2).factor == pytest.approx(0.01)
    assert told([1.0, 1.0, 0.5, 0.5], drop_after=2).factor == 1


def test_the_mean_of_the_steps_since_the_last_look_counts():
    watch = Watch(2, patience=1)
    for step, loss in enumerate([1.0, 3.0, 1.0, 1.0], 1):
        watch.after_step(step, torch.tensor(loss), torch.nn.Identity())
    assert not watch.is_over  # 2, then 1
    for step, loss in ((5, 1.0), (6, 1.1)):
        watch.after_step(step, torch.tensor(loss), torch.nn.Identity())
    assert watch.is_over


def test_watching_goes_on_from_its_state():
    first = told([1.0, 1.0], patience=3, drop_after=1)
    first.after_step(2, torch.tensor(1.0), torch.nn.Identity())
    second = Watch(1, patience=3, drop_after=1)
    second.restore(first.state())
    assert second.factor == first.factor
    second.tell(1.0)
    assert second.is_over


def test_a_run_that_learns_no_more_ends_early():
    torch.set_num_threads(1)
    settings = replace(SETTINGS, learning_rate=1e-8, patience=2, watch_every=2, schedule="constant")
    watched = [example([(20, 20)])]
    _, model = ended(
        iter_train(
            [example([(30, 30)])],
            SMALL,
            settings=settings,
            watched=watched,
            steps=500,
            device="cpu",
            precision="float32",
        )
    )
    steps = int(model.card.history[-1].split("(")[1].split()[0])
    assert steps < 100
