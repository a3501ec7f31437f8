"""`napari-unet train`: a model from scratch, tested on what was held out."""

from __future__ import annotations

import argparse
import random
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from napari_unet.commands.console import follow, progress_bar, say
from napari_unet.commands.data import (
    NamedExample,
    channels_of,
    held_out_names,
    read_examples,
)
from napari_unet.commands.inputs import Reading
from napari_unet.commands.learning import budget_seconds, checked_target, settings_of, stop_key
from napari_unet.core.choose_split import choose_split
from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.metrics import Scores, pool, score
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.predict import segment
from napari_unet.core.size import median_diameter
from napari_unet.core.train import iter_train

__all__ = ["run"]


def run(args: argparse.Namespace) -> int:
    """Train on images/ and labels/, test on what is held out, write the model."""
    target = checked_target(args.out)
    examples = read_examples(Path(args.data), Reading(args.axes, args.channel))
    names = [named.name for named in examples]
    held_out = held_out_names(args.held_out, names, args.seed)
    taught = [named for named in examples if named.name not in held_out]
    tested = [named for named in examples if named.name in held_out]
    start = load_model(args.start) if args.start else None
    with stop_key() as stop:
        events = iter_train(
            [named.example for named in taught],
            _config(args, taught, channels_of(examples)),
            card=_card(args, target, held_out),
            start=start,
            settings=settings_of(args, TrainSettings()),
            seconds=budget_seconds(args),
            steps=args.steps,
            seed=args.seed,
            device=args.device,
            precision=args.precision,
            checkpoint=target,
            cancelled=stop,
        )
        model = follow(events, "Training")
    model = model.save(target)  # before the test, which may take long
    if tested:
        scores = _test(model, tested, args.device, args.precision)
        card = replace(model.card, scores=card_scores(scores))
        model = replace(model, card=card).save(target)
        for name, value in card.scores.items():
            say(f"{name} on {len(held_out)} images held out: {value:.3f}")
    planes = "plane" if len(taught) == 1 else "planes"
    say(f"Learnt from {len(taught)} {planes}; written to {target}.")
    return 0


def card_scores(scores: Scores) -> dict[str, float]:
    """Return the scores that a model's card shows."""
    shown = {f"AP {t:.2f}": round(v, 4) for t, v in scores.average_precision.items()}
    return {**shown, "F1": round(scores.f1, 4), "Dice": round(scores.dice, 4)}


def _config(args: argparse.Namespace, taught: list[NamedExample], channels: int) -> ModelConfig:
    diameter = median_diameter(named.example.labels for named in taught)
    split = choose_split(named.example.labels for named in _mixed(taught))
    return ModelConfig(
        architecture=args.architecture,
        in_channels=channels,
        width=args.width,
        depth=args.depth,
        dropout=args.dropout,
        split=ModelConfig.split if split is None else split,
        diameter=None if diameter is None else round(diameter, 1),
    )


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


def _test(model: Model, tested: list[NamedExample], device: str, precision: str) -> Scores:
    scores = []
    with progress_bar("Testing", len(tested), " images") as bar:
        for named in tested:
            found = segment(
                named.example.image_cyx, model, axes="CYX", device=device, precision=precision
            )
            scores.append(score(named.example.labels, found.labels))
            bar.update(1)
    return pool(scores)
