"""One press of Segment: tiles become labels, and whatever goes wrong is one sentence."""

from __future__ import annotations

import logging
import statistics
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import ComputeError, InputError
from napari_unet.core.object_score import LOOKS
from napari_unet.engine import (
    DeviceInfo,
    JobCancelledError,
    ProbeTask,
    SegmentDone,
    SegmentTask,
    WorkerDiedError,
)
from napari_unet.session import segment_run
from napari_unet.session.image import Image
from napari_unet.session.pair import ObjectSettings, Pair
from napari_unet.session.sentences import UNEXPECTED
from napari_unet.session.session import Session
from napari_unet.session.versions import Version
from session.fakes import (
    ALL_SIZES,
    FakeRunner,
    GatedArray,
    image_of,
    pair_of,
    pump_until,
    sent,
    tile_of,
)

LEFT, RIGHT = np.s_[2:6, 2:6], np.s_[2:6, 12:16]
DONE = SegmentDone(1.0, "this computer", "float32")
DIED = WorkerDiedError("The worker process ended unexpectedly. Click again.")


@pytest.fixture(autouse=True)
def all_sizes(session):
    session.settings = ALL_SIZES


def two_tiles():
    """Tiles of a (8, 20) plane, an object in each."""
    box = np.s_[2:6, 2:6]
    return (
        tile_of((8, 10), box, index=0, count=2),
        tile_of((8, 10), box, x=10, index=1, count=2),
    )


def finish(session, runner, *tiles):
    """Answer the last job and pump until all labels are written."""
    for tile in tiles:
        runner.job.add_event(tile)
    runner.job.finish(DONE)
    pump_until(session, lambda: session.settled)


def slow_pair():
    data = GatedArray((8, 20))
    image = Image("slow", data, "YX")
    return data, Pair(image, np.zeros((8, 20), np.int32), np.zeros((8, 20), np.uint8))


def test_tiles_become_labels_as_they_arrive(session, runner, heard):
    pair, written, states = pair_of((8, 20)), [], []
    session.labels_changed.connect(lambda *what: written.append(what))
    session.state_changed.connect(lambda: states.append(session.busy))
    session.segment(pair, [()], center=(3.0, 4.0))
    job = sent(session, runner)
    assert isinstance(job.task, SegmentTask)
    assert (job.task.model, job.task.center) == (session.model_path, (3.0, 4.0))
    assert job.task.image.shape == (1, 8, 20)
    first, second = two_tiles()
    job.add_event(first)
    pump_until(session, lambda: bool(written))
    assert written[0][0] is pair and written[0][1] == ()
    assert (pair.labels[LEFT] == 1).all() and not pair.labels[RIGHT].any()
    assert session.busy == "Segment" and not heard
    finish(session, runner, second)
    assert (pair.labels[RIGHT] == 2).all()
    assert np.count_nonzero(pair.labels) == 32
    [(sentence, is_failure)] = heard
    assert sentence.startswith("Segmented in ") and not is_failure
    assert states[0] == "Segment" and states[-1] == ""


def test_versions_of_earlier_days_are_told_of_until_one_is_chosen(session, runner, heard):
    pair, path = pair_of((8, 20)), session.model_path
    session.versions.items += [Version(path, "taught 1"), Version(path, "taught 2")]
    session.segment(pair, [()])
    sent(session, runner)
    finish(session, runner, *two_tiles())
    assert heard[-1][0].endswith(
        "This is the model before teaching; what it was taught earlier (2 versions) is in the list "
        "under Teach."
    )
    session.go_to_version(2)
    session.go_to_version(0)  # the user knows of them
    session.segment(pair, [()])
    sent(session, runner, 2)
    finish(session, runner, *two_tiles())
    assert "before teaching" not in heard[-1][0]


def test_how_often_it_looks_is_told_the_worker_and_doubt_is_kept(session, runner):
    pair = pair_of((8, 20))
    session.average = "rotations"
    session.segment(pair, [()])
    sent(session, runner)
    assert runner.tasks[0].average == "rotations"
    deviation = np.full((8, 20), 64, np.uint8)
    finish(session, runner, replace(tile_of((8, 20), LEFT), deviation=deviation))
    assert (pair.deviation[()] == 64).all()
    pair.begin_plane((), (8, 20), None)
    assert not pair.deviation


def test_what_is_looked_at_comes_next_of_tiles_and_of_planes(session, runner):
    pair = pair_of((4, 8, 20), "ZYX")
    session.segment(pair, [(0,), (1,), (2,), (3,)], center=(1.0, 1.0))
    first = sent(session, runner)
    session.look_at(pair, (0,), (7.0, 19.0))
    assert first.center == (7.0, 19.0)
    session.look_at(pair_of((4, 8, 20), "ZYX"), (0,), (0.0, 0.0))  # another image
    session.look_at(pair, (3,), (2.0, 3.0))
    assert first.center == (7.0, 19.0)  # it is of the first plane
    shown = [first.task.center]
    for count in (2, 3, 4):
        for tile in two_tiles():
            runner.job.add_event(tile)
        runner.job.finish(DONE)
        sent(session, runner, count)
        shown.append(runner.job.task.center)
    assert shown == [(1.0, 1.0), *[(2.0, 3.0)] * 3]
    finish(session, runner, *two_tiles())


def test_the_time_that_is_left_is_that_of_tiles_and_not_of_the_start(session, runner, monkeypatch):
    clock, told = [100.0], []
    monkeypatch.setattr(segment_run.time, "monotonic", lambda: clock[0])
    session.progress.connect(lambda _, text: told.append(text))
    session.segment(pair_of((8, 20)), [()])
    while not runner.jobs:
        session.pump()
    parts = [(160.0, 0, 4, ""), (163.0, 1, 4, ", 6 s left"), (166.0, 2, 4, ", 3 s left")]
    parts += [(170.0, 6, 16, ""), (171.0, 7, 16, ", 8 s left")]  # smaller ones: memory was short
    for now, index, count, left in parts:
        clock[0] = now
        runner.job.add_event(tile_of((8, 10), index=index, count=count))
        session.pump()
        assert told[-1] == f"tile {index + 1} of {count}{left}"


def test_that_memory_was_short_is_said_at_the_end(session, runner, heard):
    session.segment(pair_of((8, 20)), [()])
    job = sent(session, runner)
    for tile in two_tiles():
        job.add_event(tile)
    job.finish(SegmentDone(1.0, "this computer", "float32", ("Memory was short.",)))
    pump_until(session, lambda: session.settled)
    [(sentence, is_failure)] = heard
    assert sentence.startswith("Memory was short. Segmented in ") and not is_failure


def test_quiet_it_says_only_that_it_was_stopped(session, runner, heard):
    session.segment(pair_of((8, 20)), [()], quiet=True)
    sent(session, runner)
    finish(session, runner, *two_tiles())
    assert heard == []
    session.segment(pair_of((8, 20)), [()], quiet=True)
    sent(session, runner, 2)
    session.stop()
    pump_until(session, lambda: bool(heard))
    session.segment(pair_of((8, 20)), [()])
    sent(session, runner, 3)
    finish(session, runner, *two_tiles())
    assert heard[0][0].startswith("Stopped") and heard[1][0].startswith("Segmented")


def test_planes_of_a_stack_go_one_by_one_in_the_order_that_was_asked(session, runner):
    data = np.arange(3 * 8 * 20, dtype=np.uint16).reshape(3, 8, 20)
    pair = Pair(
        Image("stack", data, "ZYX"), np.zeros((3, 8, 20), np.int32), np.zeros((3, 8, 20), np.uint8)
    )
    reports = []
    session.progress.connect(lambda *report: reports.append(report))
    session.segment(pair, [(2,), (0,)])
    for number, place in enumerate((2, 0)):
        job = sent(session, runner, number + 1)
        np.testing.assert_array_equal(job.task.image, data[place][None])
        job.add_event(two_tiles()[0])
        pump_until(session, lambda number=number: reports[-1][0] == (number + 0.5) / 2)
        assert reports[-1][1].startswith(f"slice {number + 1} of 2, tile 1 of 2")
        job.add_event(two_tiles()[1])
        job.finish(DONE)
    pump_until(session, lambda: session.settled)
    np.testing.assert_array_equal(np.unique(pair.labels[0]), [0, 1, 2])
    np.testing.assert_array_equal(pair.labels[2], pair.labels[0])
    assert not pair.labels[1].any()
    assert reports[-1] == (0.0, "")


def test_stopping_keeps_the_tiles_that_are_done(session, runner, heard):
    pair = pair_of((8, 20))
    session.segment(pair, [()])
    job = sent(session, runner)
    job.add_event(two_tiles()[0])
    session.pump()
    session.stop()
    assert job.cancelled
    job.fail(JobCancelledError("Segmenting was stopped."))
    pump_until(session, lambda: session.settled)
    assert heard == [("Stopped; the tiles that were done stay.", False)]
    assert (pair.labels[LEFT] == 1).all()
    assert session.busy == ""


def test_stopping_a_stack_reads_no_other_plane_and_the_bar_does_not_jump(session, runner, heard):
    reports, read, pair = [], [], pair_of((4, 8, 20), "ZYX")
    read_plane = pair.image.read_plane
    object.__setattr__(pair.image, "read_plane", lambda at: read.append(at) or read_plane(at))
    session.progress.connect(lambda *report: reports.append(report))
    session.segment(pair, [(n,) for n in range(4)])
    job = sent(session, runner)
    job.add_event(two_tiles()[0])
    session.pump()
    session.stop()
    assert reports[-2][0] == 1 / 8
    assert reports[-1] == (1 / 8, "stopping")
    job.fail(JobCancelledError("Segmenting was stopped."))
    pump_until(session, lambda: session.settled)
    assert len(runner.jobs) == 1 and read == [(0,)]
    assert heard == [("Stopped; the tiles that were done stay.", False)]


def test_stopping_while_a_slow_image_is_read_is_immediate(session, runner, heard):
    data, pair = slow_pair()
    session.segment(pair, [()])
    assert data.begun.wait(5)
    session.stop()
    session.pump()
    assert session.busy == "" and len(heard) == 1
    data.open.set()
    other = pair_of((8, 20))
    session.segment(other, [()])
    sent(session, runner)
    finish(session, runner, *two_tiles())
    assert other.labels.any() and not pair.labels.any()


def test_a_worker_that_dies_costs_one_sentence_and_the_next_press_works(session, runner, heard):
    pair = pair_of((8, 20))
    session.segment(pair, [()])
    job = sent(session, runner)
    job.add_event(two_tiles()[0])  # arrives together with the end
    job.fail(DIED)
    pump_until(session, lambda: session.settled)
    assert heard == [(str(DIED), True)]
    assert (pair.labels[LEFT] == 1).all()  # its tiles stay
    session.segment(pair, [()])
    sent(session, runner, 2)
    finish(session, runner, *two_tiles())
    assert (pair.labels[RIGHT] > 0).all()
    assert len(heard) == 2 and not heard[1][1]


def test_an_image_that_cannot_be_read_costs_one_sentence(session, runner, heard):
    class Broken:
        shape, dtype = (8, 20), np.dtype(np.uint8)

        def __getitem__(self, index):
            raise OSError("disk is gone")

    pair = Pair(
        Image("plate", Broken(), "YX"), np.zeros((8, 20), np.int32), np.zeros((8, 20), np.uint8)
    )
    session.segment(pair, [()])
    pump_until(session, lambda: session.settled)
    [(sentence, is_failure)] = heard
    assert sentence.startswith("plate could not be read (disk is gone)") and is_failure
    assert runner.jobs == []


def test_a_second_press_is_refused_with_a_sentence(session, runner):
    pair = pair_of((8, 20), labels=np.ones((8, 20), np.int32))
    session.segment(pair, [()])
    for press in (
        lambda: session.segment(pair, [()]),
        lambda: session.teach([pair], seconds=1, keep=0.5),
    ):
        with pytest.raises(InputError, match=r"^Segment is running; stop it first or wait\.$"):
            press()
    sent(session, runner)
    assert session.busy == "Segment"


def test_no_plane_to_segment_ends_at_once(session, runner, heard):
    session.segment(pair_of((8, 20)), [])
    session.pump()
    assert session.settled and not heard[0][1]
    assert runner.jobs == []


def test_a_stroke_between_tiles_is_not_lost(session, runner):
    pair = pair_of((8, 20))
    session.segment(pair, [()])
    job = sent(session, runner)
    job.add_event(two_tiles()[0])
    pump_until(session, lambda: bool(pair.labels.any()))
    pair.labels[RIGHT] = 77  # nobody tells the session
    finish(session, runner, two_tiles()[1])
    assert (pair.labels[RIGHT] == 77).all()
    assert pair.checked[RIGHT].all()
    assert (pair.labels[LEFT] > 0).all() and pair.edits == 1


def test_objects_that_a_stroke_overtook_are_made_again(session, monkeypatch):
    pair, made, painted = pair_of((8, 20)), threading.Event(), threading.Event()
    pair.place_tile((), tile_of((8, 20), LEFT))
    propose = pair.propose

    def slow(place, settings):
        proposal = propose(place, settings)
        made.set()
        assert painted.wait(5)
        return proposal

    monkeypatch.setattr(pair, "propose", slow)
    session.set_objects(ALL_SIZES, pair, ())
    assert made.wait(5)
    pair.labels[RIGHT] = 77
    painted.set()
    pump_until(session, lambda: session.settled)
    assert (pair.labels[RIGHT] == 77).all()
    assert (pair.labels[LEFT] == 78).all()


# Objects made anew


def test_sliders_make_objects_anew_without_the_network(session, runner):
    pair = pair_of((8, 20))
    session.segment(pair, [()])
    sent(session, runner)
    small = tile_of((8, 20), LEFT, np.s_[2:4, 12:14])
    finish(session, runner, small)
    assert (pair.labels[2:4, 12:14] == 2).all()
    session.set_objects(ObjectSettings(min_size=5), pair, ())
    pump_until(session, lambda: session.settled)
    assert not pair.labels[2:4, 12:14].any() and (pair.labels[LEFT] == 1).all()
    session.set_objects(ALL_SIZES, pair, ())
    pump_until(session, lambda: session.settled)
    assert (pair.labels[2:4, 12:14] == 2).all()
    assert len(runner.jobs) == 1


def judging_model(path, constant):
    """Save a model that judges all objects alike."""
    from napari_unet.core.model_file import Model

    score = (*[0.0] * len(LOOKS), constant)
    config = ModelConfig(width=4, depth=2, diameter=8.0, object_score=score)
    Model.fresh(config, name="judging").save(path)
    return str(path)


def test_objects_are_judged_as_the_current_model_does(session, runner, tmp_path):
    pair = pair_of((8, 20))
    session.settings = ALL_SIZES
    session.load_model_file(judging_model(tmp_path / "none.safetensors", -9.0))
    session.segment(pair, [()])
    sent(session, runner)
    finish(session, runner, tile_of((8, 20), LEFT))
    assert not pair.labels.any()  # to its mind nothing is right
    session.load_model_file(judging_model(tmp_path / "all.safetensors", 9.0))
    session.set_objects(ALL_SIZES, pair, ())
    pump_until(session, lambda: session.settled)
    assert (pair.labels[LEFT] == 1).all()


def test_the_plane_that_is_shown_comes_first(session, runner, monkeypatch):
    pair = pair_of((3, 8, 20), "ZYX")
    for place in range(3):
        pair.place_tile((place,), tile_of((8, 20), LEFT))
    order, gate, propose = [], threading.Event(), pair.propose

    def slow(place, settings):
        assert gate.wait(5)
        order.append(place)
        return propose(place, settings)

    monkeypatch.setattr(pair, "propose", slow)
    session.set_objects(ALL_SIZES, pair, (0,))
    session.set_objects(ALL_SIZES, pair, (2,))
    gate.set()
    pump_until(session, lambda: session.settled)
    assert order.index((2,)) <= 1  # something may have begun before
    assert set(order) == {(0,), (1,), (2,)}


def test_settings_without_an_image_are_kept_for_the_next(session, runner):
    session.set_objects(ObjectSettings(min_size=17), None, ())
    pair = pair_of((8, 20))
    session.segment(pair, [()])
    sent(session, runner)
    finish(session, runner, *two_tiles())
    assert not pair.labels.any()  # 16 pixels each


# Nothing waits, nothing stays behind


def test_pump_never_waits(session, runner, monkeypatch):
    data, pair = slow_pair()
    busy, gate = pair_of((8, 20)), threading.Event()
    busy.place_tile((), tile_of((8, 20), LEFT))
    propose = busy.propose
    monkeypatch.setattr(busy, "propose", lambda *args: gate.wait(20) and propose(*args))
    session.segment(pair, [()])
    session.set_objects(ALL_SIZES, busy, ())
    assert data.begun.wait(5)
    seconds = []
    for _ in range(50):
        start = time.perf_counter()
        session.pump()
        seconds.append(time.perf_counter() - start)
    assert statistics.median(seconds) < 0.02
    assert not session.settled and session.busy == "Segment"
    data.open.set()
    gate.set()
    sent(session, runner)


def own_threads():
    return [one for one in threading.enumerate() if one.name.startswith("napari-unet")]


@pytest.mark.parametrize("what", ["reading", "computing"])
def test_closing_during_a_run_leaves_no_threads(runner, what):
    before = set(own_threads())
    session, (data, pair) = Session(runner), slow_pair()
    session.segment(pair, [()])
    assert data.begun.wait(5)
    if what == "computing":
        data.open.set()
        sent(session, runner)
    session.close()
    data.open.set()
    end = time.monotonic() + 5
    while set(own_threads()) - before:
        assert time.monotonic() < end, own_threads()
        time.sleep(0.002)
    assert runner.is_closed and session.busy == ""
    session.pump()  # a timer may come once more
    session.close()


# What was not foreseen


def test_an_unexpected_error_is_a_sentence_and_in_the_log(session, runner, heard, caplog):
    def submit(task):
        raise RuntimeError("boom\nand more lines")

    runner.submit = submit
    session.segment(pair_of((8, 20)), [()])
    with caplog.at_level(logging.ERROR):
        pump_until(session, lambda: session.settled)
    assert heard == [(UNEXPECTED.format("boom"), True)]
    assert "RuntimeError: boom" in caplog.text and "Traceback" in caplog.text
    assert session.busy == ""


def test_a_run_that_fails_in_the_viewer_is_stopped_in_the_worker(session, runner, heard):
    session.segment(pair_of((8, 20)), [()])
    job = sent(session, runner)
    job.add_event(tile_of((30, 30)))  # larger than the plane
    pump_until(session, lambda: session.settled)
    assert job.cancelled
    assert heard[0][0].startswith("Something went wrong") and heard[0][1]


def test_objects_that_cannot_be_made_cost_a_sentence_and_not_the_run(
    session, runner, heard, monkeypatch
):
    pair, broken = pair_of((8, 20)), pair_of((8, 20))
    broken.place_tile((), tile_of((8, 20), LEFT))

    def fail(*args):
        raise MemoryError

    monkeypatch.setattr(broken, "propose", fail)
    session.segment(pair, [()])
    sent(session, runner)
    session.set_objects(ALL_SIZES, broken, ())
    pump_until(session, lambda: bool(heard))
    assert heard == [(UNEXPECTED.format("MemoryError"), True)]
    assert session.busy == "Segment"
    finish(session, runner, *two_tiles())
    assert pair.labels.any()


def test_an_observer_that_fails_costs_a_sentence_and_no_labels(session, runner, heard):
    stack = pair_of((2, 8, 20), "ZYX")
    for place in range(2):
        stack.place_tile((place,), tile_of((8, 20), LEFT))

    def refuse(pair, place):
        raise InputError("The layer is gone; segment again.")

    session.labels_changed.connect(refuse)
    session.set_objects(ALL_SIZES, stack, (0,))
    pump_until(session, lambda: session.settled)
    assert heard == [("The layer is gone; segment again.", True)] * 2
    assert stack.labels[0].any() and stack.labels[1].any()


# The probe


def test_the_probe_tells_what_computes(session, runner, heard):
    session.probe()
    assert isinstance(runner.job.task, ProbeTask)
    session.pump()
    assert heard == []
    assert session.where == ""
    runner.job.finish(DeviceInfo("this computer", "float32", "this computer, float32, ready"))
    session.pump()
    session.pump()
    assert session.where == "this computer, float32"
    assert heard == [("this computer, float32, ready", False)]


def test_a_probe_that_fails_does_not_end_a_segmentation(session, runner, heard):
    session.probe()
    probe = runner.job
    pair = pair_of((8, 20))
    session.segment(pair, [()])
    sent(session, runner, 2)
    probe.fail(ComputeError("torch is missing; install it."))
    session.pump()
    assert heard == [("torch is missing; install it.", True)]
    assert session.busy == "Segment" and not runner.job.cancelled
    finish(session, runner, *two_tiles())
    assert pair.labels.any()


def test_a_probe_under_way_when_it_closes_says_nothing():
    runner = FakeRunner()
    session, heard = Session(runner), []
    session.said.connect(lambda *what: heard.append(what))
    session.probe()
    session.close()
    session.pump()
    assert heard == []


def test_an_empty_image_costs_nothing(session, runner, heard):
    pair = Pair(image_of((0, 20)), np.zeros((0, 20), np.int32), np.zeros((0, 20), np.uint8))
    session.segment(pair, [()])
    job = sent(session, runner)
    assert job.task.image.shape == (1, 0, 20)
    job.fail(InputError("The image has no pixels."))
    pump_until(session, lambda: session.settled)
    assert heard == [("The image has no pixels.", True)]
