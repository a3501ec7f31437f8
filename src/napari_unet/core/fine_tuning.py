"""Teaching a model the checked areas of a few images: a generator that reports and returns."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice

from torch import nn

from napari_unet.core.budget import Budget
from napari_unet.core.crumbs import without_crumbs
from napari_unet.core.errors import InputError
from napari_unet.core.events import KeptAsideScore, TeachSummary, TrainProgress
from napari_unet.core.example import Example
from napari_unet.core.head import BATCHES, fit_head, settle_outlines
from napari_unet.core.judge import Judge, Where
from napari_unet.core.kept_aside import keep_aside
from napari_unet.core.kept_patches import keep_patches_aside
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
from napari_unet.core.lineage import round_told, timestamp
from napari_unet.core.model_file import Model
from napari_unet.core.optimise import Cancelled, Optimisation, TrainSettings
from napari_unet.core.rehearsal import Rehearsal
from napari_unet.core.rounds import earlier_checked, share_of_news, toward, was_taught
from napari_unet.core.taught_size import at_found_size, at_right_size, new_sizes
from napari_unet.core.teach_volumes import iter_teach_volumes
from napari_unet.core.teacher import Teacher
from napari_unet.core.train_settings import (
    CAREFUL_SETTINGS,
    TEACH_SETTINGS,
    TEACH_VOLUME_SETTINGS,
)

__all__ = ["finetune", "iter_finetune"]

# So much of a first lesson on a kind that was known is taken. Measured on looks held out with ten
# nuclei of one image each: half of it gained 0.103 at the best and lost 0.008 at the worst, a third
# 0.101 and nothing, three quarters 0.075 and 0.021 (docs/measured.md; chosen between).
OF_KNOWN = 0.4


def iter_finetune(
    model: Model,
    examples: Sequence[Example],
    *,
    seconds: float | None = None,
    steps: int | None = None,
    keep: float = 0.5,
    base: Model | None = None,
    settings: TrainSettings | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    cancelled: Cancelled | None = None,
) -> Generator[TrainProgress | KeptAsideScore, None, tuple[Model, TeachSummary]]:
    """Teach a model from the checked areas of a few images.

    Outside the checked areas the model before teaching holds the new one near, as far as the
    checked ones bear it out, and on drawn scenes that it knew; batch-norm statistics stay as they
    are. On images of a kind that it knew outlines come to lie where they were taught. Where
    most of what it finds looks right (`what_is_known`) that is learnt along as if it was
    checked, at a smaller rate, at the size that it has, and two fifths of what was learnt are
    taken, unless `keep` is 0; and other images may have objects of other sizes, if they were
    measured right here. From the second round on as much of it is taken as it brings of all
    cells, and a network that has lost what was checked in earlier rounds is not taken. Where enough
    cells are checked a part is kept aside, by region, and the weights that score best on it are
    returned.

    Parameters
    ----------
    model : Model
        The model to start from; it is not changed.
    examples : sequence of Example
        Images with labels and checked areas. One without a diameter gets that of its checked
        cells, if the model works at one size of objects. Those of earlier rounds (`replayed`) are
        learnt along, and not kept aside.
    seconds, steps : optional
        How long; at least one. Seconds include preparing and scoring.
    keep : float
        0: learn freely; 1: stay close to what the model knows.
    base : Model, optional
        What it knew before all rounds of teaching, to stay close to; None takes the model itself.
        After a first round on another kind of image a model agrees with what was checked there, and
        would be believed in all that it has not learnt yet.
    settings : TrainSettings, optional
        Patches, rate, augmentation.
    seed, device, precision, cancelled
        See `iter_train`; when cancelled the best so far is returned.

    Yields
    ------
    TrainProgress, KeptAsideScore

    Returns
    -------
    tuple of Model and TeachSummary
        The taught model, whether better or not, and how it went.

    Raises
    ------
    InputError
        If nothing is checked, or the channels are not the model's.
    """
    model.must_be_ours("taught")
    if model.config.is_volumetric:
        settings = settings or TEACH_VOLUME_SETTINGS
        rounds = iter_teach_volumes(
            model, examples, settings, seconds=seconds, steps=steps, keep=keep, seed=seed,
            device=device, precision=precision, cancelled=cancelled,
        )  # fmt: skip
        learnt_model, told = yield from rounds
        past = (*model.card.history, f"{timestamp()}: {told.sentence} ({told.steps} steps)")
        card = replace(model.card, parent=model.card.name, history=past, created=timestamp())
        return replace(learnt_model, card=card), told
    check_examples(model, examples)
    if not 0 <= keep <= 1:
        raise InputError(f"keep is {keep}; it must be from 0 (free) to 1 (close).")
    budget = Budget(seconds, steps)
    examples = [sized(example, model.config) for example in examples]
    fresh = [example for example in examples if not example.replayed]
    replayed = [example for example in examples if example.replayed]
    keep_some = keep_patches_aside if model.config.semantic else keep_aside
    taught, aside = keep_some(fresh, model.config.percentiles, seed=seed)
    known = model if base is None else base
    where: Where = {"device": device, "precision": precision}
    knowledge = Knowledge(is_known=False)
    if keep > 0:
        knowledge = what_is_known(known, fresh, taught=taught, **where)
    resized = at_right_size(fresh, knowledge, model, **where)
    found = new_sizes(fresh, resized)
    if found:
        fresh = resized
        taught, aside = keep_some(fresh, model.config.percentiles, seed=seed)
        if keep > 0:
            knowledge = what_is_known(known, fresh, taught=taught, **where)
    knows = knowledge.is_known
    settings = settings or (CAREFUL_SETTINGS if knows else TEACH_SETTINGS)
    run = Optimisation(taught_copy(model.network), settings, budget, device, precision, seed)
    run.freeze_batch_norm()
    is_later = not model.config.semantic and was_taught(model, base)
    judge = Judge(
        model,
        taught,
        aside,
        budget,
        device,
        precision,
        believed=knowledge.believed,
        earlier=earlier_checked(fresh) if is_later else (),
    )
    first = judge.judge(model.network)
    if first is not None:
        yield first
    learnt_from = [*with_believed(taught, knowledge), *replayed]
    if not knows:
        learnt_from = without_crumbs(learnt_from)
    sampler = patch_sampler(learnt_from, model.config, settings, seed)
    rehearsal = Rehearsal(known, run, keep, knows=knows)
    teacher = Teacher(known.network, run, keep, trusted=knows) if keep > 0 else None
    loss = teaching_loss(settings.loss, teacher, rehearsal)
    # Drawn once: when a score is due depends on the clock, and what is drawn must not.
    views = list(islice(sampler, BATCHES))

    share = share_of_news(fresh) if is_later else OF_KNOWN if knows else 1.0

    def learnt(share: float = share) -> nn.Module:
        network = toward(run.averaged(), model.network, share)
        if teacher is not None and teacher.is_confirmed and not (model.config.semantic or knows):
            settle_outlines(network, views, rehearsal)
        return network

    if not knows and (cancelled is None or not cancelled()):
        fit_head(run.network, views, rehearsal)
    with closing(run.steps(sampler, watched(loss, sampler), cancelled)) as reports:
        for report in reports:
            yield report
            if judge.is_due():
                score = judge.judge(learnt())
                if score is not None:
                    yield score
    last = judge.judge(learnt())
    if judge.has_lost or judge.has_forgotten:
        judge.judge(learnt(share / 2))
    if is_later and not knows and judge.finds_little:  # a part of it is not enough
        judge.judge(learnt(1.0), proven=True)
    if last is not None:
        yield last
    summary = judge.summary(sum(count_cells(example) for example in taught), len(replayed))
    is_rehearsed = not (rehearsal.is_empty or knows)
    summary = replace(summary, rehearsed=is_rehearsed, diameters=found)
    history = (*model.card.history, round_told(summary.sentence, budget))
    card = replace(model.card, parent=model.card.name, history=history, created=timestamp())
    best = judge.best or replace(model, network=learnt())
    measured = at_found_size(fresh, knowledge, far_off=1.0)
    config = knowing_size(best.config, measured, is_known=knows and not found)
    return replace(best, card=card, config=config), summary


def finetune(
    model: Model,
    examples: Sequence[Example],
    *,
    seconds: float | None = None,
    steps: int | None = None,
    keep: float = 0.5,
    settings: TrainSettings | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
) -> Model:
    """Teach a model and return it, or the model before if it scored worse; see `iter_finetune`."""
    rounds = iter_finetune(
        model,
        examples,
        seconds=seconds,
        steps=steps,
        keep=keep,
        settings=settings,
        seed=seed,
        device=device,
        precision=precision,
    )
    while True:
        try:
            next(rounds)
        except StopIteration as end:
            taught, summary = end.value
            return taught if summary.improved else model
