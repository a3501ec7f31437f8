"""Teaching that goes on while cells are corrected: a few seconds at a time, one network."""

from __future__ import annotations

import copy
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace

from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.events import TeachSummary, TrainProgress
from napari_unet.core.example import Example
from napari_unet.core.head import fit_head, settle_outlines
from napari_unet.core.judge import Where, everything_checked, is_worse, with_fitting_objects
from napari_unet.core.kept_aside import KeptAside
from napari_unet.core.kept_patches import KeptPatches
from napari_unet.core.lesson import (
    check_examples,
    count_cells,
    knowing_size,
    patch_sampler,
    sized,
    teaching_loss,
    watched,
)
from napari_unet.core.model_file import Model
from napari_unet.core.optimise import Cancelled, OpenEndedBudget, Optimisation, TrainSettings
from napari_unet.core.rehearsal import Rehearsal
from napari_unet.core.teacher import Teacher
from napari_unet.core.train_settings import TEACH_SETTINGS

__all__ = ["LiveTeaching"]


class LiveTeaching:
    """A model that learns in short turns, from what is checked at each of them.

    Optimiser and average of the weights go on from turn to turn, at a rate that does not fall.
    Nothing is kept aside: who corrects a cell wants to see it learnt.

    Parameters
    ----------
    model : Model
        The model to start from; it is not changed.
    keep : float
        0: learn freely; 1: stay close to what the model knows, see `iter_finetune`.
    base : Model, optional
        See `iter_finetune`.
    settings : TrainSettings, optional
        Patches, rate, augmentation.
    seed : int
        Of patches.
    device, precision : str
        See `napari_unet.core.device`.
    """

    def __init__(
        self,
        model: Model,
        *,
        keep: float = 0.5,
        base: Model | None = None,
        settings: TrainSettings | None = None,
        seed: int = 0,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        if not 0 <= keep <= 1:
            raise InputError(f"keep is {keep}; it must be from 0 (free) to 1 (close).")
        model.must_be_ours("taught")
        self._before = model
        self._config = model.config
        self._settings = settings or TEACH_SETTINGS
        self._seed = seed
        self._where: Where = {"device": device, "precision": precision}
        self._budget = OpenEndedBudget()
        self._seconds = 0.0
        self._score_before: float | None = None  # of the first cells that were checked
        network = copy.deepcopy(model.network)
        self._run = Optimisation(network, self._settings, self._budget, device, precision, seed)
        self._run.freeze_batch_norm()
        before = model if base is None else base
        self._rehearsal = Rehearsal(before, self._run, keep)
        self._teacher = Teacher(before.network, self._run, keep) if keep > 0 else None
        self._loss = teaching_loss(self._settings.loss, self._teacher, self._rehearsal)
        self._network = self._run.averaged()

    @property
    def steps(self) -> int:
        """How many steps were made so far."""
        return self._budget.step

    @property
    def model(self) -> Model:
        """What was learnt so far, ready for use."""
        return replace(self._before, config=self._config, network=self._network)

    def learn(
        self,
        examples: Sequence[Example],
        *,
        seconds: float,
        cancelled: Cancelled | None = None,
    ) -> Generator[TrainProgress, None, Model]:
        """Learn for some seconds from what is checked now.

        Yields
        ------
        TrainProgress
            Its fraction is that of this turn.

        Returns
        -------
        Model
            See `model`.

        Raises
        ------
        InputError
            If nothing is checked, or the channels are not the model's.
        """
        start = time.monotonic()
        config = self._before.config
        check_examples(self._before, examples)
        taught = [sized(example, config) for example in examples]
        sampler = patch_sampler(taught, config, self._settings, self._seed)
        self._budget.begin(seconds)
        if not self.steps:
            fit_head(self._run.network, sampler, self._rehearsal)
        loss = watched(self._loss, sampler)
        with closing(self._run.steps(sampler, loss, cancelled)) as reports:
            yield from reports
        self._network = self._run.averaged()
        if self._teacher is not None and self._teacher.is_confirmed and not config.semantic:
            settle_outlines(self._network, sampler, self._rehearsal)
        cells = None if config.semantic else _cells(taught, config)
        if cells is not None:
            if self._score_before is None:
                self._score_before = cells.mark(self._before, **self._where).score
            now = replace(self.model, config=config)
            before = self._score_before
            self._config = with_fitting_objects(now, cells, before, **self._where)[0].config
        self._seconds += time.monotonic() - start
        return self.model

    def finish(self, examples: Sequence[Example]) -> tuple[Model, TeachSummary]:
        """Return the model, whether better or not, and how it went on the checked cells."""
        config = self._before.config
        fresh = [sized(one, config) for one in examples if not one.replayed]
        model, cells = self.model, _cells(fresh, config)
        before = after = None
        improved = True
        if cells is not None and self.steps:
            old = cells.mark(self._before, **self._where)
            now = replace(model, config=config)
            model, new = with_fitting_objects(now, cells, old.score, **self._where)
            before, after = old.score, new.score
            improved = not is_worse(new, old, cells.cells)
        summary = TeachSummary(
            before=before,
            after=after,
            cells_taught=sum(count_cells(example) for example in fresh),
            cells_kept_aside=0,
            improved=improved,
            seconds=self._seconds,
            steps=self.steps,
            live=True,
            noun="patch" if config.semantic else "cell",
            replayed=len(examples) - len(fresh),
            rehearsed=not self._rehearsal.is_empty,
        )
        return replace(model, config=knowing_size(model.config, fresh)), summary


def _cells(examples: Sequence[Example], config: ModelConfig) -> KeptAside | KeptPatches | None:
    """Return what is checked now; not what earlier rounds have checked."""
    return everything_checked([one for one in examples if not one.replayed], config)
