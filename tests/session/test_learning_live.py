"""Live teaching: turn after turn while cells are corrected, kept at the end, safe at any moment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.events import TeachSummary, TrainProgress
from napari_unet.core.object_score import LOOKS
from napari_unet.engine import JobCancelledError, SegmentDone, SegmentTask, WorkerDiedError
from napari_unet.engine.tasks import PlaneSize
from napari_unet.engine.teach_tasks import KeepLiveTask, Learnt, LearnTask, TeachDone
from napari_unet.session.live_run import TURN_S, TURNS_AFTER
from napari_unet.session.memory import Memory
from session.fakes import pair_of, pump_until, sent, tile_of

CELL = np.s_[2:6, 2:6]
BETTER = TeachSummary(0.5, 0.9, 1, 0, True, 9.0, 90, live=True)
WORSE = TeachSummary(0.9, 0.5, 1, 0, False, 9.0, 90, live=True)


@pytest.fixture(autouse=True)
def tiny(session, tiny_model):
    session.load_model_file(tiny_model)


@pytest.fixture
def pair():
    return pair_of((30, 40))


def correct(pair, number=5, where=CELL):
    pair.labels[where] = number
    pair.absorb(())


@pytest.fixture
def live(session, pair):
    session.learn_live(lambda: [pair], lambda: (pair, (), (4.0, 10.0)), keep=0.25)


def learnt(session, runner, count, steps=10):
    """Let the last job, a turn of learning, end; return what is sent to show it."""
    assert isinstance(runner.job.task, LearnTask)
    runner.job.add_event(TrainProgress(steps, 1.0, 1.0, 0.2))
    runner.job.finish(Learnt(steps))
    job = sent(session, runner, count)
    assert isinstance(job.task, SegmentTask)
    return job


def shown(session, runner, job, *boxes):
    job.add_event(tile_of((30, 40), *boxes))
    job.finish(SegmentDone(1.0, "this computer", "float32"))
    pump_until(session, lambda: session.busy == "" or runner.job is not job or waits(session))


def waits(session):
    return session._run is not None and session._run.text == "waiting for a correction"


def test_it_waits_for_a_correction_and_learns_it_turn_by_turn(session, runner, pair, live):
    assert session.busy == "Teach" and session.is_live
    for _ in range(20):
        session.pump()
    assert runner.jobs == [] and waits(session)
    correct(pair)
    turn = sent(session, runner).task
    assert turn.name.startswith("live:") and turn.model == session.model_path
    assert turn.seconds <= TURN_S and turn.keep == 0.25
    assert turn.base == session.versions.base.model
    assert turn.title.endswith(", taught 1") and turn.origin == session.model[1].identity
    (example,) = turn.examples
    assert example.checked[CELL].all() and (example.labels[CELL] == 5).all()
    job = learnt(session, runner, 2)
    assert job.task.model == turn.name and job.task.center == (4.0, 10.0)
    correct(pair, 6, np.s_[2:6, 12:16])
    shown(session, runner, job, np.s_[20:28, 20:30])
    second = sent(session, runner, 3).task
    assert second.name == turn.name and second.seconds == TURN_S
    assert second.examples[0].checked[2:6, 12:16].all()
    pump_until(session, lambda: (pair.labels[20:28, 20:30] > 0).all())  # what it shows
    assert (pair.labels[CELL] == 5).all() and (pair.labels[2:6, 12:16] == 6).all()


def test_objects_are_judged_as_what_was_learnt_does(session, runner, pair, tmp_path):
    """The model before may find nothing right in an image of another kind."""
    from napari_unet.core.model_file import Model

    score = (*[0.0] * len(LOOKS), -9.0)
    config = ModelConfig(width=4, depth=2, diameter=8.0, object_score=score)
    judging = Model.fresh(config)
    session.load_model_file(judging.save(tmp_path / "none.safetensors").card.path)
    session.learn_live(lambda: [pair], lambda: (pair, (), (4.0, 10.0)), keep=0.25)
    correct(pair)
    turn = sent(session, runner)
    path = Path(turn.task.save_to)
    replace(judging, config=replace(config, object_score=())).save(path)  # as the worker does
    job = learnt(session, runner, 2)
    job.add_event(PlaneSize(8.0, (30, 40), False))
    shown(session, runner, job, np.s_[20:28, 20:30])
    pump_until(session, lambda: (pair.labels[20:28, 20:30] > 0).all())


def test_without_another_correction_it_rests(session, runner, pair, live):
    correct(pair)
    jobs = 0
    for _ in range(TURNS_AFTER):
        sent(session, runner, jobs + 1)
        jobs += 2
        shown(session, runner, learnt(session, runner, jobs))
    pump_until(session, lambda: waits(session))
    for _ in range(20):
        session.pump()
    assert len(runner.jobs) == jobs
    correct(pair, 6, np.s_[2:6, 12:16])
    sent(session, runner, jobs + 1)
    assert "learning from 2 cells" in session._run.text


def test_stopping_keeps_a_version_and_shows_it(session, runner, pair, live, heard, tiny_model):
    curves = []
    session.curve_changed.connect(lambda curve, _: curves.append(len(curve.loss)))
    correct(pair)
    sent(session, runner)
    shown(session, runner, learnt(session, runner, 2))
    turn = sent(session, runner, 3)
    session.stop()
    assert turn.cancelled
    turn.finish(Learnt(20))
    keeping = sent(session, runner, 4)
    assert isinstance(keeping.task, KeepLiveTask)
    assert (keeping.task.name, keeping.task.save_to) == (turn.task.name, turn.task.save_to)
    keeping.finish(TeachDone(BETTER, tiny_model))
    again = sent(session, runner, 5)
    assert heard == [(BETTER.sentence, False)]
    assert session.versions.current.title == "taught 1" and session.versions.before == 0
    assert isinstance(again.task, SegmentTask) and again.task.model == tiny_model
    assert session.busy == "Segment" and not session.is_live
    assert curves[-1] == 1
    pump_until(session, lambda: session.memory.count == 1)  # for later rounds


def test_what_cannot_be_remembered_at_the_end_is_in_the_log(
    session, runner, pair, live, monkeypatch, caplog, tiny_model
):
    correct(pair)
    sent(session, runner)
    learnt(session, runner, 2)
    monkeypatch.setattr(Memory, "keep", lambda *_: 1 / 0)
    session.stop()
    sent(session, runner, 3).finish(TeachDone(BETTER, tiny_model))
    pump_until(session, lambda: "not remembered" in caplog.text)
    assert "ZeroDivisionError" in caplog.text


def test_what_did_not_help_leaves_the_model_before_and_shows_that(session, runner, pair, live):
    correct(pair)
    sent(session, runner)
    job = learnt(session, runner, 2)
    session.stop()
    keeping = sent(session, runner, 3)
    assert job.cancelled
    keeping.finish(TeachDone(WORSE, ""))
    again = sent(session, runner, 4)
    assert len(session.versions.items) == 1
    assert again.task.model == session.model_path  # what is seen is no longer what was learnt


def test_stopping_before_anything_was_learnt_changes_nothing(session, runner, pair, live, heard):
    session.stop()
    pump_until(session, lambda: not session.busy)
    assert heard[-1][0].startswith("Stopped before anything was learnt")
    assert runner.jobs == []


def test_stopping_the_first_turn_before_it_began(session, runner, pair, live, heard):
    correct(pair)
    job = sent(session, runner)
    session.stop()
    job.fail(JobCancelledError("The job was stopped before it began."))
    pump_until(session, lambda: not session.busy)
    assert heard == [("Stopped before anything was learnt; the model is as before.", False)]


def test_a_worker_that_dies_costs_no_more_than_a_turn(session, runner, pair, live, heard):
    correct(pair)
    turn = sent(session, runner)
    path = Path(turn.task.save_to)
    shown(session, runner, learnt(session, runner, 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(Path(session.model_path).read_bytes())  # as the worker does after a turn
    sent(session, runner, 3).fail(WorkerDiedError("The worker died."))
    pump_until(session, lambda: not session.busy)
    kept = "is kept as taught 1, and was not compared with the model before."
    assert heard == [(f"The worker died. What it had learnt before that {kept}", True)]
    assert session.versions.current.model == str(path)
    assert session.versions.current.summary is None
    session.segment(pair, [()])
    assert sent(session, runner, 4).task.model == str(path)


def test_where_nothing_is_looked_at_it_only_learns(session, runner, pair):
    session.learn_live(lambda: [pair], lambda: None, keep=0.5)
    correct(pair)
    sent(session, runner).finish(Learnt(10))
    assert isinstance(sent(session, runner, 2).task, LearnTask)


def test_nothing_else_runs_beside_it(session, pair, live):
    for refused in (
        lambda: session.segment(pair, [()]),
        lambda: session.learn_live(lambda: [pair], lambda: None, keep=0.5),
        lambda: session.teach([pair], seconds=1, keep=0.5),
    ):
        with pytest.raises(InputError, match="Teach is running; stop it first"):
            refused()


def test_what_is_unchecked_again_is_not_learnt(session, runner, pair, live):
    correct(pair)
    sent(session, runner)
    job = learnt(session, runner, 2)
    pair.uncheck(())
    shown(session, runner, job)
    pump_until(session, lambda: waits(session))
    assert len(runner.jobs) == 2
