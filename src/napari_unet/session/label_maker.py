"""A thread that turns probabilities into labels while the viewer goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["LabelMaker"]

T = TypeVar("T")
log = logging.getLogger(__name__)


class LabelMaker(Generic[T]):
    """Runs the latest request for each key, one at a time, and keeps results to be taken.

    A request that has not begun is replaced by a newer one with the same key.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, Callable[[], T]] = {}
        self._done: list[tuple[Hashable, T]] = []
        self._errors: list[Exception] = []
        self._running: Hashable | None = None
        self._closed = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="napari-unet labels", daemon=True)
        self._thread.start()

    def request(self, key: Hashable, work: Callable[[], T], *, first: bool = False) -> None:
        """Ask for work; `first` puts it before all that waits."""
        with self._condition:
            if self._closed:
                return
            if first:
                self._waiting = {key: work, **{k: w for k, w in self._waiting.items() if k != key}}
            else:
                self._waiting[key] = work
            self._condition.notify()

    def take(self) -> list[tuple[Hashable, T]]:
        """Return what has been done since the last call."""
        with self._condition:
            done, self._done = self._done, []
            return done

    def take_errors(self) -> list[Exception]:
        """Return what work has raised since the last call."""
        with self._condition:
            errors, self._errors = self._errors, []
            return errors

    @property
    def busy(self) -> bool:
        """Whether anything waits, runs, or is there to be taken."""
        with self._condition:
            return bool(self._waiting or self._done or self._errors) or self._running is not None

    def close(self) -> None:
        """Forget what waits and end the thread after what it is doing."""
        with self._condition:
            self._closed = True
            self._waiting.clear()
            self._condition.notify()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._running = None
                while not self._waiting and not self._closed:
                    self._condition.wait()
                if self._closed:
                    return
                key = next(iter(self._waiting))
                work = self._waiting.pop(key)
                self._running = key
            try:
                result = work()
            except Exception as error:
                log.exception("Labels could not be made for %r", key)
                with self._condition:
                    self._errors.append(error)
                continue
            with self._condition:
                self._done.append((key, result))
            del work, result
