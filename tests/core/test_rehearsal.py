"""What a model did well before teaching is rehearsed on drawn scenes, and so not forgotten."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unet.core import fine_tuning, live, score, segment
from napari_unet.core import rehearsal as rehearsal_module
from napari_unet.core.fine_tuning import iter_finetune
from napari_unet.core.knowing import Knowledge
from napari_unet.core.live import LiveTeaching
from napari_unet.core.optimise import Budget, Optimisation, TrainSettings
from napari_unet.core.rehearsal import Rehearsal
from napari_unet.core.train import iter_train
from small_scenes import SMALL, discs, ended, example, photograph, small_model

SETTINGS = TrainSettings(patch=48, batch=2, learning_rate=1e-2, average=0.9)
CPU = {"device": "cpu", "precision": "float32"}
CENTERS = [(14, 14), (14, 46), (32, 30), (48, 14), (48, 48)]


def drawn(shape, seed=0):
    """A scene that the small models know."""
    centers = [(y, x) for y in range(14, shape[0], 17) for x in range(14, shape[1], 17)]
    labels = discs(shape, centers)
    return photograph(labels, seed), labels


def unknown(shape, seed=0):
    image, labels = drawn(shape, seed)
    return -image, labels


@pytest.fixture(autouse=True)
def small(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(rehearsal_module, "SCENES", (drawn,))
    monkeypatch.setattr(rehearsal_module, "SIDE", 96)
    monkeypatch.setattr(rehearsal_module, "PATCH", 48)


@pytest.fixture(scope="module")
def bright():
    config = replace(SMALL, width=8)
    return ended(iter_train([example(CENTERS)], config, settings=SETTINGS, steps=80, **CPU))[1]


def rehearsing(model, keep=1.0, *, knows=False):
    run = Optimisation(
        replace(model).network, SETTINGS, Budget(None, 5), CPU["device"], CPU["precision"], 0
    )
    run.freeze_batch_norm()
    return Rehearsal(model, run, keep, knows=knows), run


def test_nothing_has_moved_before_the_first_step(bright):
    rehearsal, run = rehearsing(bright)
    run.network.eval()
    assert not rehearsal.is_empty
    assert [rehearsal.loss().item() for _ in range(30)] == pytest.approx([0.0] * 30, abs=1e-4)


@pytest.mark.parametrize(("knows", "times"), [(True, 2), (False, 8)])
def test_a_network_that_moves_is_held_by_as_much_as_is_asked(bright, knows, times):
    """Half way it is held half as much, an eighth while another kind of image is learnt."""
    losses = []
    for keep in (0.5, 1.0):
        rehearsal, run = rehearsing(bright, keep, knows=knows)
        run.network.eval()
        before = {name: p.clone() for name, p in run.network.named_parameters()}
        with torch.no_grad():
            for p in run.network.parameters():
                p += 0.05
            losses.append(rehearsal.loss().item())
            for name, p in run.network.named_parameters():
                p.copy_(before[name])
    assert losses[0] > 0 and losses[1] == pytest.approx(times * losses[0], rel=1e-4)


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("module", [fine_tuning, live])
def test_a_lesson_holds_by_whether_the_kind_is_known(bright, monkeypatch, module, is_known):
    begun = []

    def begin(*args, knows):
        begun.append(knows)
        return Rehearsal(*args, knows=knows)

    monkeypatch.setattr(module, "Rehearsal", begin)
    monkeypatch.setattr(module, "what_is_known", lambda *_, **__: Knowledge(is_known))
    shown = [example(CENTERS)]
    if module is live:
        learner = LiveTeaching(bright, keep=0.5, settings=SETTINGS, **CPU)
        ended(learner.learn(shown, seconds=0.01))
    else:
        ended(iter_finetune(bright, shown, steps=1, keep=0.5, settings=SETTINGS, **CPU))
    assert begun == [is_known]


def test_a_model_that_knows_none_of_the_scenes_rehearses_nothing(bright, monkeypatch):
    assert rehearsing(small_model())[0].is_empty
    monkeypatch.setattr(rehearsal_module, "SCENES", (unknown,))
    rehearsal, _ = rehearsing(bright)
    assert rehearsal.is_empty and rehearsal.loss().item() == 0


def test_another_kind_of_image_is_learnt_and_what_was_known_stays(bright):
    shown = example(CENTERS)
    dark = replace(shown, image=1 - shown.image)
    image, truth = drawn((96, 96), seed=3)

    def known(keep):
        steps = iter_finetune(bright, [dark], steps=300, keep=keep, settings=SETTINGS, **CPU)
        model = ended(steps)[1][0]
        learnt = segment(1 - image, model, axes="YX", **CPU).labels
        assert score(truth, learnt).average_precision[0.5] > 0.8
        found = segment(image, model, axes="YX", **CPU).labels
        return score(truth, found).average_precision[0.5]

    assert known(0.0) < 0.3
    assert known(0.6) > 0.7


@pytest.mark.slow
def test_in_a_later_round_it_is_the_base_that_is_rehearsed(bright):
    """A model that has forgotten cannot tell what there was to know; the one before it can.

    So small a network has no room for both kinds with every seed: one of a few has to do.
    """
    shown = example(CENTERS)
    # All of it counts as new: so small a network would lose it again, which would not be taken.
    dark = replace(shown, image=1 - shown.image, recent=np.ones(shown.image.shape, bool))
    image, truth = drawn((96, 96), seed=3)

    def taught(model, keep, base=None, seed=0):
        steps = iter_finetune(
            model, [dark], steps=300, keep=keep, base=base, settings=SETTINGS, seed=seed, **CPU
        )
        return ended(steps)[1][0]

    def known(model):
        found = segment(image, model, axes="YX", **CPU).labels
        return score(truth, found).average_precision[0.5]

    forgot = taught(bright, 0.0)
    assert known(forgot) < 0.3 and known(taught(forgot, 1.0)) < 0.3
    assert any(known(taught(forgot, 1.0, bright, seed)) > 0.5 for seed in range(4))


def test_nothing_is_drawn_to_learn_freely(bright, monkeypatch):
    monkeypatch.setattr(rehearsal_module, "SCENES", ())
    assert rehearsing(bright, 0.0)[0].is_empty


def test_scenes_of_a_kind_are_of_many_looks_and_sizes(bright):
    seen = []

    def noted(shape, seed=0):
        seen.append(seed)
        return drawn(shape, seed)

    scenes = rehearsal_module._known_scenes(
        replace(bright, config=replace(bright.config, diameter=12.0)),
        noted,
        rehearsing(bright)[1],
        5,
    )
    assert seen == list(range(5, 5 + rehearsal_module.DRAWN))
    assert len({scene.shape for scene in scenes}) > 4


def test_each_patch_comes_with_what_was_said_of_it_before(bright):
    rehearsal, run = rehearsing(bright)
    with torch.no_grad():
        before = [run.network.eval()(image) for image, _ in rehearsal.patches()]
        for p in run.network.parameters():
            p += 1.0
    assert len(before) == rehearsal_module.PATCHES
    for answer, (_, known) in zip(before, rehearsal.patches(), strict=True):
        torch.testing.assert_close(known, answer, atol=1e-4, rtol=1e-4)


def test_with_three_channels_and_at_another_size_scenes_fit_the_network(monkeypatch):
    monkeypatch.setattr(rehearsal_module, "KNOWN", -1.0)
    config = replace(SMALL, in_channels=3, diameter=6.0)
    model = replace(small_model(), config=config)
    from napari_unet.core.model_file import Model

    rehearsal, _ = rehearsing(Model.fresh(config))
    assert model.config.diameter == 6.0 and not rehearsal.is_empty
    assert np.isfinite(rehearsal.loss().item())
