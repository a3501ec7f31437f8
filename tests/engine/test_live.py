"""Live teaching as the worker does it: turns under one name, segmented under that name, kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_unet.core import load_model
from napari_unet.core.errors import ComputeError, InputError
from napari_unet.core.events import TeachSummary, TrainProgress
from napari_unet.core.example import Example
from napari_unet.engine import InlineRunner, KeepLiveTask, LearnTask, SegmentTask, TeachTask
from napari_unet.engine.compute import cached_model

NAME = "live:test"
STEPS_TO_LEARN, STEPS_TO_UNLEARN = 200, 300


@pytest.fixture
def runner():
    runner = InlineRunner()
    yield runner
    runner.close()


@pytest.fixture
def learning(model_path, one_cell):
    return LearnTask(
        NAME, model_path, (Example(*one_cell),), 0.05, device="cpu", precision="float32"
    )


def keeping(one_cell, target, **others):
    return KeepLiveTask(NAME, (Example(*one_cell),), save_to=str(target), **others)


def probabilities(runner, image, model):
    job = runner.submit(SegmentTask(image, model, precision="float32"))
    job.result()
    return np.concatenate([tile.probability.ravel() for tile in job.poll()[1:]])


def test_turns_go_on_and_segment_under_their_name(runner, learning, one_cell):
    job = runner.submit(learning)
    first = job.result().steps
    assert first >= 1 and isinstance(job.poll()[-1], TrainProgress)
    image = one_cell[0][None]
    before = probabilities(runner, image, NAME)
    second = runner.submit(replace(learning, seconds=0.5)).result().steps
    assert second > first
    assert not np.array_equal(before, probabilities(runner, image, NAME))


def test_another_name_begins_anew_and_the_old_one_is_gone(runner, learning):
    steps = runner.submit(replace(learning, seconds=0.5)).result().steps
    again = runner.submit(replace(learning, name="live:other", seconds=0.01)).result().steps
    assert again < steps
    with pytest.raises(ComputeError, match="has lost"):
        cached_model(NAME)


def test_it_is_kept_as_a_version(runner, learning, one_cell, model_path, tmp_path):
    steps = runner.submit(replace(learning, seconds=1.0)).result().steps
    target = tmp_path / "kept.safetensors"
    done = runner.submit(keeping(one_cell, target, title="Mine", origin="root")).result()
    assert done.summary.live and done.summary.steps == steps
    assert done.summary.improved and done.model == str(target)
    card = load_model(target).card
    start = load_model(model_path).card
    assert (card.name, card.title, card.parent, card.origin) == ("kept", "Mine", start.name, "root")
    assert TeachSummary(**card.taught) == done.summary
    assert card.history[:-1] == start.history and card.history[-1].endswith("live)")
    with pytest.raises(ComputeError, match="has lost"):
        runner.submit(keeping(one_cell, target)).result()


def test_each_turn_is_saved_so_that_a_crash_costs_no_more(
    runner, learning, one_cell, model_path, tmp_path
):
    target = tmp_path / "turn.safetensors"
    turn = replace(learning, save_to=str(target), title="Mine", origin="root")
    runner.submit(turn).result()
    first = load_model(target)
    assert (first.card.name, first.card.title, first.card.origin) == ("turn", "Mine", "root")
    assert first.card.parent == load_model(model_path).card.name and first.card.taught == {}
    expected = probabilities(runner, one_cell[0][None], NAME)
    from_disk = probabilities(runner, one_cell[0][None], str(target))  # half precision
    np.testing.assert_allclose(from_disk.astype(int), expected.astype(int), atol=1)
    runner.submit(replace(turn, seconds=0.5)).result()
    assert load_model(target).card.history[-1] != first.card.history[-1]
    with pytest.raises(InputError, match="end it in"):
        runner.submit(replace(turn, save_to="x")).result()


def test_what_did_not_help_is_not_written(runner, learning, one_cell, tmp_path):
    image, labels = one_cell
    wrong = Example(image, np.roll(labels, 20, axis=1))
    good = replace(learning, seconds=1.0, keep=0.0)
    while runner.submit(good).result().steps < STEPS_TO_LEARN:  # as many on a slow machine
        pass
    better = runner.submit(keeping(one_cell, tmp_path / "good.safetensors")).result().model
    assert better
    bad = str(tmp_path / "bad.safetensors")
    worse = replace(good, model=better, examples=(wrong,), save_to=bad, seconds=1.0)
    while runner.submit(worse).result().steps < STEPS_TO_UNLEARN:
        pass
    done = runner.submit(keeping(one_cell, tmp_path / "bad.safetensors")).result()
    assert done.model == "" and not (tmp_path / "bad.safetensors").exists(), done.summary


def test_a_name_to_save_to_is_asked_for_and_nothing_is_lost(runner, learning, one_cell, tmp_path):
    runner.submit(learning).result()
    with pytest.raises(InputError, match="end it in"):
        runner.submit(keeping(one_cell, tmp_path / "kept")).result()
    target = tmp_path / "kept.safetensors"
    assert runner.submit(keeping(one_cell, target)).result().summary.steps >= 1


def test_a_slow_worker_is_not_killed_with_what_it_learns():
    image = np.zeros((1, 8, 8))
    shown, other = SegmentTask(image, "live:1"), SegmentTask(image, "nuclei")
    assert shown.grace_s == LearnTask("live:1", "nuclei", (), 4.0).grace_s == TeachTask.grace_s
    assert other.grace_s < shown.grace_s
