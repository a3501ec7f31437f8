"""`napari-unet train`: a model from scratch, tested on what was held out."""

from __future__ import annotations

import argparse
import random
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.commands.automatic import automatic
from napari_unet.commands.console import follow, is_first_process, progress_bar, say
from napari_unet.commands.data import (
    NamedExample,
    channels_of,
    held_out_names,
    read_examples,
)
from napari_unet.commands.distilling import compared
from napari_unet.commands.held_out import tested_on
from napari_unet.commands.inputs import Reading
from napari_unet.commands.learning import (
    budget_seconds,
    budget_steps,
    checked_target,
    settings_of,
    stop_key,
)
from napari_unet.commands.volumes import (
    anisotropy_of,
    calibrated,
    check_options,
    chosen_architecture,
)
from napari_unet.core.architectures import ARCHITECTURES
from napari_unet.core.calibrate import iter_calibrate
from napari_unet.core.choose_split import choose_split
from napari_unet.core.class_labels import classes_with
from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.core.level import levelled
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.models.outline_unet import OutlineUNet
from napari_unet.core.optimise import Cancelled
from napari_unet.core.rescale import resize_labels, scaled_shape
from napari_unet.core.rounds import toward
from napari_unet.core.size import choose_min_size, median_diameter
from napari_unet.core.train import iter_train
from napari_unet.core.train_settings import TRAIN_SETTINGS, VOLUME_SETTINGS

__all__ = ["run"]

# Objects are brought to their own median size if it is within these bounds, in pixels (chosen:
# smaller ones show no shape, larger ones cost time).
USUAL_DIAMETER = (12.0, 40.0)

# Settings that say how objects are made of what is found.
OF_OBJECTS = ("threshold", "min_size", "split", "object_score")


def run(args: argparse.Namespace) -> int:
    """Train on images/ and labels/, test on what is held out, write the model."""
    if args.share < 1 and not args.start:
        raise InputError("--share is of what is learnt since --start: name a model to start from.")
    target = checked_target(args.out)
    args.architecture = chosen_architecture(args)
    is_of_volumes = ARCHITECTURES[args.architecture].axes == 3
    if is_of_volumes:
        check_options(args)
    teacher = load_model(args.teacher) if args.teacher else None
    if teacher is not None:
        teacher.must_be_of_planes("a teacher yet")
    space = "ZYX" if is_of_volumes else "YX"
    if teacher is not None and args.slices == 1:
        args.slices = teacher.config.slices
    reading = Reading(args.axes, args.channel)
    examples = read_examples(Path(args.data), reading, space, args.slices)
    names = _classes(args, teacher)
    if not is_of_volumes:
        examples = _with_classes(examples, len(names)) if names else _measured(examples)
    held_out = held_out_names(args.held_out, [named.name for named in examples], args.seed)
    left = [named for named in examples if named.name not in held_out]
    watched = held_out_names(args.watch, [named.name for named in left], args.seed + 1)
    taught = [named for named in left if named.name not in watched]
    tested = [named for named in examples if named.name in held_out]
    start = load_model(args.start) if args.start else None
    if start is not None and args.share < 1 and start.config.width != args.width:
        raise InputError(
            f"--share is of two models of one width: {args.start} has {start.config.width} and "
            f"--width is {args.width}; give the same, or leave --share out."
        )
    if start is not None and args.share < 1 and start.config.architecture != args.architecture:
        raise InputError(
            f"--share is of two models of one architecture: {args.start} is "
            f"{start.config.architecture} and --architecture is {args.architecture}; "
            "give the same, or leave --share out."
        )
    settings, config = (
        settings_of(args, VOLUME_SETTINGS if is_of_volumes else TRAIN_SETTINGS),
        _config(args, taught, channels_of(examples), teacher, names),
    )
    learnt = [named.example for named in taught]
    if args.automatic:
        config, settings = automatic(args, config, settings, learnt)
    with stop_key() as stop:
        events = iter_train(
            learnt,
            config,
            card=_card(args, target, held_out),
            start=start,
            teacher=teacher,
            watched=[named.example for named in left if named.name in watched],
            settings=settings,
            seconds=budget_seconds(args),
            steps=budget_steps(args, learnt, settings, config.diameter),
            seed=args.seed,
            device=args.device,
            precision=args.precision,
            checkpoint=target,
            resume=args.resume,
            cancelled=stop,
        )
        model = follow(events, "Training")
        if not is_first_process():
            return 0
        if start is not None and args.share < 1:
            network = toward(model.network, start.network, args.share)
            model = replace(model, network=network)
        model = model.save(target)  # what follows may take long
        if is_of_volumes:
            model = calibrated(model, taught, args).save(target)
        elif not model.config.semantic:
            model = _calibrated(model, taught, args, stop, start).save(target)
    if tested:
        scores = tested_on(model, tested, args.device, args.precision)
        model = replace(model, card=replace(model.card, scores=scores)).save(target)
        for name, value in model.card.scores.items():
            say(f"{name} on {len(held_out)} images held out: {value:.3f}")
    if teacher is not None:
        _compare(teacher, model, tested or taught, args)
    what = "volume" if is_of_volumes else "plane"
    say(f"Learnt from {len(taught)} {what}{'s' * (len(taught) != 1)}; written to {target}.")
    return 0


def _calibrated(
    model: Model,
    taught: list[NamedExample],
    args: argparse.Namespace,
    stop: Cancelled,
    start: Model | None,
) -> Model:
    """Choose how objects are made by what the model finds in some of what it learnt from.

    Where only a second expanding path has learnt, what is found stays what the start has found.
    """
    some = [named.example for named in _mixed(taught)]
    if isinstance(model.network, OutlineUNet) and model.network.has_both:
        where = {"device": args.device, "precision": args.precision}
        model = levelled(model, some, **where, cancelled=stop)
        if start is not None and start.config.architecture == "unet":
            same = {name: getattr(start.config, name) for name in OF_OBJECTS}
            return replace(model, config=replace(model.config, **same))
    rounds = iter_calibrate(
        model, some, device=args.device, precision=args.precision, cancelled=stop
    )
    with progress_bar("Calibrating", 100, "%") as bar:
        try:
            while True:
                bar.update(round(100 * next(rounds)) - bar.n)
        except StopIteration as end:
            calibrated: Model = end.value
    return calibrated


def _measured(examples: list[NamedExample]) -> list[NamedExample]:
    """Say how large the objects of each plane are; a plane without any takes the others' size."""
    own = [median_diameter([named.example.labels]) for named in examples]
    usual = np.median([size for size in own if size is not None]) if any(own) else None
    return [
        replace(named, example=replace(named.example, diameter=size or usual))
        for named, size in zip(examples, own, strict=True)
    ]


def _at_model_size(example: Example, diameter: float | None) -> NDArray[Any]:
    if diameter is None or example.diameter is None:
        return example.labels
    shape = scaled_shape(example.labels.shape, diameter / example.diameter)
    return resize_labels(example.labels, shape)


def _classes(args: argparse.Namespace, teacher: Model | None) -> tuple[str, ...]:
    """Name the classes that the labels are, without background; none if they are objects."""
    if teacher is not None and teacher.config.semantic:
        return teacher.config.classes[1:]
    return tuple(args.classes)


def _with_classes(examples: list[NamedExample], count: int) -> list[NamedExample]:
    """Take labels as classes."""
    for named in examples:
        highest = int(named.example.labels.max(initial=0))
        if highest > count:
            raise InputError(
                f"A label of {named.name} is {highest}, and {count} classes are named; name it too."
            )
    return [
        replace(named, example=replace(named.example, semantic=True, diameter=None))
        for named in examples
    ]


def _config(
    args: argparse.Namespace,
    taught: list[NamedExample],
    channels: int,
    teacher: Model | None,
    names: tuple[str, ...],
) -> ModelConfig:
    shape = ModelConfig(
        architecture=args.architecture,
        in_channels=channels,
        slices=args.slices,
        width=args.width,
        depth=_depth(args, teacher),
        norm=args.norm,
        dropout=args.dropout,
        compress=args.compress,
        anisotropy=anisotropy_of(args) if ARCHITECTURES[args.architecture].axes == 3 else 1.0,
    )
    if shape.is_volumetric:
        return shape
    if teacher is not None:
        shape = replace(shape, percentiles=teacher.config.percentiles)
    if names:
        classes = classes_with(shape, names)
        return replace(shape, classes=classes, semantic=True, min_size=0)
    diameter = args.diameter
    if diameter is None and teacher is not None:
        diameter = teacher.config.diameter or 0
    if diameter is None:
        known = [named.example.diameter for named in taught if named.example.diameter is not None]
        diameter = round(float(np.clip(np.median(known), *USUAL_DIAMETER)), 1) if known else None
    elif not diameter:
        diameter = None
    labels = [_at_model_size(named.example, diameter) for named in _mixed(taught)]
    min_size = choose_min_size(labels)
    split = choose_split(labels, min_size=min_size or ModelConfig.min_size)
    return replace(
        shape,
        min_size=min_size or ModelConfig.min_size,
        split=ModelConfig.split if split is None else split,
        diameter=diameter,
    )


def _depth(args: argparse.Namespace, teacher: Model | None) -> int:
    """Return the poolings: those asked for, the teacher's, or those of the paper."""
    if args.depth is not None:
        return int(args.depth)
    if teacher is not None and teacher.config.architecture == args.architecture:
        return teacher.config.depth
    return ARCHITECTURES[args.architecture].depth


def _mixed(taught: list[NamedExample]) -> list[NamedExample]:
    """Shuffle, always alike: files that follow each other show the same cells."""
    return random.Random(0).sample(taught, len(taught))


def _card(args: argparse.Namespace, target: Path, held_out: tuple[str, ...]) -> ModelCard:
    return ModelCard(
        name=target.stem,
        title=args.title or target.stem,
        purpose=args.purpose,
        data=args.source,
        licence=args.licence,
        failures=args.failures,
        command=shlex.join(["napari-unet", *sys.argv[1:]]),
        held_out=held_out,
    )


def _compare(
    teacher: Model, student: Model, examples: list[NamedExample], args: argparse.Namespace
) -> None:
    """Say what is lost and won, on what is held out or else on what was learnt from."""
    before, after = (
        tested_on(model, examples, args.device, args.precision) for model in (teacher, student)
    )
    told = ("mean IoU",) if student.config.semantic else ("AP 0.50", "AP 0.70")
    scores = {name: (before[name], after[name]) for name in told}
    images = [named.example for named in examples]
    pair, called = (teacher, student), ("teacher", "student")
    for line in compared(pair, called, scores, images, args.device, args.precision):
        say(line)
