"""One press of Teach: what is checked is sent, a version comes back, or a sentence says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.core.events import KeptAsideScore, TeachSummary, TrainProgress
from napari_unet.engine import (
    JobCancelledError,
    SegmentDone,
    SegmentTask,
    TeachDone,
    TeachTask,
    WorkerDiedError,
)
from napari_unet.session.image import Image
from napari_unet.session.pair import Pair
from session.fakes import ALL_SIZES, GatedArray, pair_of, pump_until, sent, tile_of

CELL = np.s_[2:6, 2:6]
BETTER = TeachSummary(0.52, 0.84, 12, 9, True, 1.0, 30)
WORSE = TeachSummary(0.84, 0.52, 12, 9, False, 1.0, 30)
UNTAUGHT = TeachSummary(None, None, 1, 0, True, 0.0, 0)
STOPPED = ("Stopped before anything was learnt; the model is as before.", False)


def corrected(shape=(8, 20), axes="YX"):
    """A pair with one checked cell in its first plane."""
    pair = pair_of(shape, axes)
    pair.labels[(0,) * (len(shape) - 2)][CELL] = 5
    return pair


def teach(session, runner, *pairs, then=None, count=1):
    session.teach(pairs, seconds=20.0, keep=0.25, then=then)
    return sent(session, runner, count)


def test_what_is_checked_is_sent_with_the_model_and_the_wishes(session, runner, home):
    data = np.arange(2 * 8 * 20, dtype=np.uint16).reshape(2, 8, 20)
    stack = Pair(
        Image("stack", data, "ZYX"), np.zeros((2, 8, 20), np.int32), np.zeros((2, 8, 20), np.uint8)
    )
    stack.labels[1][CELL] = 5  # a stroke that was not absorbed yet
    untouched = pair_of((8, 20))
    task = teach(session, runner, untouched, stack, corrected()).task
    assert isinstance(task, TeachTask)
    assert (task.model, task.seconds, task.keep) == (session.model_path, 20.0, 0.25)
    assert Path(task.save_to).parent == home / "versions"
    assert task.title == f"{session.versions.base.title}, taught 1"
    assert task.origin == session.model[1].identity
    assert task.base == session.versions.base.model
    first, second = task.examples
    np.testing.assert_array_equal(first.image_cyx, data[1][None])
    np.testing.assert_array_equal(first.labels, stack.labels[1])
    assert first.mask[0:9, 0:9].sum() > 16 and not first.mask[:, 10:].any()
    assert second.labels.max() == 5


def test_strokes_after_the_press_do_not_reach_what_is_learnt(session, runner):
    pair = corrected()
    job = teach(session, runner, pair)
    pair.labels[:] = 0
    pair.checked[:] = 0
    assert (job.task.examples[0].labels[CELL] == 5).all()
    assert job.task.examples[0].mask[CELL].all()


@pytest.mark.parametrize("pairs", [[], [pair_of((8, 20))]], ids=["no image", "no stroke"])
def test_nothing_checked_is_refused_with_a_sentence(session, runner, pairs):
    with pytest.raises(InputError, match=r"^Nothing is checked yet; correct a few cells first\.$"):
        session.teach(pairs, seconds=1.0, keep=0.5)
    assert session.busy == "" and runner.jobs == []


def test_checked_background_can_be_taught(session, runner):
    pair = pair_of((8, 20))
    pair.check_box((), np.s_[0:4, 0:4])
    assert teach(session, runner, pair).task.examples[0].mask.sum() == 16


def test_the_curve_grows_with_what_is_reported(session, runner):
    seen, reports = [], []
    session.curve_changed.connect(lambda curve, text: seen.append((list(curve.loss), text)))
    session.progress.connect(lambda *report: reports.append(report))
    job = teach(session, runner, corrected())
    assert seen == [([], "")]
    job.add_event(KeptAsideScore(0, 0.0, 0.52, 9))
    job.add_event(TrainProgress(3, 5.0, 0.25, 0.7))
    session.pump()
    job.add_event(KeptAsideScore(6, 10.0, 0.84, 9))
    job.add_event(TrainProgress(6, 10.0, 0.5, 0.4))
    session.pump()
    session.pump()  # nothing new: nothing said
    assert seen[1:] == [
        ([(0.25, 0.7)], "kept aside: before 0.52, now 0.52"),
        ([(0.25, 0.7), (0.5, 0.4)], "kept aside: before 0.52, now 0.84"),
    ]
    assert reports[-1] == (0.5, "learning, 10 s left")
    job.add_event(TrainProgress(12, 19.5, 0.975, 0.4))
    session.pump()
    assert reports[-1] == (0.975, "finishing")


def test_the_curve_ends_with_the_score_that_the_sentence_tells(session, runner, heard, tiny_model):
    texts = []
    session.curve_changed.connect(lambda _, text: texts.append(text))
    job = teach(session, runner, corrected())
    for seconds, score in ((0.0, 0.52), (9.0, 0.8)):
        job.add_event(KeptAsideScore(1, seconds, score, 9))
    pump_until(session, lambda: texts[-1].endswith("now 0.80"))
    job.finish(TeachDone(BETTER, tiny_model))
    pump_until(session, lambda: not session.busy)
    assert texts[-1] == "kept aside: before 0.52, now 0.84"
    assert "before 0.52, after 0.84" in heard[-1][0]


def test_a_score_of_what_is_learnt_is_not_called_one_of_cells_kept_aside(session, runner):
    texts = []
    session.curve_changed.connect(lambda _, text: texts.append(text))
    job = teach(session, runner, corrected())
    job.add_event(KeptAsideScore(0, 0.0, 0.18, 0))
    session.pump()
    assert texts[-1] == "on what is learnt: before 0.18, now 0.18"


def test_a_taught_model_is_a_new_version_and_segments_by_itself(session, runner, heard, tiny_model):
    session.settings = ALL_SIZES
    pair, changes = corrected(), []
    session.versions_changed.connect(lambda: changes.append(session.versions.current.title))
    job = teach(session, runner, pair, then=(pair, [()]))
    job.finish(TeachDone(BETTER, tiny_model))
    segmenting = sent(session, runner, 2)
    assert changes == ["taught 1"]
    assert session.versions.current.summary is BETTER
    assert isinstance(segmenting.task, SegmentTask) and segmenting.task.model == tiny_model
    assert session.busy == "Segment"
    segmenting.add_event(tile_of((8, 20), np.s_[2:6, 12:16]))
    segmenting.finish(SegmentDone(1.0, "this computer", "float32"))
    pump_until(session, lambda: session.settled)
    assert (pair.labels[CELL] == 5).all() and (pair.labels[2:6, 12:16] == 6).all()
    sentence = "Learnt from 12 checked cells; on 9 corrected cells kept aside: "
    assert heard == [(sentence + "before 0.52, after 0.84.", False)]
    assert session.model[1].name == "tiny"  # the card is that of the current version
    session.go_to_version(0)
    assert changes == ["taught 1", session.versions.base.title]
    session.segment(pair, [()])
    assert sent(session, runner, 3).task.model == session.model_path


def test_the_next_round_goes_on_from_the_current_version(session, runner, tiny_model):
    pair = corrected()
    teach(session, runner, pair).finish(TeachDone(BETTER, tiny_model))
    pump_until(session, lambda: session.settled)
    assert session.versions.before == 0
    job = teach(session, runner, pair, count=2)
    assert job.task.model == tiny_model
    assert job.task.title.endswith(", taught 2")
    assert job.task.base == session.versions.base.model != tiny_model
    job.finish(TeachDone(BETTER, "/no/such/second.safetensors"))
    pump_until(session, lambda: len(session.versions.items) == 3)
    assert session.versions.before == 1


def test_teaching_that_did_not_help_changes_nothing_and_says_so(session, runner, heard):
    pair = corrected()
    teach(session, runner, pair, then=(pair, [()])).finish(TeachDone(WORSE, ""))
    pump_until(session, lambda: session.settled)
    assert heard == [(WORSE.sentence, False)]
    assert "did not help" in heard[0][0]
    assert len(session.versions.items) == 1
    assert len(runner.jobs) == 1


# Stopped


def test_stopped_teaching_keeps_the_best_so_far(session, runner, heard, tiny_model):
    job = teach(session, runner, corrected())
    session.stop()
    assert job.cancelled
    job.finish(TeachDone(BETTER, tiny_model))
    pump_until(session, lambda: session.settled)
    assert session.versions.current.model == tiny_model
    assert heard == [(BETTER.sentence, False)]


def end_without_result(job):
    job.fail(JobCancelledError("The job was stopped by ending its process."))


def end_before_the_first_step(job):
    job.finish(TeachDone(UNTAUGHT, ""))


@pytest.mark.parametrize("end", [end_without_result, end_before_the_first_step])
def test_teaching_stopped_too_early_learns_nothing_and_says_so(session, runner, heard, end):
    job = teach(session, runner, corrected())
    session.stop()
    end(job)
    pump_until(session, lambda: session.settled)
    assert heard == [STOPPED]
    assert len(session.versions.items) == 1


def test_teaching_stopped_while_a_slow_image_is_read_ends_at_once(session, runner, heard):
    data = GatedArray((8, 20))
    pair = Pair(Image("slow", data, "YX"), np.zeros((8, 20), np.int32), np.zeros((8, 20), np.uint8))
    pair.check_box((), CELL)
    session.teach([pair], seconds=1.0, keep=0.5)
    assert data.begun.wait(5)
    session.stop()
    session.pump()
    assert heard == [STOPPED] and session.busy == ""
    data.open.set()
    teach(session, runner, corrected())


# Failed


def test_a_worker_that_dies_while_teaching_costs_one_sentence(session, runner, heard):
    died = WorkerDiedError("The worker process ended unexpectedly. Click again.")
    pair = corrected()
    teach(session, runner, pair, then=(pair, [()])).fail(died)
    pump_until(session, lambda: session.settled)
    assert heard == [(str(died), True)]
    assert session.busy == "" and len(session.versions.items) == 1
    assert (pair.labels[CELL] == 5).all() and pair.checked_cells == 1
    teach(session, runner, pair, count=2)


def test_an_image_that_cannot_be_read_again_costs_one_sentence(session, runner, heard):
    class Gone:
        shape, dtype = (8, 20), np.dtype(np.uint8)

        def __getitem__(self, index):
            raise OSError("disk is gone")

    pair = Pair(
        Image("plate", Gone(), "YX"), np.zeros((8, 20), np.int32), np.zeros((8, 20), np.uint8)
    )
    pair.check_box((), CELL)
    session.teach([pair], seconds=1.0, keep=0.5)
    pump_until(session, lambda: session.settled)
    assert heard[0][0].startswith("plate could not be read (disk is gone)") and heard[0][1]
    assert runner.jobs == []


def test_a_second_press_is_refused_with_a_sentence(session, runner):
    pair = corrected()
    teach(session, runner, pair)
    with pytest.raises(InputError, match=r"^Teach is running; stop it first or wait\.$"):
        session.segment(pair, [()])
    with pytest.raises(InputError, match=r"^Teach is running"):
        session.teach([pair], seconds=1.0, keep=0.5)


# Meanwhile


def test_another_model_chosen_meanwhile_does_not_get_the_version(session, runner, tiny_model):
    pair, taught = corrected(), session.model_path
    job = teach(session, runner, pair, then=(pair, [()]))
    session.choose_model(tiny_model)
    job.finish(TeachDone(BETTER, taught))
    pump_until(session, lambda: session.settled)
    assert len(session.versions.items) == 1
    assert len(runner.jobs) == 1  # the other model has not learnt anything to show
    session.choose_model(taught)
    assert [version.title for version in session.versions.items][1:] == ["taught 1"]


def test_strokes_while_it_is_taught_are_not_lost(session, runner, tiny_model):
    session.settings = ALL_SIZES
    pair = corrected()
    job = teach(session, runner, pair, then=(pair, [()]))
    pair.labels[2:6, 12:16] = 8
    job.finish(TeachDone(BETTER, tiny_model))
    segmenting = sent(session, runner, 2)
    segmenting.add_event(tile_of((8, 20)))  # sees nothing at all
    segmenting.finish(SegmentDone(1.0, "this computer", "float32"))
    pump_until(session, lambda: session.settled)
    assert set(np.unique(pair.labels)) == {0, 5, 8}
    assert pair.checked_cells == 2


def test_each_round_has_a_curve_of_its_own(session, runner, tiny_model):
    seen = []
    session.curve_changed.connect(lambda curve, text: seen.append((list(curve.loss), text)))
    job = teach(session, runner, corrected())
    job.add_event(TrainProgress(3, 5.0, 0.25, 0.7))
    job.finish(TeachDone(BETTER, tiny_model))
    pump_until(session, lambda: session.settled)
    teach(session, runner, corrected(), count=2)
    assert seen == [([], ""), ([(0.25, 0.7)], ""), ([], "")]


def test_an_image_without_a_stroke_is_not_read(session, runner):
    data = GatedArray((8, 20))
    unread = Pair(
        Image("slow", data, "YX"), np.zeros((8, 20), np.int32), np.zeros((8, 20), np.uint8)
    )
    assert len(teach(session, runner, unread, corrected()).task.examples) == 1
    assert not data.begun.is_set()


def test_corrections_are_remembered_and_learnt_along_in_later_rounds(session, runner):
    first, second = corrected(), corrected()
    second.image = Image("other", np.ones(second.image.shape, np.uint8), "YX")
    job = teach(session, runner, first)
    assert len(job.task.examples) == 1 and session.memory.count == 1
    job.finish(TeachDone(WORSE, ""))
    pump_until(session, lambda: not session.busy)
    new, old = teach(session, runner, second, count=2).task.examples
    assert not new.replayed and (new.image == 1).all()
    assert old.replayed and (old.image == 0).all()
    np.testing.assert_array_equal(old.labels, first.labels)
    np.testing.assert_array_equal(old.mask, first.checked != 0)


def test_what_was_corrected_since_the_last_round_is_marked_as_recent(session, runner):
    pair = corrected()
    job = teach(session, runner, pair)
    (example,) = job.task.examples
    assert (example.recent == example.mask).all() and example.mask.any()
    job.finish(TeachDone(WORSE, ""))
    pump_until(session, lambda: not session.busy)
    (example,) = teach(session, runner, pair, count=2).task.examples
    assert not example.recent.any()


def test_nothing_is_remembered_where_that_is_switched_off(session, runner):
    session.remembers = False
    assert len(teach(session, runner, corrected()).task.examples) == 1
    assert session.memory.count == 0


def test_a_full_disk_does_not_keep_from_teaching(session, runner, monkeypatch, caplog):
    def refuse(*_):
        raise InputError("The image could not be written.")

    monkeypatch.setattr("napari_unet.session.memory.write_image", refuse)
    assert len(teach(session, runner, corrected()).task.examples) == 1
    assert "not remembered" in caplog.text
