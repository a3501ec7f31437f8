"""A runner that has tasks computed with the device and the precision that a user prefers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar, cast  # Any: a protocol does not say that it is a dataclass

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
        Where they run.

    Attributes
    ----------
    device, precision : str
        See `napari_unet.core.device`; taken for tasks that leave them to be chosen.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.device = self.precision = AUTO

    def submit(self, task: Task[Result]) -> Job[Result]:
        """Take a task; see `Runner`."""
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
        self.runner.close()
