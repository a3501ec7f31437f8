"""The viewer's end of one worker process: start it, hand it a job, hear from it, end it."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, Any  # Any: jobs of all kinds of results

from napari_unet.core.errors import ComputeError, NapariUnetError
from napari_unet.engine.errors import as_sentence
from napari_unet.engine.pipe import Frame, Kind, encode, read_frame, widen, write_frame
from napari_unet.engine.runner import Job

__all__ = ["WorkerHandle"]

_log = logging.getLogger(__name__)

# Ctrl-C is ignored at once; then imports are looked for where the viewer looks for them.
_BEGIN = """
import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)
import json, sys; sys.path[:], preload = json.loads(sys.argv[1])
from napari_unet.engine.worker import main; main(preload=preload)
"""


class WorkerHandle:
    """A running worker process.

    It is a fresh interpreter, as multiprocessing's "spawn" makes one, but started plainly:
    "spawn" would run the user's script again where that lacks ``if __name__ == "__main__"``.

    Parameters
    ----------
    on_change : callable
        Called in another thread when it is ready, the job has ended, or the process has.
    preload : bool
        Import torch at once.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(self, on_change: Callable[[], None], *, preload: bool = True) -> None:
        self._on_change = on_change
        self._job: tuple[int, Job[Any] | None] = (0, None)
        self._is_gone = False
        self._is_ready = False
        self._process = _start(preload)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests: IO[bytes] = self._process.stdin
        self._answers: IO[bytes] = self._process.stdout
        widen(self._requests)
        widen(self._answers)
        self._receiver = threading.Thread(
            target=self._receive, name="napari-unet receiver", daemon=True
        )
        self._receiver.start()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended, or nothing more can be heard from it."""
        return self._is_gone or self._process.poll() is not None

    @property
    def is_ready(self) -> bool:
        """Whether it has imported what it needs: before that it cannot answer a cancel."""
        return self._is_ready

    @property
    def is_silent(self) -> bool:
        """Whether all that it said has arrived and nothing more will come."""
        return self._is_gone

    def ask(self) -> None:
        """Ask an idle worker to say again that it is ready."""
        self._is_ready = False
        with contextlib.suppress(OSError):
            write_frame(self._requests, encode(Kind.ASK, 0))

    def run(self, job: Job[Any]) -> None:
        """Send a job's task; waits while a big image is written.

        If the process ends meanwhile, `on_change` tells.

        Raises
        ------
        Exception
            Whatever pickling the task raises; nothing was sent then.
        """
        number = self._job[0] + 1
        frame = encode(Kind.TASK, number, job.task)
        self._job = (number, job)
        with contextlib.suppress(OSError):
            write_frame(self._requests, frame)

    def cancel(self) -> None:
        """Ask the worker to stop the job."""
        with contextlib.suppress(OSError):
            write_frame(self._requests, encode(Kind.CANCEL, self._job[0]))

    def look_at(self, center: tuple[float, float]) -> None:
        """Tell the worker where the user looks now."""
        with contextlib.suppress(OSError):
            write_frame(self._requests, encode(Kind.LOOK, self._job[0], center))

    def kill(self) -> None:
        """End the process at once; safe from any thread."""
        self._process.kill()

    def end(self, timeout: float = 1.0) -> int | None:
        """Let the process end, kill it if it does not, and free all that it held.

        Returns
        -------
        int or None
            Its exit code, on POSIX the negative number of the signal that ended it.
        """
        with contextlib.suppress(OSError):
            self._requests.close()  # the worker ends when it reads the end of the pipe
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        self._receiver.join(timeout)
        if not self._receiver.is_alive():
            self._answers.close()
        self._job = (self._job[0], None)
        return self._process.returncode

    def _receive(self) -> None:
        try:
            while (frame := read_frame(self._answers)) is not None:
                self._take(frame)
        finally:
            self._is_gone = True
            self._on_change()

    def _take(self, frame: Frame) -> None:
        number, job = self._job
        try:
            value: Any = frame.load()
        except Exception as error:  # made by a task of someone else's
            frame, value = Frame(Kind.ERROR, frame.job, b"", []), as_sentence(error)
        if frame.kind == Kind.READY:
            self._is_ready = True
            self._on_change()
        if frame.kind == Kind.LOG:
            name, level, text = value
            logging.getLogger(name).log(level, "%s", text)
            return
        if job is None or frame.job != number:  # also what has no job: its number is 0
            return
        if frame.kind == Kind.EVENT:
            job.add_event(value)
            return
        self._job = (number, None)
        if frame.kind == Kind.RESULT:
            job.finish(value)
        else:
            job.fail(value if isinstance(value, NapariUnetError) else ComputeError(str(value)))
        self._on_change()


def _start(preload: bool) -> subprocess.Popen[bytes]:
    if not sys.executable:  # Python is embedded in another program
        raise OSError("Python does not know where its own program is")
    paths = [str(path) for path in sys.path]
    command = [sys.executable, "-P", "-c", _BEGIN, json.dumps([paths, preload])]
    flags = 0
    if sys.platform == "win32":  # no console window; the viewer comes first
        flags = subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
    return subprocess.Popen(
        command,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if sys.__stderr__ is not None else subprocess.DEVNULL,
        creationflags=flags,
    )
