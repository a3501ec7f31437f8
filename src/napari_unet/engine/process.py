"""Runs tasks in one worker process, so that the viewer never waits and never imports torch."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar  # Any: jobs of all kinds of results

from napari_unet.core.errors import ComputeError
from napari_unet.engine.errors import CLOSED, NOT_BEGUN, JobCancelledError, as_sentence, worker_died
from napari_unet.engine.handle import WorkerHandle
from napari_unet.engine.runner import Job
from napari_unet.engine.tasks import Task

__all__ = ["ProcessRunner"]

Result = TypeVar("Result")
GRACE_S = 2.0
ANSWER_S = 10.0  # within which an idle worker says that it lives; chosen for a loaded computer
_log = logging.getLogger(__name__)


class ProcessRunner:
    """Runs tasks in one worker process, one after the other in the order of submission.

    The process starts with the first task, keeps loaded models, and is replaced by a new one
    when it has died or was killed. No method but `close` ever waits.

    Parameters
    ----------
    grace_s : float
        A worker that does not answer a cancel within so many seconds is killed; a task's own
        ``grace_s`` comes first.
    preload : bool
        Import torch as soon as the process starts, not with the first task that needs it.
    """

    def __init__(self, *, grace_s: float = GRACE_S, preload: bool = True) -> None:
        self._dispatcher = _Dispatcher(grace_s, preload)
        # Its threads know the dispatcher only, so a forgotten runner ends its worker too.
        self._finalizer = weakref.finalize(self, self._dispatcher.stop)

    @property
    def worker_pid(self) -> int | None:
        """Number of the worker process, None while there is none."""
        return self._dispatcher.worker_pid

    def warm_up(self) -> None:
        """Start the worker now, so that the first click need not wait for torch."""
        self._dispatcher.warm_up()

    def submit(self, task: Task[Result]) -> Job[Result]:
        """Take a task; its arrays must not change until the job is done.

        Raises
        ------
        ComputeError
            If the runner is closed.
        """
        job = Job(task, self._dispatcher.cancel, self._dispatcher.wake)
        self._dispatcher.add(job)
        return job

    def close(self) -> None:
        """End the worker within two seconds; unfinished jobs end as cancelled."""
        self._dispatcher.stop()
        self._dispatcher.join()


class _Dispatcher:
    """Owns the queue and the worker; its thread sends one job at a time and watches it.

    No job's method is called while the lock is held: both may be wanted by a finalizer.
    """

    def __init__(self, grace_s: float, preload: bool) -> None:
        self._grace_s = grace_s
        self._preload = preload
        self._owner = os.getpid()
        self._changed = threading.Condition()
        self._waiting: deque[Job[Any]] = deque()
        self._wants_worker = False
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._worker: WorkerHandle | None = None

    # From the viewer's threads

    @property
    def worker_pid(self) -> int | None:
        worker = self._worker
        return None if worker is None or worker.is_gone else worker.pid

    def cancel(self, job: Job[Any]) -> None:
        with self._changed:
            is_waiting = job in self._waiting
            if is_waiting:
                self._waiting.remove(job)
            self._changed.notify_all()
        if is_waiting:
            job.fail(JobCancelledError(NOT_BEGUN))

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def warm_up(self) -> None:
        with self._changed:
            self._wants_worker = True
            self._begin()

    def add(self, job: Job[Any]) -> None:
        with self._changed:
            if self._is_closed:
                raise ComputeError("The worker was closed; open the plugin again.")
            self._waiting.append(job)
            self._begin()

    def _begin(self) -> None:
        if self._thread is None and not self._is_closed:
            self._thread = threading.Thread(
                target=self._serve, name="napari-unet dispatcher", daemon=True
            )
            self._thread.start()
        self._changed.notify_all()

    def stop(self) -> None:
        """Let the thread end the worker and itself; does not wait."""
        if os.getpid() != self._owner:  # in a fork of the viewer's process
            return
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def join(self) -> None:
        """Wait until the thread has ended, and be firm with it."""
        thread, worker = self._thread, self._worker
        if thread is None or thread is threading.current_thread():
            return
        thread.join(1.0)
        if thread.is_alive() and worker is not None:  # stuck while it sends an image
            worker.kill()
            thread.join(1.0)

    # In the dispatcher's thread

    def _serve(self) -> None:
        try:
            while self._wait_for_work():
                error = self._ensure_worker()
                job = self._next_job()
                if job is None:
                    continue
                if job.cancelled:
                    job.fail(JobCancelledError(NOT_BEGUN))
                elif error is not None or self._worker is None:
                    job.fail(error or worker_died(None))
                else:
                    self._run(job, self._worker)
                del job  # an idle worker's last image may go
        finally:
            self._end_worker()
            while (job := self._next_job()) is not None:
                job.fail(JobCancelledError(CLOSED))

    def _wait_for_work(self) -> bool:
        self._wait(lambda: self._is_closed or self._wants_worker or bool(self._waiting))
        return not self._is_closed

    def _next_job(self) -> Job[Any] | None:
        with self._changed:
            return self._waiting.popleft() if self._waiting else None

    def _ensure_worker(self) -> ComputeError | None:
        self._wants_worker = False
        if self._lives():
            return None
        self._end_worker()
        try:
            self._worker = WorkerHandle(self.wake, preload=self._preload)
        except OSError as error:
            _log.exception("The worker process could not be started")
            return ComputeError(
                f"The worker process could not be started ({error.strerror or error}); "
                "close other programs and try again."
            )
        return None

    def _lives(self) -> bool:
        """Whether there is a worker that answers; one that was just killed may look alive."""
        worker = self._worker
        if worker is None or worker.is_gone:
            return False
        if not worker.is_ready:  # it begins
            return True
        worker.ask()
        self._wait(lambda: worker.is_ready or worker.is_silent or self._is_closed, ANSWER_S)
        return self._is_closed or worker.is_ready

    def _end_worker(self) -> int | None:
        worker, self._worker = self._worker, None
        return None if worker is None else worker.end()

    def _run(self, job: Job[Any], worker: WorkerHandle) -> None:
        """Send a job as soon as the worker can answer, and stay with it until it has ended."""
        self._wait(lambda: worker.is_ready or worker.is_silent or self._is_closed or job.cancelled)
        if job.cancelled:
            job.fail(JobCancelledError(NOT_BEGUN))
            return
        if worker.is_ready and not self._is_closed:
            try:
                worker.run(job)
            except Exception as error:  # the task cannot be pickled
                job.fail(as_sentence(error))
                return
        self._follow(job, worker)

    def _follow(self, job: Job[Any], worker: WorkerHandle) -> None:
        kill_at: float | None = None
        told: tuple[float, float] | None = None
        while not job.done():
            if worker.is_silent:
                self._bury(job)
            elif self._is_closed:
                self._end_worker()
                job.fail(JobCancelledError(CLOSED))
            elif not job.cancelled and job.center is not None and job.center != told:
                told = job.center
                worker.look_at(told)
            elif not job.cancelled:
                self._wait(self._until_wished(job, worker, told))
            elif kill_at is None:
                kill_at = time.monotonic() + getattr(job.task, "grace_s", self._grace_s)
                worker.cancel()
            elif (left := kill_at - time.monotonic()) > 0:
                self._wait(lambda: self._has_news(job, worker), left)
            else:
                worker.kill()
                self._end_worker()
                self._wants_worker = True  # whoever cancels will click again soon
                job.fail(JobCancelledError("The job was stopped by ending its process."))

    def _until_wished(
        self, job: Job[Any], worker: WorkerHandle, told: tuple[float, float] | None
    ) -> Callable[[], bool]:
        return lambda: self._has_news(job, worker) or job.cancelled or job.center != told

    def _has_news(self, job: Job[Any], worker: WorkerHandle) -> bool:
        return job.done() or worker.is_silent or self._is_closed

    def _wait(self, is_over: Callable[[], bool], timeout: float | None = None) -> None:
        with self._changed:
            self._changed.wait_for(is_over, timeout)

    def _bury(self, job: Job[Any]) -> None:
        exit_code = self._end_worker()
        if job.cancelled:
            job.fail(JobCancelledError("The job was stopped; its process has ended."))
        else:
            job.fail(worker_died(exit_code))
