"""Training from scratch and teaching, as generators that report, can be cancelled, and return."""

from __future__ import annotations

import copy
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from torch import nn

from napari_unet.core.augment import AugmentConfig
from napari_unet.core.checkpoint import describe_run
from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.distil import taught_loss
from napari_unet.core.errors import InputError
from napari_unet.core.events import KeptAsideScore, TeachSummary, TrainProgress
from napari_unet.core.example import Example
from napari_unet.core.head import BATCHES, fit_head, settle_outlines
from napari_unet.core.judge import Judge
from napari_unet.core.kept_aside import keep_aside
from napari_unet.core.kept_patches import keep_patches_aside
from napari_unet.core.knowing import knows_kind
from napari_unet.core.lesson import (
    check_examples,
    checked_loss,
    count_cells,
    knowing_size,
    patch_sampler,
    sized,
    teaching_loss,
    watched,
)
from napari_unet.core.model_file import Model
from napari_unet.core.optimise import Budget, Cancelled, Optimisation, TrainSettings
from napari_unet.core.rehearsal import Rehearsal
from napari_unet.core.rounds import halfway, was_taught
from napari_unet.core.run_keeper import RunKeeper
from napari_unet.core.sampling import WeightSettings
from napari_unet.core.teach_volumes import iter_teach_volumes
from napari_unet.core.teacher import Teacher
from napari_unet.core.team import join_team, leave_team
from napari_unet.core.watch import Watch, loss_on

__all__ = [
    "TEACH_SETTINGS",
    "TEACH_VOLUME_SETTINGS",
    "TRAIN_SETTINGS",
    "VOLUME_SETTINGS",
    "continued",
    "finetune",
    "iter_finetune",
    "iter_train",
    "timestamp",
]

LOOKS_BEFORE_A_DROP = 5  # of the schedule "plateau" (chosen)

# Patches that are watched are always the same.
UNVARIED = AugmentConfig(
    elastic_sigma=0.0,
    rotate=False,
    flip=False,
    scale=(1.0, 1.0),
    brightness=0.0,
    contrast=(1.0, 1.0),
    gamma=(1.0, 1.0),
    noise=0.0,
    blur=0.0,
)

# For a set of many images: what a microscope, a stain and a camera may vary, and objects of
# two thirds to one and a half times the usual size.
TRAIN_SETTINGS = TrainSettings(
    learning_rate=2e-3,
    side_weight=1.0,  # chosen: side outputs together count as much as the output
    augment=AugmentConfig(
        scale=(0.7, 1.45),
        brightness=0.05,
        contrast=(0.7, 1.4),
        gamma=(0.7, 1.4),
        noise=0.04,
        blur=1.0,
        shade=0.3,
    ),
)

# For volumes: patches as large as memory and patience allow, bent in the plane as much as those of
# planes are against their size (chosen).
VOLUME_SETTINGS = replace(
    TRAIN_SETTINGS, patch=64, batch=2, augment=replace(TRAIN_SETTINGS.augment, elastic_sigma=2.5)
)

# For seconds of training on a laptop: many small steps. Measured by tests/benchmarks/teaching.py
# on drawn dark nuclei: AP 0.5 of what was not corrected is 0.48 after 120 steps of 2 patches,
# and 0.00 after 60 steps of 4, which take as long. Noise and blur are weak: what parts a cell from
# its ground may be a twentieth of the range of intensities (docs/measured.md, phase contrast).
TEACH_SETTINGS = TrainSettings(
    patch=128,
    batch=2,
    learning_rate=3e-3,
    average=0.99,
    weights=WeightSettings(on_cells=False, balance=True),
    augment=AugmentConfig(brightness=0.05, gamma=(0.8, 1.25), noise=0.02, blur=0.5),
)

# Where most of what is found looks right, and the few worst were corrected.
CAREFUL_SETTINGS = replace(TEACH_SETTINGS, learning_rate=1e-3)

# For volumes: as in training, with the step and the average of a short run (chosen).
TEACH_VOLUME_SETTINGS = replace(VOLUME_SETTINGS, learning_rate=1e-3, average=0.99, side_weight=0.0)


def iter_train(
    examples: Sequence[Example],
    config: ModelConfig,
    *,
    card: ModelCard | None = None,
    start: Model | None = None,
    teacher: Model | None = None,
    watched: Sequence[Example] = (),
    settings: TrainSettings | None = None,
    seconds: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    checkpoint: Path | None = None,
    resume: bool = False,
    cancelled: Cancelled | None = None,
) -> Generator[TrainProgress, None, Model]:
    """Train a model, from scratch or on from another one.

    Parameters
    ----------
    examples : sequence of Example
        What to learn from.
    config : ModelConfig
        The network to build.
    card : ModelCard, optional
        Of the new model.
    start : Model, optional
        Its weights are where training begins; it must have the shape that `config` names.
    teacher : Model, optional
        A larger model whose answers are learnt along with the labels, see `taught_loss`.
    watched : sequence of Example, optional
        Not learnt from: the loss on them decides when the rate is lowered and the run is ended,
        where `settings` have a patience or the schedule "plateau". Without any it is the loss of
        what is learnt from.
    settings : TrainSettings, optional
        Patches, rate, augmentation.
    seconds, steps : optional
        How long; at least one.
    seed : int
        Of weights and patches: on one device the same seed and steps give the same model, up
        to the order of floating-point sums.
    device, precision : str
        See `napari_unet.core.device`.
    checkpoint : Path, optional
        The model so far is saved there every two minutes, and beside it, ending in ".resume",
        all that `resume` needs; the latter is removed at the end.
    resume : bool
        Go on with the run that was stopped, if its ".resume" file is there. The model is then
        the same as if it had not been stopped, as long as no dropout is used.
    cancelled : callable, optional
        Polled at each step; when it returns True the model so far is returned.

    Yields
    ------
    TrainProgress
        At most a few times a second.

    Returns
    -------
    Model
        With the running average of the weights.

    Raises
    ------
    InputError
        If the model to start from has another shape, or the run to resume other settings.
    """
    settings = settings or (VOLUME_SETTINGS if config.is_volumetric else TRAIN_SETTINGS)
    model = Model.fresh(config, seed=seed)
    model = replace(model, card=card or ModelCard("trained"))
    if start is not None:
        model = continued(model, start)
    sampler = patch_sampler(examples, config, settings, seed)
    budget = Budget(seconds, steps)
    team = join_team(device)
    run = Optimisation(model.network, settings, budget, device, precision, seed, team)
    length = f"{seconds} seconds, {steps} steps"
    origin = "" if start is None else start.card.name
    origin += "" if teacher is None else f", taught by {teacher.card.name}"
    keeper = RunKeeper(
        checkpoint,
        describe_run(config, settings, seed, examples, f"{length}, from {origin}"),
        writes=team.rank == 0,
    )
    loss = checked_loss(settings.loss)
    _watch(run, config, settings, watched, seed)
    if teacher is not None:
        loss = taught_loss(run, loss, teacher, config, settings.patch)
    if resume:
        keeper.take_up(run)

    with closing(run.steps(sampler, loss, cancelled)) as reports:
        for report in reports:
            yield report
            if keeper.is_due(budget):
                keeper.save(run, model)
    if run.is_over:
        keeper.remove()
    else:
        keeper.save(run, model)
    leave_team(team)
    history = (*model.card.history, _history(f"trained on {len(examples)} images", budget))
    finished = replace(model.card, history=history, created=timestamp())
    return replace(model, card=finished, network=run.averaged())


def _watch(
    run: Optimisation,
    config: ModelConfig,
    settings: TrainSettings,
    watched: Sequence[Example],
    seed: int,
) -> None:
    """Look at the loss now and then, if it is to decide anything."""
    falls = settings.schedule == "plateau"
    if not settings.patience and not falls:
        return
    measure = None
    if watched:
        plain = replace(settings, augment=UNVARIED)
        sampler = patch_sampler(watched, config, plain, seed)
        measure = loss_on(sampler, checked_loss(settings.loss), run.device)
    run.watch(
        Watch(
            settings.watch_every,
            patience=settings.patience,
            drop_after=LOOKS_BEFORE_A_DROP if falls else 0,
            measure=measure,
        )
    )


def continued(model: Model, start: Model) -> Model:
    """Give a fresh model the weights of another, and its history.

    Raises
    ------
    InputError
        If they have another shape.
    """
    start.must_be_ours("trained")
    shape = ("architecture", "in_channels", "classes", "width", "depth", "compress", "network_norm")
    for name in (*shape, "strides", "slices"):
        new, old = getattr(model.config, name), getattr(start.config, name)
        if new != old:
            raise InputError(
                f"The model to start from has {name.removeprefix('network_')} {old} and {new} is "
                f"asked for; use {old}."
            )
    model.network.load_state_dict(start.network.state_dict())
    card = replace(model.card, parent=start.card.name, history=start.card.history)
    return replace(model, card=card)


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
    are. On images of a kind that it knew outlines come to lie where they were taught, and where
    most of what it finds looks right (`knows_kind`) half of what was learnt of the few that were
    corrected is taken, at a smaller rate, unless `keep` is 0. Where enough
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
    knows = keep > 0 and knows_kind(known, fresh, device=device, precision=precision)
    settings = settings or (CAREFUL_SETTINGS if knows else TEACH_SETTINGS)
    run = Optimisation(copy.deepcopy(model.network), settings, budget, device, precision, seed)
    run.freeze_batch_norm()
    judge = Judge(model, taught, aside, budget, device, precision, knows=knows)
    first = judge.judge(model.network)
    if first is not None:
        yield first
    sampler = patch_sampler([*taught, *replayed], model.config, settings, seed)
    rehearsal = Rehearsal(known, run, keep)
    teacher = Teacher(known.network, run, keep, trusted=knows) if keep > 0 else None
    loss = teaching_loss(settings.loss, teacher, rehearsal)
    # Drawn once: when a score is due depends on the clock, and what is drawn must not.
    views = list(islice(sampler, BATCHES))

    is_later = not model.config.semantic and was_taught(model, base)
    is_halved = is_later or knows

    def learnt(*, whole: bool = not is_halved) -> nn.Module:
        network = run.averaged() if whole else halfway(run.averaged(), model.network)
        if teacher is not None and teacher.is_confirmed and not (model.config.semantic or knows):
            settle_outlines(network, views, rehearsal)
        return network

    if cancelled is None or not cancelled():
        fit_head(run.network, views, rehearsal)
    with closing(run.steps(sampler, watched(loss, sampler), cancelled)) as reports:
        for report in reports:
            yield report
            if judge.is_due():
                score = judge.judge(learnt())
                if score is not None:
                    yield score
    last = judge.judge(learnt())
    if is_later and not knows and judge.finds_little:  # half of it is not enough
        judge.judge(learnt(whole=True), proven=True)
    if last is not None:
        yield last
    summary = judge.summary(sum(count_cells(example) for example in taught), len(replayed))
    summary = replace(summary, rehearsed=not rehearsal.is_empty)
    history = (*model.card.history, _history(summary.sentence, budget))
    card = replace(model.card, parent=model.card.name, history=history, created=timestamp())
    best = judge.best or replace(model, network=learnt())
    return replace(best, card=card, config=knowing_size(best.config, examples)), summary


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


def _history(what: str, budget: Budget) -> str:
    return f"{timestamp()}: {what} ({budget.step} steps, {budget.elapsed:.0f} s)"


def timestamp() -> str:
    """Return the date and time as cards name them: ISO, in universal time."""
    return datetime.now(UTC).isoformat(timespec="seconds")
