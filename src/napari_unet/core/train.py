"""Training from scratch or on from a model, as a generator that reports and can be cancelled."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from napari_unet.core.augment import AugmentConfig
from napari_unet.core.budget import Budget
from napari_unet.core.checkpoint import describe_run
from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.distil import taught_loss
from napari_unet.core.errors import InputError
from napari_unet.core.events import TrainProgress
from napari_unet.core.example import Example
from napari_unet.core.lesson import checked_loss, patch_sampler
from napari_unet.core.lineage import round_told, timestamp
from napari_unet.core.model_file import Model
from napari_unet.core.models.outline_unet import OutlineUNet
from napari_unet.core.optimise import Cancelled, Optimisation, TrainSettings
from napari_unet.core.run_keeper import RunKeeper
from napari_unet.core.team import joined_team
from napari_unet.core.train_settings import TRAIN_SETTINGS, VOLUME_SETTINGS
from napari_unet.core.watch import Watch, loss_on
from napari_unet.core.widen import widened

__all__ = ["continued", "iter_train"]

LOOKS_BEFORE_A_DROP = 5  # of the schedule "plateau" (chosen)

# Patches that are watched are always the same.
UNVARIED = AugmentConfig.unvaried()


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
        Its weights are where training begins; it must have the shape that `config` names, but
        may be narrower. A "unet" where `config` names "unet-outlines" stays as it is, and its
        second expanding path learns.
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
        If the model to start from has another shape, the run to resume other settings, or a second
        expanding path has no loss.
    """
    settings = settings or (VOLUME_SETTINGS if config.is_volumetric else TRAIN_SETTINGS)
    model = Model.fresh(config, seed=seed)
    model = replace(model, card=card or ModelCard("trained"))
    if start is not None:
        model = continued(model, start)
    if isinstance(model.network, OutlineUNet):
        _choose_paths(model.network, settings, start)
    sampler = patch_sampler(examples, config, settings, seed)
    budget = Budget(seconds, steps)
    with joined_team(device) as team:
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
    history = (*model.card.history, round_told(f"trained on {len(examples)} images", budget))
    finished = replace(model.card, history=history, created=timestamp())
    return replace(model, card=finished, network=run.averaged())


def _choose_paths(network: OutlineUNet, settings: TrainSettings, start: Model | None) -> None:
    """Let a second expanding path answer if it learns, by an output of its own."""
    if settings.side_weight:
        network.answer_by_both()
    elif start is not None and start.config.architecture == "unet":
        raise InputError(
            "The second expanding path learns by an output of its own, which side_weight 0 leaves "
            "out; give more than 0."
        )
    else:
        network.answer_alone()


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

    A model that is wider than the other one answers as that one does, and has more to learn with.
    A U-Net that gets a second expanding path keeps the first as it is: the second learns alone.

    Raises
    ------
    InputError
        If they have another shape.
    """
    start.must_be_ours("trained")
    gains_path = (start.config.architecture, model.config.architecture) == ("unet", "unet-outlines")
    shape = ("architecture", "in_channels", "classes", "width", "depth", "compress", "network_norm")
    for name in (*shape, "strides", "slices"):
        new, old = getattr(model.config, name), getattr(start.config, name)
        is_wider = name == "width" and new > old and not gains_path
        if new != old and not is_wider and not (name == "architecture" and gains_path):
            raise InputError(
                f"The model to start from has {name.removeprefix('network_')} {old} and {new} is "
                f"asked for; use {old}."
            )
    if model.config.width > start.config.width:
        start = widened(start, model)
    if gains_path:
        assert isinstance(model.network, OutlineUNet)
        model.network.go_on_from(start.network)
    else:
        model.network.load_state_dict(start.network.state_dict())
    card = replace(model.card, parent=start.card.name, history=start.card.history)
    return replace(model, card=card)
