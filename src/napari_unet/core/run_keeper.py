"""A run of training on disk, so that it goes on after a stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_unet.core.budget import Budget
from napari_unet.core.checkpoint import load_checkpoint, save_checkpoint
from napari_unet.core.model_file import Model
from napari_unet.core.optimise import Optimisation

__all__ = ["RunKeeper"]

CHECKPOINT_EVERY_S = 120.0


class RunKeeper:
    """Keeps a run on disk: the model so far, and what is needed to go on.

    Parameters
    ----------
    path : Path or None
        Of the model; beside it, ending in ".resume", lies what is needed to go on. None: nowhere.
    run : str
        What the run is, see `describe_run`: another one is not gone on with.
    writes : bool
        Of processes that train together one writes.
    """

    def __init__(self, path: Path | None, run: str, *, writes: bool = True) -> None:
        self._path = path
        self._state = None if path is None else path.with_suffix(".resume")
        self._run = run
        self._writes = writes
        self._saved_at = 0.0

    def take_up(self, run: Optimisation) -> None:
        """Go on where the run on disk was, if there is one."""
        if self._state is not None and self._state.is_file():
            run.restore(load_checkpoint(self._state, self._run))

    def is_due(self, budget: Budget) -> bool:
        """Whether it is time to save."""
        return self._path is not None and budget.elapsed - self._saved_at > CHECKPOINT_EVERY_S

    def save(self, run: Optimisation, model: Model) -> None:
        """Write both files."""
        if self._writes and self._path is not None and self._state is not None:
            self._saved_at = run.elapsed
            replace(model, network=run.averaged()).save(self._path)
            save_checkpoint(self._state, self._run, run.state())

    def remove(self) -> None:
        """Forget what there is to go on from: the run is over."""
        if self._writes and self._state is not None:
            self._state.unlink(missing_ok=True)
