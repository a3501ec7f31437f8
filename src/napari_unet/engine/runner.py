"""Where tasks run, as the session sees it: submit a task, poll its job."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import Generic, Protocol, TypeVar

from napari_unet.core.errors import NapariUnetError
from napari_unet.engine.errors import CLOSED, NOT_BEGUN, JobCancelledError
from napari_unet.engine.tasks import Task, Wishes, run_task

__all__ = ["InlineRunner", "Job", "Runner"]

Result = TypeVar("Result")


class Job(Generic[Result]):
    """A task on its way: poll it for events, then ask for its result.

    All methods may be called from any thread, and only `result` waits.

    Attributes
    ----------
    task : Task
        What was submitted.
    center : tuple of float or None
        Where the user looks now, as `look_at` was told.
    """

    def __init__(
        self,
        task: Task[Result],
        on_cancel: Callable[[Job[Result]], None] | None = None,
        on_look: Callable[[], None] | None = None,
    ) -> None:
        self.task = task
        self.center: tuple[float, float] | None = None
        self._on_cancel = on_cancel
        self._on_look = on_look
        self._events: deque[object] = deque()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._is_cancelled = False
        self._value: list[Result] = []  # empty, or the result
        self._error: NapariUnetError | None = None

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called before the job had ended."""
        return self._is_cancelled

    def poll(self) -> list[object]:
        """Return the events since the last call, oldest first; also after the job has ended."""
        events: list[object] = []
        with contextlib.suppress(IndexError):  # another thread may take the last one
            while True:
                events.append(self._events.popleft())
        return events

    def done(self) -> bool:
        """Whether the result or the error is there."""
        return self._ended.is_set()

    def cancel(self) -> None:
        """Ask the job to stop; nothing happens if it has ended."""
        with self._lock:
            if self._is_cancelled or self._ended.is_set():
                return
            self._is_cancelled = True
        if self._on_cancel is not None:
            self._on_cancel(self)

    def look_at(self, center: tuple[float, float]) -> None:
        """Tell where the user looks now, row and column: what is left there comes first."""
        if center != self.center:
            self.center = center
            if self._on_look is not None:
                self._on_look()

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the result and return it.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Raises
        ------
        JobCancelledError
            If it was cancelled and has no result; a round of teaching has one, the best so far.
        NapariUnetError
            If it failed: one sentence.
        TimeoutError
            If it has not ended in time.
        """
        if not self._ended.wait(timeout):
            raise TimeoutError(f"The job has not ended within {timeout} s.")
        if self._error is not None:
            raise self._error
        return self._value[0]

    def add_event(self, event: object) -> None:
        """Take an event; for runners."""
        self._events.append(event)

    def finish(self, value: Result) -> None:
        """End with a result, unless the job has ended; for runners."""
        with self._lock:
            if not self._ended.is_set():
                self._value.append(value)
                self._ended.set()

    def fail(self, error: NapariUnetError) -> None:
        """End with an error, unless the job has ended; for runners."""
        with self._lock:
            if not self._ended.is_set():
                self._error = error
                self._ended.set()


class Runner(Protocol):
    """Runs tasks one after the other, somewhere."""

    def submit(self, task: Task[Result]) -> Job[Result]:
        """Take a task; it runs after those submitted before."""
        ...

    def close(self) -> None:
        """Stop: unfinished jobs end as cancelled. Closing twice is the same as once."""
        ...


class InlineRunner:
    """Runs tasks in this process, one event each time a job is polled; for tests and notebooks."""

    def __init__(self) -> None:
        self._jobs: list[_InlineJob[object]] = []

    def submit(self, task: Task[Result]) -> Job[Result]:
        """Take a task; it runs when its job is polled or its result is asked for."""
        job = _InlineJob(task)
        self._jobs = [old for old in self._jobs if not old.done()]
        self._jobs.append(job)  # type: ignore[arg-type]  # only closed, never asked for a result
        return job

    def close(self) -> None:
        """End unfinished jobs as cancelled."""
        for job in self._jobs:
            job.close()
        self._jobs = []


class _InlineJob(Job[Result]):
    def __init__(self, task: Task[Result]) -> None:
        super().__init__(task)
        self._wishes = Wishes(lambda: self.cancelled)
        self._running: Generator[object, None, Result] = run_task(task, self._wishes)
        self._step_lock = threading.RLock()
        self._has_begun = False

    def poll(self) -> list[object]:
        self._step()
        return super().poll()

    def result(self, timeout: float | None = None) -> Result:
        while not self.done():
            self._step()
        return super().result(timeout)

    def cancel(self) -> None:
        super().cancel()
        if not self._has_begun:
            self.fail(JobCancelledError(NOT_BEGUN))

    def close(self) -> None:
        self.cancel()
        with self._step_lock:
            self._running.close()
        self.fail(JobCancelledError(CLOSED))

    def _step(self) -> None:
        with self._step_lock:
            if self.done():
                return
            self._has_begun = True
            self._wishes.center = self.center
            try:
                self.add_event(next(self._running))
            except StopIteration as end:
                self.finish(end.value)
            except NapariUnetError as error:
                self.fail(error)
