"""`napari-unet pretrain`: learn the look of images without labels, before training or teaching."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_unet.commands.console import follow, say
from napari_unet.commands.data import NamedExample, channels_of
from napari_unet.commands.inputs import Reading, find_sources, name_of
from napari_unet.commands.learning import budget_seconds, budget_steps, checked_target, stop_key
from napari_unet.core.architectures import ARCHITECTURES
from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.planes import cut_plane, name_depth, plane_places
from napari_unet.core.pretrain import PRETRAIN_SETTINGS, iter_pretrain

__all__ = ["run"]

USUAL = 24.0  # pixels: as wide as the bundled model for nuclei takes objects (chosen)


def run(args: argparse.Namespace) -> int:
    """Learn to restore hidden parts of images, and write the model to go on from."""
    target = checked_target(args.out)
    start = load_model(args.start) if args.start else None
    if start is not None:
        start.must_be_ours("trained")
    config = _config(args) if start is None else start.config
    images = [
        NamedExample(source.path.name, one)
        for source in find_sources(args.inputs)
        for one in _examples(source.path, Reading(args.axes, args.channel), config, args.objects)
    ]
    if config.slices > 1:
        raise InputError(
            f"{args.start} looks at neighbouring slices; give a model of single planes to --start."
        )
    channels = channels_of(images)
    if start is None:
        config = replace(config, in_channels=channels)
    elif config.in_channels != channels:
        raise InputError(
            f"The model takes {config.in_channels} channels and the images have {channels}; "
            "choose which with --channel."
        )
    named = {name: getattr(args, name) for name in ("patch", "batch", "learning_rate")}
    settings = replace(PRETRAIN_SETTINGS, **{n: v for n, v in named.items() if v is not None})
    learnt = [one.example for one in images]
    args.epochs = None
    with stop_key() as stop:
        events = iter_pretrain(
            learnt,
            config,
            card=ModelCard(target.stem, title=target.stem),
            start=start,
            settings=settings,
            seconds=budget_seconds(args),
            steps=budget_steps(args, learnt, settings, config.diameter),
            seed=args.seed,
            device=args.device,
            precision=args.precision,
            cancelled=stop,
        )
        model: Model = follow(events, "Restoring")
    model.save(target)
    word = "finetune" if start is not None else "train DATA --start"
    say(
        f"Learnt the look of {len(images)} images without their labels; written to {target}. Go on "
        f"with napari-unet {word} and labels of your own."
    )
    return 0


def _config(args: argparse.Namespace) -> ModelConfig:
    """The network that is asked for; of the paper's depth where none is named."""
    known = ARCHITECTURES[args.architecture]
    diameter = args.diameter or (USUAL if args.objects and args.diameter is None else None)
    return ModelConfig(
        architecture=args.architecture,
        width=args.width,
        depth=known.depth if args.depth is None else args.depth,
        norm=args.norm,
        compress=args.compress,
        diameter=None if known.axes == 3 else diameter,
    )


def _examples(
    path: Path, reading: Reading, config: ModelConfig, objects: float | None
) -> Iterator[Example]:
    """Yield the planes of a file, or its volumes, as examples that have no labels."""
    image, axes = reading.read(path)
    axes = name_depth(axes) if config.is_volumetric else axes
    space = config.spatial_axes
    if not set(space) <= set(axes):
        raise InputError(f"{name_of(path)} has the axes {axes}; name them with --axes.")
    for place in plane_places(image.shape, axes, space):
        plane = cut_plane(image, axes, place, space)
        nothing = np.zeros(plane.shape[1:], np.int32)
        yield Example(plane, nothing, axes=f"C{space}", diameter=objects)
