"""The worker process: takes tasks from a pipe, runs them one by one, sends back what they yield.

The main thread computes. A second thread reads the pipe, so that a cancel arrives during a
computation, and ends the process as soon as the viewer's process has gone.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import IO

from napari_unet.core.errors import NapariUnetError
from napari_unet.engine.compute import prepare_worker
from napari_unet.engine.errors import as_sentence
from napari_unet.engine.pipe import Frame, Kind, encode, read_frame, write_frame
from napari_unet.engine.tasks import Task, Wishes, run_task

__all__ = ["main"]

NICENESS = 5  # chosen: the viewer comes first, and the worker still gets all that is idle
_log = logging.getLogger(__name__)


def main(*, preload: bool = True) -> None:
    """Serve until the other side has gone.

    Parameters
    ----------
    preload : bool
        Import torch before the first task has come.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is for the viewer
    requests, answers = _take_pipes()
    if sys.stderr is not None:
        faulthandler.enable()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    _Worker(requests, answers).serve(preload=preload)


def _take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Take standard input and output for messages; prints go to standard error instead."""
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # there is no standard error
        os.dup2(nowhere, 1)
    os.close(nowhere)
    return requests, answers


class _Worker:
    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._requests = requests
        self._answers = answers
        self._tasks: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._wishes: tuple[int, Wishes] = (0, Wishes(lambda: False))
        self._write_lock = threading.Lock()

    def serve(self, *, preload: bool) -> None:
        """Run tasks as they come; never returns."""
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        logging.getLogger().addHandler(_Forward(self._send))
        if preload:
            self._preload()
        self._send(Kind.READY, 0, None)
        while True:
            self._run(self._tasks.get())

    def _preload(self) -> None:
        try:
            prepare_worker()
        except Exception:  # the first task meets it again, and has someone to tell
            _log.exception("torch could not be imported")

    def _read(self) -> None:
        try:
            while (frame := read_frame(self._requests)) is not None:
                if frame.kind == Kind.CANCEL:
                    self._cancelled.add(frame.job)
                elif frame.kind == Kind.ASK:
                    self._send(Kind.READY, 0, None)
                elif frame.kind == Kind.LOOK:
                    self._look(frame)
                else:
                    # Made here, so that a look that follows at once finds it.
                    self._wishes = (frame.job, self._wishes_of(frame.job))
                    self._tasks.put(frame)
        finally:
            os._exit(0)  # whatever the main thread is doing, nobody waits for it

    def _wishes_of(self, job: int) -> Wishes:
        return Wishes(lambda: job in self._cancelled)

    def _look(self, frame: Frame) -> None:
        """Pass on where the user looks; what comes after the task is too late."""
        job, wishes = self._wishes
        if frame.job == job:
            wishes.center = frame.load()  # type: ignore[assignment]  # the sender's promise

    def _run(self, frame: Frame) -> None:
        try:
            self._send_all(frame)
        except NapariUnetError as error:
            self._send(Kind.ERROR, frame.job, error)
        except Exception as error:  # it could not be unpickled or pickled
            self._send(Kind.ERROR, frame.job, as_sentence(error))
        finally:
            self._cancelled.discard(frame.job)

    def _send_all(self, frame: Frame) -> None:
        task: Task[object] = frame.load()  # type: ignore[assignment]  # the sender's promise
        events = run_task(task, self._wishes[1])  # one task is sent at a time
        with contextlib.closing(events):
            while True:
                try:
                    event = next(events)
                except StopIteration as end:
                    return self._send(Kind.RESULT, frame.job, end.value)
                self._send(Kind.EVENT, frame.job, event)

    def _send(self, kind: Kind, job: int, value: object) -> None:
        frame = encode(kind, job, value)
        try:
            with self._write_lock:
                write_frame(self._answers, frame)
        except OSError:
            os._exit(0)  # nobody reads any more


class _Forward(logging.Handler):
    """Sends what is logged here to the viewer's process, where people look for it."""

    def __init__(self, send: Callable[[Kind, int, object], None]) -> None:
        super().__init__(logging.WARNING)
        self._send_frame = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send the record as text, with its traceback."""
        self._send_frame(Kind.LOG, 0, (record.name, record.levelno, self.format(record)))
