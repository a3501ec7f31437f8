"""The worker process: order, cancel, death, errors. Torch is not needed here."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from engine.odd_tasks import Count, Deaf, Describe, Die, Echo, Fail, Unsendable, Wait, Watch
from napari_unet.core.errors import ComputeError, InputError, OutOfMemoryError
from napari_unet.engine import JobCancelledError, ProcessRunner, WorkerDiedError
from napari_unet.engine.handle import WorkerHandle

needs_posix = pytest.mark.skipif(os.name != "posix", reason="signals and niceness are of POSIX")


@pytest.fixture(scope="module")
def runner():
    """One runner for all: each test leaves it ready for the next."""
    runner = ProcessRunner(preload=False)
    yield runner
    runner.close()


def begun(job, wait_until):
    """Wait until the job runs in the worker."""
    seen = []
    wait_until(lambda: seen.extend(job.poll()) or seen)
    return job


def test_events_and_result_arrive_in_order(runner):
    jobs = [runner.submit(Count(n)) for n in (3, 0, 500)]
    assert [job.result(20) for job in jobs] == [3, 0, 500]
    assert [job.poll() for job in jobs] == [list(range(n)) for n in (3, 0, 500)]
    assert all(job.done() and not job.cancelled for job in jobs)


def test_jobs_run_one_after_the_other(runner, wait_until):
    first = begun(runner.submit(Wait("first")), wait_until)
    second = runner.submit(Count(1))
    with pytest.raises(TimeoutError):
        second.result(0.2)
    first.cancel()
    assert second.result(20) == 1


def test_cancel_while_running_returns_what_the_task_returns(runner, wait_until):
    job = begun(runner.submit(Wait("the best so far")), wait_until)
    job.cancel()
    assert job.result(20) == "the best so far"
    assert job.cancelled


def test_cancel_while_running_raises_where_the_task_has_no_result(runner, wait_until):
    pid = runner.submit(Describe()).result(20)["pid"]
    job = begun(runner.submit(Wait()), wait_until)
    job.cancel()
    with pytest.raises(JobCancelledError, match=r"^Waiting was stopped\.$"):
        job.result(20)
    assert runner.submit(Describe()).result(20)["pid"] == pid


def test_a_running_task_hears_where_the_user_looks(runner, wait_until):
    waiting = runner.submit(Wait("done"))
    job, seen = runner.submit(Watch()), []
    job.look_at((1.0, 2.0))  # it has not begun
    waiting.cancel()
    for center in ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0)):
        job.look_at(center)
        wait_until(lambda center=center: seen.extend(job.poll()) or center in seen)
    job.cancel()
    job.result(20)
    assert [center for center in seen if center] == [(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)]
    later = runner.submit(Watch())
    wait_until(lambda: seen.extend(later.poll()) or seen[-1] is None)  # not the job before
    later.cancel()
    later.result(20)


def test_cancel_while_queued_runs_nothing(runner, wait_until):
    first = begun(runner.submit(Wait("first")), wait_until)
    queued, last = runner.submit(Count(5)), runner.submit(Count(6))
    queued.cancel()
    first.cancel()
    with pytest.raises(JobCancelledError, match="before it began"):
        queued.result(20)
    assert queued.poll() == []
    assert last.result(20) == 6


def test_a_queued_job_that_is_cancelled_need_not_wait_for_its_turn(runner, wait_until):
    first = begun(runner.submit(Wait("first")), wait_until)
    queued = runner.submit(Count(5))
    queued.cancel()
    assert queued.done()
    assert not first.done()
    first.cancel()
    first.result(20)


def test_a_deaf_worker_is_killed_and_the_next_job_runs(runner, wait_until):
    job = begun(runner.submit(Deaf()), wait_until)
    queued = runner.submit(Describe())
    old = runner.worker_pid
    start = time.monotonic()
    job.cancel()
    with pytest.raises(JobCancelledError, match="stopped"):
        job.result(20)
    assert time.monotonic() - start >= Deaf.grace_s
    assert queued.result(20)["pid"] != old


@pytest.mark.parametrize(
    ("task", "how"),
    [
        pytest.param(
            Die(signal=9),
            "killed, signal 9: often the computer ran out of memory",
            marks=needs_posix,
        ),
        pytest.param(Die(signal=15), "killed, signal 15", marks=needs_posix),
        (Die(exit_code=3), "exit code 3"),
    ],
)
def test_the_death_of_the_worker_is_one_sentence_and_the_queue_goes_on(runner, task, how):
    job, queued = runner.submit(task), runner.submit(Count(2))
    with pytest.raises(WorkerDiedError) as caught:
        job.result(20)
    assert str(caught.value) == (
        f"The worker process ended unexpectedly ({how}). Click again; nothing you painted is lost."
    )
    assert job.poll() == ["last words"]
    assert not job.cancelled
    assert queued.result(20) == 2


@needs_posix
def test_a_worker_that_died_idle_is_replaced_silently(runner, wait_until):
    old = runner.submit(Describe()).result(20)["pid"]
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: runner.worker_pid is None)
    assert runner.submit(Count(1)).result(20) == 1


@needs_posix
def test_a_worker_that_was_just_killed_and_looks_alive_is_replaced_silently(runner):
    old = runner.submit(Describe()).result(20)["pid"]
    os.kill(old, signal.SIGSTOP)  # as one that is being killed it is there, and does not answer
    job = runner.submit(Count(1))
    os.kill(old, signal.SIGKILL)
    assert job.result(20) == 1


@pytest.fixture
def stuck(monkeypatch):
    """The worker stops when a job is sent: nobody reads, the sender gets stuck."""
    sending, run = threading.Event(), WorkerHandle.run

    def run_stuck(worker, job):
        os.kill(worker.pid, signal.SIGSTOP)
        sending.set()
        run(worker, job)

    monkeypatch.setattr(WorkerHandle, "run", run_stuck)
    return sending


@needs_posix
def test_a_worker_that_dies_while_an_image_is_sent_ends_the_job(runner, monkeypatch, stuck):
    job = runner.submit(Echo(np.zeros(20_000_000, np.uint8)))
    assert stuck.wait(20)
    monkeypatch.undo()
    os.kill(runner.worker_pid, signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match="signal 9"):
        job.result(20)
    assert runner.submit(Count(1)).result(20) == 1


@pytest.mark.parametrize(
    ("error", "becomes", "says"),
    [
        (RuntimeError("mat1 and mat2\nlong story"), ComputeError, r"\(mat1 and mat2\)"),
        (MemoryError(), OutOfMemoryError, "not enough memory"),
        (InputError("Choose a channel."), InputError, "^Choose a channel.$"),
    ],
)
def test_errors_of_the_worker_arrive_as_one_sentence(runner, error, becomes, says, caplog):
    caplog.set_level(logging.CRITICAL + 1)
    job = runner.submit(Fail(error))
    with pytest.raises(becomes, match=says):
        job.result(20)
    assert job.poll() == ["begun"]


def test_the_traceback_of_the_worker_reaches_the_log_here(runner, caplog):
    job = runner.submit(Fail(RuntimeError("out of luck")))
    with pytest.raises(ComputeError) as caught:
        job.result(20)
    assert "Traceback" in caplog.text
    assert "raise self.error\nRuntimeError: out of luck" in caplog.text
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("itself", [True, False])
def test_what_cannot_be_pickled_is_an_error_of_its_job_alone(runner, itself, caplog):
    caplog.set_level(logging.CRITICAL + 1)
    with pytest.raises(ComputeError):
        runner.submit(Unsendable(itself)).result(20)
    assert runner.submit(Count(1)).result(20) == 1


def test_arrays_arrive_equal_and_writable_at_both_ends(runner):
    array = np.random.default_rng(0).integers(0, 9, (40, 50, 3), np.uint16).transpose(2, 0, 1)
    arrived, was_writable = runner.submit(Echo(array)).result(20)
    np.testing.assert_array_equal(arrived, array)
    assert was_writable
    assert arrived.flags.writeable


def test_submit_of_a_big_array_does_not_wait(runner):
    runner.submit(Count(1)).result(20)
    array = np.ones((2, 10_000, 10_000), np.uint8)  # 200 MB
    start = time.perf_counter()
    job = runner.submit(Echo(array))
    job.poll()
    assert not job.done()
    assert time.perf_counter() - start < 0.05
    assert job.result(30)[0].nbytes == 200_000_000


def longest_pause(job):
    """Return the longest time for which this thread could not go on until the job ended."""
    longest, last = 0.0, time.perf_counter()
    while not job.done():
        time.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest


def test_the_viewer_goes_on_while_a_big_array_is_sent(runner):
    view = np.ones((2, 10_000, 20_000), np.uint8)[:, :, ::2]  # has to be copied to be sent
    start = time.perf_counter()
    pickle.dumps(view, protocol=5)  # copies with the interpreter's lock held
    held = time.perf_counter() - start
    assert any(longest_pause(runner.submit(Echo(view))) < held / 5 for _ in range(3))


def test_the_worker_is_a_quiet_guest(runner):
    seen = runner.submit(Describe()).result(20)
    assert seen["pid"] == runner.worker_pid != os.getpid()
    assert seen["ignores_interrupt"]
    roots = {name.partition(".")[0] for name in seen["modules"]}
    assert not roots & {"napari", "qtpy", "PyQt6", "PySide6", "pytest"}


@needs_posix
def test_the_worker_leaves_the_processor_to_the_viewer(runner):
    assert runner.submit(Describe()).result(20)["niceness"] >= min(19, os.nice(0) + 5)


def test_warm_up_starts_the_worker_before_the_first_task(wait_until):
    runner = ProcessRunner(preload=False)
    assert runner.worker_pid is None
    runner.warm_up()
    wait_until(lambda: runner.worker_pid is not None)
    pid = runner.worker_pid
    assert runner.submit(Describe()).result(20)["pid"] == pid
    runner.close()


def test_close_leaves_no_process_no_thread_and_no_file(wait_until):
    threads, files = set(threading.enumerate()), open_files()
    runner = ProcessRunner(preload=False)
    job = begun(runner.submit(Wait("never")), wait_until)
    queued = runner.submit(Count(1))
    process = runner._dispatcher._worker._process
    start = time.monotonic()
    runner.close()
    runner.close()
    assert time.monotonic() - start < 2
    assert process.poll() is not None
    assert set(threading.enumerate()) <= threads
    assert open_files() == files
    for ended in (job, queued):
        with pytest.raises(JobCancelledError, match="closed"):
            ended.result(0)
    with pytest.raises(ComputeError, match="closed"):
        runner.submit(Count(1))


def open_files():
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0


def test_a_runner_that_never_ran_closes_and_refuses():
    runner = ProcessRunner()
    runner.close()
    with pytest.raises(ComputeError, match="closed"):
        runner.submit(Count(1))
    runner.warm_up()
    assert runner.worker_pid is None


@needs_posix
def test_close_kills_a_worker_that_hangs_while_an_image_is_sent(stuck):
    runner = ProcessRunner(preload=False)
    job = runner.submit(Echo(np.zeros(20_000_000, np.uint8)))
    assert stuck.wait(20)
    pid = runner.worker_pid
    start = time.monotonic()
    runner.close()
    assert time.monotonic() - start < 3
    assert job.done()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_forgotten_runner_ends_its_worker(wait_until):
    runner = ProcessRunner(preload=False)
    job = begun(runner.submit(Wait()), wait_until)
    process = runner._dispatcher._worker._process
    del runner
    with pytest.raises(JobCancelledError):
        job.result(20)
    wait_until(lambda: process.poll() is not None)


def test_a_fork_of_the_viewer_leaves_the_worker_alone(runner, monkeypatch):
    pid = runner.submit(Describe()).result(20)["pid"]
    monkeypatch.setattr(os, "getpid", lambda: -1)  # what a fork sees when it ends
    runner._finalizer.peek()[1]()
    monkeypatch.undo()
    assert runner.submit(Describe()).result(20)["pid"] == pid
