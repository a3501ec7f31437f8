"""A runner that has tasks computed where, on what and how exactly a user prefers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar, cast  # Any: a protocol does not say that it is a dataclass

from napari_unet.engine.elsewhere import ElsewhereRunner, can_go_elsewhere
from napari_unet.engine.runner import Job, Runner
from napari_unet.engine.tasks import Task

__all__ = ["PreferredRunner"]

Result = TypeVar("Result")
AUTO = "auto"


class PreferredRunner:
    """Hands tasks on to another runner.

    Parameters
    ----------
    runner : Runner
        Where they run on this computer.

    Attributes
    ----------
    device, precision : str
        Of this computer, see `napari_unet.core.device`; taken for tasks that leave them to be
        chosen.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.device = self.precision = AUTO
        self._elsewhere: ElsewhereRunner | None = None

    @property
    def address(self) -> str:
        """Of the cluster that computes; empty: this computer does."""
        return "" if self._elsewhere is None else self._elsewhere.address

    def compute_on(self, address: str) -> None:
        """Compute at an address from the next task on, what can be computed there."""
        if address == self.address:
            return
        before, self._elsewhere = self._elsewhere, ElsewhereRunner(address) if address else None
        if before is not None:
            before.close()

    def submit(self, task: Task[Result]) -> Job[Result]:
        """Take a task; see `Runner`."""
        if self._elsewhere is not None and can_go_elsewhere(task):
            return self._elsewhere.submit(task)
        preferred = {
            name: value
            for name, value in (("device", self.device), ("precision", self.precision))
            if value != AUTO and getattr(task, name, "") == AUTO
        }
        if preferred:
            changed: Any = replace(cast(Any, task), **preferred)  # one of `engine.tasks`
            task = changed
        return self.runner.submit(task)

    def close(self) -> None:
        """Stop; see `Runner`."""
        self.compute_on("")
        self.runner.close()
