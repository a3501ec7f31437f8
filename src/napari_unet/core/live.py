"""Teaching that goes on while cells are corrected: a few seconds at a time, one network."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from napari_unet.core.config import ModelConfig
from napari_unet.core.crumbs import without_crumbs
from napari_unet.core.errors import InputError
from napari_unet.core.events import TeachSummary, TrainProgress
from napari_unet.core.example import Example
from napari_unet.core.head import fit_head, settle_outlines
from napari_unet.core.judge import Where, everything_checked, is_worse, with_fitting_objects
from napari_unet.core.kept_aside import KeptAside
from napari_unet.core.kept_patches import KeptPatches
from napari_unet.core.knowing import Knowledge, what_is_known, with_believed
from napari_unet.core.lesson import (
    check_examples,
    count_cells,
    knowing_size,
    patch_sampler,
    sized,
    taught_copy,
    teaching_loss,
    watched,
)
from napari_unet.core.model_file import Model
from napari_unet.core.optimise import (
    Cancelled,
    Loss,
    OpenEndedBudget,
    Optimisation,
    TrainSettings,
)
from napari_unet.core.rehearsal import Rehearsal
from napari_unet.core.taught_size import at_found_size, at_right_size, new_sizes
from napari_unet.core.teacher import Teacher
from napari_unet.core.train_settings import CAREFUL_SETTINGS, TEACH_SETTINGS

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
        self._base = model if base is None else base
        self._keep = keep
        self._config = model.config
        self._settings = settings
        self._seed = seed
        self._where: Where = {"device": device, "precision": precision}
        self._budget = OpenEndedBudget()
        self._seconds = 0.0
        self._score_before: float | None = None  # of the first cells that were checked
        self._learner: _Learner | None = None
        self._network = model.network
        self._diameters: tuple[float | None, ...] = ()
        self._has_resized = False  # in any turn
        self._found: list[Example] = []  # what the last turn learnt, at the sizes that it found

    @property
    def steps(self) -> int:
        """How many steps were made so far."""
        return self._budget.step

    @property
    def diameters(self) -> tuple[float | None, ...]:
        """At which sizes the last turn learnt, as in `TeachSummary`."""
        return self._diameters

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
        taught, known = self._seen([sized(example, config) for example in examples])
        learner = self._learner
        # What is checked later may say that it knows less than it seemed.
        begins = learner is None or (learner.knows and not known.is_known)
        if learner is None or begins:
            learner = self._learner = self._begun(known.is_known)
        learnt_from = with_believed(taught, known)
        if not learner.knows:
            learnt_from = without_crumbs(learnt_from)
        sampler = patch_sampler(learnt_from, config, learner.settings, self._seed)
        self._budget.begin(seconds)
        if begins and not learner.knows:
            fit_head(learner.run.network, sampler, learner.rehearsal)
        loss = watched(learner.loss, sampler)
        with closing(learner.run.steps(sampler, loss, cancelled)) as reports:
            yield from reports
        self._network = learner.run.averaged()
        teacher = learner.teacher
        if teacher is not None and teacher.is_confirmed and not (config.semantic or learner.knows):
            settle_outlines(self._network, sampler, learner.rehearsal)
        cells = None if config.semantic else _cells(taught, config)
        if cells is not None:
            if self._score_before is None:
                self._score_before = cells.mark(self._before, **self._where).score
            now = replace(self.model, config=config)
            before = self._score_before
            fitting, _ = with_fitting_objects(
                now, cells, before, is_known=learner.knows, **self._where
            )
            self._config = fitting.config
        self._seconds += time.monotonic() - start
        return self.model

    def finish(self, examples: Sequence[Example]) -> tuple[Model, TeachSummary]:
        """Return the model, whether better or not, and how it went on the checked cells.

        Parameters
        ----------
        examples : sequence of Example
            All that is checked; the images of the last turn have the size that it learnt them at.
        """
        config = self._before.config
        fresh = [sized(one, config) for one in examples if not one.replayed]
        if len(fresh) == len(self._diameters):
            pairs = zip(fresh, self._diameters, strict=True)
            fresh = [replace(one, diameter=size or one.diameter) for one, size in pairs]
        model, cells = self.model, _cells(fresh, config)
        before = after = None
        improved = True
        if cells is not None and self.steps:
            old = cells.mark(self._before, **self._where)
            now = replace(model, config=config)
            knows = self._learner is not None and self._learner.knows
            model, new = with_fitting_objects(now, cells, old.score, is_known=knows, **self._where)
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
            diameters=self._diameters,
            noun="patch" if config.semantic else "cell",
            replayed=len(examples) - len(fresh),
            rehearsed=self._learner is not None and self._learner.is_held,
        )
        knows = self._learner is not None and self._learner.knows and not self._has_resized
        told = self._found if len(self._found) == len(fresh) else fresh
        return replace(model, config=knowing_size(model.config, told, is_known=knows)), summary

    def _seen(self, examples: Sequence[Example]) -> tuple[list[Example], Knowledge]:
        """Look at what is taught: each image at its right size, replayed ones last."""
        fresh = [one for one in examples if not one.replayed]
        known = self._what_is_known(fresh)
        resized = at_right_size(fresh, known, self._before, **self._where)
        self._diameters = new_sizes(fresh, resized)
        self._has_resized |= bool(self._diameters)
        if self._diameters:
            known = self._what_is_known(resized)
        self._found = at_found_size(resized, known, far_off=1.0)
        return [*resized, *(one for one in examples if one.replayed)], known

    def _what_is_known(self, fresh: Sequence[Example]) -> Knowledge:
        """Ask the model before teaching, but not one that shall be forgotten."""
        if self._keep == 0:
            return Knowledge(is_known=False)
        return what_is_known(self._base, fresh, **self._where)

    def _begun(self, knows: bool) -> _Learner:
        """Begin to learn, from what there is, images of a kind that is known or not."""
        settings = self._settings or (CAREFUL_SETTINGS if knows else TEACH_SETTINGS)
        network = taught_copy(self._network)
        run = Optimisation(network, settings, self._budget, **self._where, seed=self._seed)
        run.freeze_batch_norm()
        rehearsal = Rehearsal(self._base, run, self._keep, knows=knows)
        teacher = None
        if self._keep > 0:
            teacher = Teacher(self._base.network, run, self._keep, trusted=knows)
        loss = teaching_loss(settings.loss, teacher, rehearsal)
        return _Learner(settings, run, rehearsal, teacher, loss, knows)


@dataclass(frozen=True, eq=False)
class _Learner:
    """What goes on from turn to turn."""

    settings: TrainSettings
    run: Optimisation
    rehearsal: Rehearsal
    teacher: Teacher | None
    loss: Loss
    knows: bool

    @property
    def is_held(self) -> bool:
        """Whether it is held to other images than those that it learns; see `TeachSummary`."""
        return not (self.rehearsal.is_empty or self.knows)


def _cells(examples: Sequence[Example], config: ModelConfig) -> KeptAside | KeptPatches | None:
    """Return what is checked now; not what earlier rounds have checked."""
    return everything_checked([one for one in examples if not one.replayed], config)
