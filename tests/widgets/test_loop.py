"""The whole loop, as a person goes through it: real napari, real worker, bundled model."""

import threading
import time
import traceback

import numpy as np
import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_unet.core import score
from napari_unet.sample_data import coins, nuclei
from napari_unet.session.teach_run import TeachRun
from person import wait_until

LONGEST_WORK_S = 0.1
TRIES = 3
REPORTS = 110  # of the loss: as many steps at the least


@pytest.mark.slow
def test_what_is_taught_is_found_elsewhere(user):
    """A model for bright nuclei learns dark coins on the left half and finds those on the right."""
    image, truth = coins(negative=True)
    user.viewer.add_image(image, name="coins")
    dock = user.dock()
    segment, correct, teach = dock.steps
    user.press(segment.segment)
    user.wait()
    labels = user.bench.workspace.current.labels
    half = truth.shape[1] // 2
    right = np.s_[:, half:]
    before = score(truth[right], labels.data[right]).average_precision[0.5]

    for number in np.unique(labels.data[:, :half])[1:]:
        where = labels.data == number
        if (truth[where] == 0).mean() > 0.5:
            user.paint(labels, where, 0)
    whole_on_left = [n for n in np.unique(truth)[1:] if not (truth[right] == n).any()]
    for number in whole_on_left:
        user.press(correct.new)
        user.paint(labels, truth == number, labels.selected_label)
    left = labels.data[:, :half].copy()
    checked = user.bench.workspace.current.pair.checked[:, :half] != 0
    assert user.bench.workspace.current.pair.checked_cells >= len(whole_on_left)

    teach.time.value = 120.0
    user.press(teach.teach)
    stop_after(user, teach, REPORTS)  # not seconds: a slow computer takes as many steps

    after = score(truth[right], labels.data[right]).average_precision[0.5]
    assert teach.curve.points > 3
    assert len(user.bench.session.versions.items) == 2, dock.status.value
    assert "Learnt from" in dock.status.value
    assert after > before + 0.4, (before, after)
    np.testing.assert_array_equal(labels.data[:, :half][checked], left[checked])

    user.press(teach.versions.back)
    user.wait()
    again = score(truth[right], labels.data[right]).average_precision[0.5]
    assert user.bench.session.versions.index == 0
    assert again == pytest.approx(before, abs=0.1)


def test_viewer_never_waits(user, waits):
    """Between two ticks of a 10 ms timer the viewer's thread works for 100 ms at the most.

    Its own processor time is counted, and that it waits for no other thread: what else the computer
    does makes the gaps longer, which `tests/benchmarks/heartbeat.py` measures.
    """
    image, truth = nuclei((512, 512))
    user.viewer.add_image(image)
    dock = user.dock()
    segment, correct, teach = dock.steps
    wait_until(lambda: "ready" in dock.status.value)  # the worker is up

    def segments():
        user.press(segment.segment)
        user.wait()

    def teaches():
        user.press(teach.teach)
        stop_after(user, teach, 4)

    longest = {"Segment": longest_work(segments)}
    labels = user.bench.workspace.current.labels
    for number in range(1, 9):
        user.press(correct.new)
        user.paint(labels, truth == number, labels.selected_label)
    longest["Teach"] = longest_work(teaches)
    assert max(longest.values()) <= LONGEST_WORK_S, longest
    assert waits == []


def stop_after(user, teach, reports):
    """Stop teaching when it has told of its loss so often, if it is not over before."""
    run = user.bench.session._run
    assert isinstance(run, TeachRun)
    wait_until(lambda: run.finished or len(run.curve.loss) >= reports, seconds=280)
    if teach.stop.native.isEnabled():
        user.press(teach.stop)
    user.wait()


def longest_work(act):
    """The longest between two ticks, of the best of some tries: a busy computer is slower, too."""
    longest = np.inf
    for _ in range(TRIES):
        with Heartbeat() as beat:
            act()
        longest = min(longest, beat.longest)
        if longest <= LONGEST_WORK_S:
            break
    return longest


@pytest.fixture
def waits(monkeypatch):
    """For what the viewer's thread has waited: futures, queues and events all wait so."""
    viewers, seen, wait = threading.get_ident(), [], threading.Condition.wait

    def told(condition, timeout=None):
        frames = traceback.extract_stack(limit=6)
        starts_thread = any(frame.name == "start" for frame in frames)  # which waits for its birth
        if threading.get_ident() == viewers and timeout != 0 and not starts_thread:
            seen.append("".join(traceback.format_list(frames)))
        return wait(condition, timeout)

    monkeypatch.setattr(threading.Condition, "wait", told)
    return seen


class Heartbeat:
    """The most processor time of this thread between two ticks of a 10 ms timer."""

    def __enter__(self):
        self._beats = []
        self._timer = QTimer()
        self._timer.setInterval(10)
        self._timer.timeout.connect(self._tick)
        self._timer.start()
        return self

    def _tick(self):
        self._beats.append(time.thread_time())

    def __exit__(self, *_):
        self._timer.stop()

    @property
    def longest(self):
        assert len(self._beats) > 3
        return float(np.diff(self._beats).max())


def test_killed_worker_is_told_and_the_next_press_works(user, worker):
    import os
    import signal

    image, _ = nuclei((1024, 1024))
    user.viewer.add_image(image)
    dock = user.dock()
    segment = dock.steps[0]
    wait_until(lambda: "ready" in dock.status.value)  # the worker has answered once
    user.press(segment.segment)
    wait_until(lambda: user.bench.session._run._job is not None)
    os.kill(worker.worker_pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    user.wait()
    assert "worker" in dock.status.value
    assert dock.status.value.startswith("⚠")
    user.press(segment.segment)
    user.wait()
    assert user.bench.workspace.current.labels.data.max() > 50
    assert "⚠" not in dock.status.value


def test_stop_keeps_the_tiles_that_are_done(user):
    image, _ = nuclei((1536, 1536))
    user.viewer.add_image(image)
    dock = user.dock()
    segment = dock.steps[0]
    user.press(segment.segment)
    wait_until(lambda: bool(user.bench.workspace.current.pair.segmented), 60)
    user.press(segment.stop)
    user.wait(20)
    done = user.bench.workspace.current.pair.probability[()] > 0
    assert done.any()
    assert "Stopped" in dock.status.value
    assert segment.segment.native.isEnabled()


def test_sliders_act_without_the_network(user, monkeypatch):
    image, _ = nuclei((256, 256))
    user.viewer.add_image(image)
    dock = user.dock()
    segment = dock.steps[0]
    user.press(segment.segment)
    user.wait()
    submitted = []
    monkeypatch.setattr(user.bench.session._runner, "submit", lambda task: submitted.append(task))
    labels = user.bench.workspace.current.labels
    found = len(np.unique(labels.data))
    area = np.count_nonzero(labels.data)
    segment.threshold.value = 0.95
    user.wait()
    assert np.count_nonzero(labels.data) < area
    segment.smallest.value = 400
    user.wait()
    assert len(np.unique(labels.data)) < found
    assert not submitted


def test_torch_stays_out_of_the_viewer(user):
    import sys

    assert QApplication.instance() is not None
    image, _ = nuclei((128, 128))
    user.viewer.add_image(image)
    dock = user.dock()
    had_torch = "torch" in sys.modules  # another test of the same process may have imported it
    user.press(dock.steps[0].segment)
    user.wait()
    assert had_torch or "torch" not in sys.modules
