"""`napari-unet finetune`: teach a model from your own labels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_unet.commands.console import follow, is_first_process, say, say_aside
from napari_unet.commands.data import read_examples
from napari_unet.commands.inputs import Reading
from napari_unet.commands.learning import (
    budget_seconds,
    budget_steps,
    checked_target,
    settings_of,
    stop_key,
)
from napari_unet.commands.session_data import session_examples
from napari_unet.core.classes import with_classes
from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.core.fine_tuning import iter_finetune
from napari_unet.core.model_file import load_model
from napari_unet.core.train_settings import TEACH_SETTINGS, TEACH_VOLUME_SETTINGS
from napari_unet.session.saved_folder import find_session

__all__ = ["run"]


def run(args: argparse.Namespace) -> int:
    """Teach, and write the model if it became better on the cells kept aside."""
    if not is_first_process():
        raise InputError("Teaching takes one process; start it without torchrun.")
    target = checked_target(args.out)
    model = load_model(args.model)
    data, reading = Path(args.data), Reading(args.axes, args.channel)
    session = find_session(data)
    is_of_volumes = model.config.is_volumetric
    if is_of_volumes and (args.classes or session == data):
        raise InputError(
            "A model of volumes is taught objects, from a folder with images/ and labels/; leave "
            "--classes out and give such a folder."
        )
    if session is not None and (session == data or not (data / "labels").is_dir()):
        examples = session_examples(data, reading, args.classes or (), model.config.slices)
    else:
        config = model.config
        examples = read_examples(data, reading, config.spatial_axes, config.slices)
    settings = settings_of(args, TEACH_VOLUME_SETTINGS if is_of_volumes else TEACH_SETTINGS)
    learnt = [replace(named.example, semantic=bool(args.classes)) for named in examples]
    if args.classes:
        model = with_classes(model, args.classes)
        learnt = [_in_the_models_order(one, args.classes, model.config.classes) for one in learnt]
    with stop_key() as stop:
        events = iter_finetune(
            model,
            learnt,
            seconds=budget_seconds(args),
            steps=budget_steps(args, learnt, settings, model.config.diameter),
            keep=args.keep,
            settings=settings,
            seed=args.seed,
            device=args.device,
            precision=args.precision,
            cancelled=stop,
        )
        taught, summary = follow(events, "Teaching")
    if not summary.improved:
        say_aside(f"napari-unet: {summary.sentence}")
        return 1
    card = replace(taught.card, name=target.stem, title=target.stem)
    replace(taught, card=card).save(target)
    say(f"{summary.sentence} Written to {target}.")
    return 0


def _in_the_models_order(example: Example, names: Sequence[str], classes: Sequence[str]) -> Example:
    """Number the classes as the model does."""
    highest = int(example.labels.max(initial=0))
    if highest > len(names):
        raise InputError(f"A label is {highest}, and {len(names)} classes are named; name it too.")
    numbers = np.array([0, *(classes.index(name) for name in names)], np.int32)
    return replace(example, labels=numbers[example.labels])
