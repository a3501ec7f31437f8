"""`napari-unet train --automatic`: what is not said is chosen from the images and the memory."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_unet.commands.console import say
from napari_unet.core.config import ModelConfig
from napari_unet.core.device import choose_device, free_memory
from napari_unet.core.example import Example
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.plan import Memory
from napari_unet.core.recipe import choose_recipe
from napari_unet.core.rescale import scaled_shape
from napari_unet.core.size import median_diameter

__all__ = ["automatic"]


def automatic(
    args: argparse.Namespace,
    config: ModelConfig,
    settings: TrainSettings,
    examples: Sequence[Example],
) -> tuple[ModelConfig, TrainSettings]:
    """Return network and settings with what was chosen, and say it."""
    device = choose_device(args.device)
    recipe = choose_recipe(
        config,
        [_shape(one, config) for one in examples],
        _diameter(config, examples),
        Memory(device.type, free_memory(device)),
    )
    say(recipe.sentence)
    if args.depth is None and args.teacher is None and args.start is None:
        config = replace(config, depth=recipe.depth)
    if args.norm == "auto" and args.start is None:
        config = replace(config, norm=recipe.norm)
    chosen = {name: getattr(recipe, name) for name in ("patch", "batch")}
    free = {name: value for name, value in chosen.items() if getattr(args, name) is None}
    return config, replace(settings, **free)


def _shape(example: Example, config: ModelConfig) -> tuple[int, ...]:
    """The shape that the network sees."""
    shape = example.labels.shape
    if config.diameter is None or example.diameter is None:
        return shape
    return scaled_shape(shape, config.diameter / example.diameter)


def _diameter(config: ModelConfig, examples: Sequence[Example]) -> float | None:
    """How wide objects are as the network sees them; of volumes in their middle planes."""
    if config.semantic or config.diameter is not None:
        return config.diameter
    planes = [
        one.labels[len(one.labels) // 2] if config.is_volumetric else one.labels for one in examples
    ]
    own = [size for plane in planes if (size := median_diameter([plane])) is not None]
    return float(np.median(own)) if own else None
