"""Teaching of a model of volumes, from the checked areas of a few."""

from __future__ import annotations

import copy
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
from torch import Tensor

from napari_unet.core.budget import Budget
from napari_unet.core.calibrate_volumes import calibrate_volumes
from napari_unet.core.errors import InputError
from napari_unet.core.events import KeptAsideScore, TeachSummary, TrainProgress
from napari_unet.core.example import Example
from napari_unet.core.lesson import (
    check_examples,
    checked_loss,
    count_cells,
    cropped,
    patch_sampler,
)
from napari_unet.core.matching import overlap_of
from napari_unet.core.model_file import Model
from napari_unet.core.optimise import Cancelled, Loss, Optimisation, TrainSettings
from napari_unet.core.sampling import Batch
from napari_unet.core.segmentation import segment
from napari_unet.core.teacher import Teacher

__all__ = ["iter_teach_volumes"]


def iter_teach_volumes(
    model: Model,
    examples: Sequence[Example],
    settings: TrainSettings,
    *,
    seconds: float | None = None,
    steps: int | None = None,
    keep: float = 0.5,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    cancelled: Cancelled | None = None,
) -> Generator[TrainProgress | KeptAsideScore, None, tuple[Model, TeachSummary]]:
    """Teach a model of volumes; parameters, events and result are those of `iter_finetune`.

    Where nothing is checked the model before holds the new one near, as on planes. Of two volumes
    or more the last one is kept aside and scored before and after; of one what was learnt is.
    Scenes are not rehearsed. Where volumes are checked as a whole, threshold, split and smallest
    object are chosen anew by them.

    Raises
    ------
    InputError
        If nothing is checked, or the channels are not the model's.
    """
    check_examples(model, examples)
    if not 0 <= keep <= 1:
        raise InputError(f"keep is {keep}; it must be from 0 (free) to 1 (close).")
    budget = Budget(seconds, steps)
    given = [example for example in examples if example.mask.any()]
    taught, aside = (given[:-1], given[-1:]) if len(given) > 1 else (given, [])
    run = Optimisation(copy.deepcopy(model.network), settings, budget, device, precision, seed)
    run.freeze_batch_norm()
    sampler = patch_sampler(taught, model.config, settings, seed)
    teacher = Teacher(model.network, run, keep) if keep > 0 else None

    def scored(one: Model) -> KeptAsideScore:
        tested = aside or taught
        cells = sum(count_cells(example) for example in aside)
        score = _score(one, tested, device, precision)
        return KeptAsideScore(budget.step, budget.elapsed, score, cells)

    before = scored(model)
    yield before
    with closing(run.steps(sampler, _loss(settings, teacher), cancelled)) as reports:
        yield from reports
    learnt = replace(model, network=run.averaged())
    learnt = calibrate_volumes(learnt, taught, device=device, precision=precision)
    after = scored(learnt)
    yield after
    summary = TeachSummary(
        before.score,
        after.score,
        sum(count_cells(example) for example in taught),
        before.cells,
        after.score >= before.score,
        budget.elapsed,
        budget.step,
    )
    return learnt, summary


def _loss(settings: TrainSettings, teacher: Teacher | None) -> Loss:
    checked = checked_loss(settings.loss)

    def loss(logits: Tensor, batch: Batch) -> Tensor:
        value = checked(logits, batch)
        if teacher is None or teacher.is_contradicted:
            return value
        return value + teacher.loss(logits, batch.image, *cropped(batch, logits))

    return loss


def _score(model: Model, examples: Sequence[Example], device: str, precision: str) -> float:
    """Return the mean IoU of checked objects with what is found, 0 for those that are missed."""
    total, objects = 0.0, 0
    for example in examples:
        space = model.config.spatial_axes
        found = segment(
            example.image_cyx, model, axes=f"C{space}", device=device, precision=precision
        )
        truth, labels = (np.where(example.mask, x, 0) for x in (example.labels, found.labels))
        overlap = overlap_of(truth, labels)
        total += float(overlap.matched(0.1)[2].sum())
        objects += max(overlap.n_truth, overlap.n_predicted)  # false ones count as 0
    return total / objects if objects else 1.0
