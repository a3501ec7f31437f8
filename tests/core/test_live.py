"""Live teaching: short turns that go on from one another, with more checked each time."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unet.core import live as live_module
from napari_unet.core import score, segment
from napari_unet.core.errors import InputError
from napari_unet.core.knowing import Knowledge
from napari_unet.core.live import LiveTeaching
from napari_unet.core.object_score import LOOKS
from napari_unet.core.optimise import OpenEndedBudget, TrainSettings
from napari_unet.core.size import median_diameter
from napari_unet.core.train import iter_train
from napari_unet.core.train_settings import CAREFUL_SETTINGS, TEACH_SETTINGS
from small_scenes import SMALL, ended, example, small_model

SETTINGS = TrainSettings(patch=48, batch=2, learning_rate=1e-2, average=0.9)
CPU = {"device": "cpu", "precision": "float32"}
CENTERS = [(14, 14), (14, 46), (32, 30), (48, 14), (48, 48)]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def live():
    return LiveTeaching(small_model(), settings=SETTINGS, keep=0.0, **CPU)


def turn(live, examples, seconds=0.01, **more):
    return ended(live.learn(examples, seconds=seconds, **more))


def checked_left(shown):
    checked = np.zeros(shown.labels.shape, bool)
    checked[:, :32] = True
    return replace(shown, checked=checked)


def test_turns_go_on_from_one_another(live):
    turn(live, [example(CENTERS)])
    first = live.steps
    assert first >= 1
    for _ in range(3):
        turn(live, [example(CENTERS)], seconds=0.05)
    assert live.steps > first + 2
    assert live._learner.run._optimizer.state_dict()["state"][0]["step"] == live.steps


def test_it_learns_another_kind_of_image_turn_by_turn():
    config = replace(SMALL, width=8)
    bright = ended(iter_train([example(CENTERS)], config, settings=SETTINGS, steps=80, **CPU))[1]
    shown = example(CENTERS)
    dark = checked_left(replace(shown, image=1 - shown.image))
    other = example([(20, 20), (44, 44)])
    image = 1 - other.image
    live = LiveTeaching(bright, settings=SETTINGS, **CPU)

    def ap(model):
        found = segment(image, model, axes="YX", **CPU).labels
        return score(other.labels, found).average_precision[0.5]

    assert ap(bright) == 0
    end = time.monotonic() + 60
    while ap(live.model) < 1:
        assert time.monotonic() < end
        turn(live, [dark], seconds=0.5)
    model, summary = live.finish([dark])
    assert ap(model) == 1
    assert summary.improved and summary.after > summary.before
    assert summary.live and summary.cells_kept_aside == 0 and summary.cells_taught == 3
    assert "none kept aside; on these cells: before" in summary.sentence


def test_a_turn_takes_its_time_and_no_more(live):
    turn(live, [example(CENTERS)])  # the first is slower
    for seconds in (0.3, 0.6):
        start = time.monotonic()
        reports, _ = turn(live, [example(CENTERS)], seconds=seconds)
        assert seconds <= time.monotonic() - start < seconds + 1.0
        assert reports[-1].fraction == pytest.approx(1)


def test_a_cancelled_turn_keeps_what_was_learnt(live):
    polls = []

    def cancelled():
        polls.append(1)
        return len(polls) > 3

    _, model = turn(live, [example(CENTERS)], seconds=60, cancelled=cancelled)
    assert live.steps == 3
    assert model.config == live.model.config


def test_the_model_before_is_not_changed():
    before = small_model()
    weights = [weight.clone() for weight in before.network.parameters()]
    live = LiveTeaching(before, settings=SETTINGS, **CPU)
    turn(live, [example(CENTERS)], seconds=0.1)
    after = live.model.network.parameters()
    assert all(torch.equal(a, b) for a, b in zip(weights, before.network.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(weights, after, strict=True))


def test_what_got_worse_is_not_an_improvement(live):
    shown = example(CENTERS)
    turn(live, [replace(shown, labels=np.zeros_like(shown.labels))], seconds=1.0)
    good = ended(iter_train([shown], SMALL, settings=SETTINGS, steps=80, **CPU))[1]
    worse = LiveTeaching(good, settings=SETTINGS, keep=0.0, **CPU)
    nothing = replace(shown, labels=np.zeros_like(shown.labels))
    turn(worse, [nothing], seconds=2.0)
    _, summary = worse.finish([shown])
    assert not summary.improved and summary.after < summary.before


def test_nothing_learnt_yet_and_only_background_have_no_score(live):
    _, summary = live.finish([example(CENTERS)])
    assert summary.steps == 0 and summary.before is None and summary.improved
    shown = example(CENTERS)
    empty = replace(shown, labels=np.zeros_like(shown.labels))
    turn(live, [empty])
    assert live.finish([empty])[1].before is None


def test_nothing_checked_is_refused_before_any_step(live):
    shown = example(CENTERS)
    with pytest.raises(InputError, match="Nothing is checked"):
        turn(live, [replace(shown, checked=np.zeros(shown.labels.shape, bool))])
    assert live.steps == 0


@pytest.mark.parametrize("keep", [-0.1, 1.1])
def test_keep_has_bounds(keep):
    with pytest.raises(InputError, match="from 0"):
        LiveTeaching(small_model(), keep=keep, **CPU)


def test_the_rate_rises_and_stays():
    budget, rates = OpenEndedBudget(), []
    for _ in range(40):
        rates.append(budget.learning_rate(1.0))
        budget.count_step()
    assert rates[0] == 0.1 and rates[9] == rates[-1] == 1.0
    assert rates == sorted(rates)


def test_a_score_of_objects_that_is_not_true_here_is_given_up_from_the_first_turn():
    model = small_model()
    score = (*[0.0] * len(LOOKS), -9.0)  # nothing looks right
    model = replace(model, config=replace(model.config, diameter=16.0, object_score=score))
    live = LiveTeaching(model, settings=SETTINGS, keep=0.0, **CPU)
    for _ in range(60):
        if turn(live, [example(CENTERS)], seconds=0.3)[1].config.score is None:
            break
    assert live.model.config.score is None
    taught, summary = live.finish([example(CENTERS)])
    assert taught.config.score is None
    assert taught.config.taught_diameter == pytest.approx(12, rel=0.1)
    assert summary.before == 0 and summary.after > 0


def test_a_kind_that_is_known_is_learnt_carefully_until_it_is_contradicted(monkeypatch):
    """What it finds is learnt along, and no longer once what is checked speaks against it."""
    shown = checked_left(example(CENTERS))
    believed = replace(shown, checked=~shown.mask)
    answers = [Knowledge(True, (believed,)), Knowledge(True, (believed,)), Knowledge(False)]
    monkeypatch.setattr(live_module, "what_is_known", lambda *_, **__: answers.pop(0))
    learnt_from = []
    draw = live_module.patch_sampler

    def sampler(examples, *rest):
        learnt_from.append(examples[0].mask.mean())
        return draw(examples, *rest)

    monkeypatch.setattr(live_module, "patch_sampler", sampler)
    live = LiveTeaching(small_model(), **CPU)
    learners = []
    for _ in range(3):
        turn(live, [shown])
        learners.append(live._learner)
    assert learnt_from == [1.0, 1.0, 0.5]
    assert learners[0] is learners[1] and learners[1] is not learners[2]
    assert [one.settings for one in learners] == [CAREFUL_SETTINGS] * 2 + [TEACH_SETTINGS]


def test_what_is_known_is_learnt_at_the_size_that_it_is_found_to_have(monkeypatch):
    """Measured at half of it: it is looked at once more, and so segmented and kept."""
    asked = []

    def known(_, examples, **__):
        asked.append([one.diameter for one in examples])
        none = [replace(one, checked=np.zeros(one.labels.shape, bool)) for one in examples]
        return Knowledge(True, tuple(none))

    monkeypatch.setattr(live_module, "what_is_known", known)
    model = small_model()
    model = replace(model, config=replace(model.config, diameter=12.0))
    shown = example(CENTERS)
    true = median_diameter([shown.labels])
    wrong, replayed = replace(shown, diameter=6.0), replace(shown, diameter=6.0, replayed=True)
    live = LiveTeaching(model, settings=SETTINGS, **CPU)
    turn(live, [replayed, wrong])
    assert asked == [[6.0], [true]]
    assert live.diameters == (true,)
    taught, summary = live.finish([replayed, wrong])
    assert taught.config.taught_diameter == true and summary.diameters == (true,)
    turn(live, [replace(shown, diameter=true)])
    assert asked[2:] == [[true]] and live.diameters == ()
    again = live.finish([shown])[0].config
    assert again.taught_diameter == true and not again.taught_known
    right = LiveTeaching(model, settings=SETTINGS, **CPU)
    turn(right, [replace(shown, diameter=true)])
    assert right.finish([replace(shown, diameter=true)])[0].config.taught_known
    near = LiveTeaching(model, settings=SETTINGS, **CPU)
    shown = replace(shown, diameter=1.2 * true)
    turn(near, [shown])
    config = near.finish([shown])[0].config
    assert near.diameters == () and config.taught_known and config.taught_diameter == true


@pytest.mark.parametrize(("sized", "is_other"), [(False, True), (True, False)])
def test_what_is_not_known_is_learnt_as_large_as_it_was_drawn_unless_typed(sized, is_other):
    model = small_model()
    model = replace(model, config=replace(model.config, diameter=12.0))
    shown = replace(example(CENTERS), diameter=30.0, sized=sized)
    live = LiveTeaching(model, settings=SETTINGS, keep=0.0, **CPU)
    turn(live, [shown])
    assert live.diameters == ((median_diameter([shown.labels]),) if is_other else ())
    size = live.finish([shown])[0].config.taught_diameter
    assert size == pytest.approx(12, rel=0.1) if is_other else size == 30


def test_who_learns_freely_is_not_asked_what_it_knows(monkeypatch):
    monkeypatch.setattr(live_module, "what_is_known", None)
    turn(LiveTeaching(small_model(), keep=0.0, settings=SETTINGS, **CPU), [example(CENTERS)])
