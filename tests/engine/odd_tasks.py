"""Tasks that only tests send to a worker: they wait, fail, die and tell on it."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from napari_unet.core.events import KeptAsideScore, TrainProgress
from napari_unet.engine import JobCancelledError


@dataclass(frozen=True)
class Count:
    """Yields 0 to n - 1 and returns n."""

    n: int

    def run(self, cancelled):
        yield from range(self.n)
        return self.n


@dataclass(frozen=True)
class Wait:
    """Waits to be cancelled; then returns its answer, or raises if it has none."""

    answer: str = ""

    def run(self, cancelled):
        yield "begun"
        while not cancelled():
            time.sleep(0.002)
        if not self.answer:
            raise JobCancelledError("Waiting was stopped.")
        return self.answer


@dataclass(frozen=True)
class Watch:
    """Yields where the user looks each time that changes; returns when cancelled."""

    def run(self, wishes):
        seen = ()
        while not wishes():
            if wishes.center != seen:
                seen = wishes.center
                yield seen
            time.sleep(0.002)


@dataclass(frozen=True)
class Deaf:
    """Never hears that it is cancelled."""

    grace_s: ClassVar[float] = 0.2

    def run(self, cancelled):
        yield "begun"
        time.sleep(600)


@dataclass(frozen=True)
class Die:
    """Ends its process: by a signal, or with an exit code."""

    signal: int = 0
    exit_code: int = 0

    def run(self, cancelled):
        yield "last words"
        if self.signal:
            os.kill(os.getpid(), self.signal)
        os._exit(self.exit_code)


@dataclass(frozen=True)
class Fail:
    """Raises an error."""

    error: Exception

    def run(self, cancelled):
        yield "begun"
        raise self.error


@dataclass(frozen=True, eq=False)
class Echo:
    """Returns an array as it arrived, and whether it can be written to."""

    array: np.ndarray

    def run(self, cancelled):
        yield from ()
        return self.array, self.array.flags.writeable


@dataclass(frozen=True)
class Describe:
    """Returns what the worker is like."""

    def run(self, cancelled):
        yield from ()
        os.write(1, b"written to standard output\n")  # must not disturb the messages
        niceness = os.nice(0) if hasattr(os, "nice") else None
        return {
            "pid": os.getpid(),
            "niceness": niceness,
            "modules": set(sys.modules),
            "ignores_interrupt": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
        }


@dataclass(frozen=True)
class Unsendable:
    """Cannot be pickled, or returns what cannot."""

    itself: bool

    def run(self, cancelled):
        yield from ()
        return lambda: None

    def __reduce__(self):
        if self.itself:
            raise TypeError("this task stays here")
        return Unsendable, (False,)


@dataclass(frozen=True)
class Train:
    """Reports far more often than anyone reads."""

    steps: int

    def run(self, cancelled):
        for step in range(self.steps):
            yield TrainProgress(step, 0.0, step / self.steps, 1.0)
        yield KeptAsideScore(self.steps, 0.0, 0.5, 3)
        yield TrainProgress(self.steps, 0.0, 1.0, 0.5)
        yield TrainProgress(self.steps + 1, 0.0, 1.0, 0.25)
        return "trained"
