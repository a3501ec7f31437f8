"""How long to train: seconds, steps, or some seconds at a time."""

from __future__ import annotations

import time

from napari_unet.core.errors import InputError
from napari_unet.core.schedules import rate_of

__all__ = ["Budget", "OpenEndedBudget"]


class Budget:
    """How long to train: seconds, steps, or the one that is over first.

    Attributes
    ----------
    step : int
        Steps done.
    seconds : float or None
        Time for training, from when the budget was made.
    """

    def __init__(self, seconds: float | None, steps: int | None) -> None:
        if seconds is None and steps is None:
            raise InputError("Say how long to train: give seconds or steps.")
        if (seconds is not None and seconds <= 0) or (steps is not None and steps <= 0):
            raise InputError("Training takes more than 0 seconds and more than 0 steps.")
        self.step = 0
        self.seconds = seconds
        self._steps = steps
        self._start = time.monotonic()
        self._pace = 0.0  # seconds a step
        self._stepped_at: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the budget was made."""
        return time.monotonic() - self._start

    @property
    def fraction(self) -> float:
        """What part of the budget is used, 0 to 1."""
        used = 0.0 if self.seconds is None else self.elapsed / self.seconds
        if self._steps is not None:
            used = max(used, self.step / self._steps)
        return min(1.0, used)

    @property
    def is_spent(self) -> bool:
        """Whether one more step would go over the budget; the first never does."""
        if self.step == 0:
            return False
        next_step = 1 / self._steps if self._steps is not None else 0.0
        if self.seconds is not None:
            next_step = max(next_step, self._pace / self.seconds / 2)
        return self.fraction + next_step > 1 + 1e-9

    def go_on(self, step: int, seconds: float) -> None:
        """Count what an earlier run did and took."""
        self.step = step
        self._start -= seconds

    def keep_back(self, seconds: float) -> None:
        """Leave so much of the time for what comes after the last step, at most a quarter."""
        if self.seconds is not None:
            self.seconds -= min(seconds, self.seconds / 4)

    def count_step(self) -> None:
        """Note that a step was done."""
        now = time.monotonic()
        if self._stepped_at is not None:
            self._pace = now - self._stepped_at
        self._stepped_at = now
        self.step += 1

    def learning_rate(self, highest: float, schedule: str = "cosine") -> float:
        """Return the rate for the next step."""
        return highest * rate_of(schedule, self.fraction)


class OpenEndedBudget(Budget):
    """Some seconds at a time, nobody knows how often: the rate rises and then stays."""

    RISE = 10  # steps (chosen)

    def __init__(self) -> None:
        super().__init__(1.0, None)
        self._first = 0

    @property
    def is_spent(self) -> bool:
        """Whether this time is over; it has one step at the least."""
        return self.step > self._first and self.fraction >= 1

    def begin(self, seconds: float) -> None:
        """Begin another time of so many seconds."""
        self._start = time.monotonic()
        self.seconds, self._first = seconds, self.step

    def learning_rate(self, highest: float, schedule: str = "constant") -> float:
        """Return the rate for the next step; whatever the schedule, it rises and stays."""
        return highest * min(1.0, (self.step + 1) / self.RISE)
