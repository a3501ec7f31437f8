"""`napari-unet models prune`: a smaller model out of a large one, and what that costs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unet.commands.console import say
from napari_unet.commands.learning import checked_target
from napari_unet.core.errors import InputError

if TYPE_CHECKING:
    from napari_unet.commands.data import NamedExample
    from napari_unet.core.model_file import Model

__all__ = ["prune_model"]

BATCHES = 12  # of patches that show which channels matter (chosen)
TESTED = 30  # images at the most


def prune_model(args: argparse.Namespace) -> None:
    """Cut a model to fewer poolings or fewer channels, and say what is lost and won.

    Raises
    ------
    InputError
        If the model cannot be cut so, or channels are to be chosen and no images are given.
    """
    from napari_unet.core.model_file import load_model  # brings torch
    from napari_unet.core.prune import pruned

    target = checked_target(args.out)
    model = load_model(args.model)
    model.must_be_ours("pruned")
    if args.width is not None and args.data is None:
        raise InputError(
            "Which channels matter is seen on images; give --data, a folder with images/ and "
            "labels/ of the kind that the model is for."
        )
    if args.data is not None:
        model.must_be_of_planes("pruned on images")
    examples = [] if args.data is None else _examples(model, Path(args.data))
    if args.width is None:
        what, before, after = "depth", model.config.depth, args.depth
        cut = pruned(model, args.depth)
    else:
        what, before, after = "width", model.config.width, args.width
        cut = _narrowed(model, args.width, examples)
    cut = replace(cut, card=replace(cut.card, name=target.stem, title=target.stem))
    cut.save(target)
    counts = (sum(p.numel() for p in m.network.parameters()) / 1e6 for m in (model, cut))
    say(
        f"Cut from {what} {before} to {after}: {next(counts):.2f} to {next(counts):.2f} million "
        f"parameters; written to {target}."
    )
    if examples:
        _compare(model, cut, examples, args)
    else:
        say("Test it with napari-unet evaluate before you rely on it, or give --data.")


def _examples(model: Model, folder: Path) -> list[NamedExample]:
    """Read images as the model takes them; objects of the size that they have."""
    from napari_unet.commands.data import channels_of, read_examples
    from napari_unet.commands.inputs import Reading
    from napari_unet.core.size import median_diameter

    named = read_examples(folder, Reading(None, None), slices=model.config.slices)
    if channels_of(named) != model.config.in_channels:
        raise InputError(
            f"The model takes {model.config.in_channels} channels and the images have "
            f"{channels_of(named)}; give others."
        )
    size = None if model.config.diameter is None else median_diameter
    return [
        replace(
            one,
            example=replace(
                one.example,
                semantic=model.config.semantic,
                diameter=size([one.example.labels]) or model.config.diameter if size else None,
            ),
        )
        for one in named
    ]


def _narrowed(model: Model, width: int, examples: list[NamedExample]) -> Model:
    from napari_unet.core.lesson import patch_sampler
    from napari_unet.core.narrow import narrowed
    from napari_unet.core.train_settings import TRAIN_SETTINGS

    looked_at = [one.example for one in examples if one.name not in model.card.held_out]
    every = [one.example for one in examples]
    sampler = patch_sampler(looked_at or every, model.config, TRAIN_SETTINGS, seed=0)
    return narrowed(model, width, [batch.image for batch in islice(sampler, BATCHES)])


def _compare(
    model: Model, cut: Model, examples: list[NamedExample], args: argparse.Namespace
) -> None:
    """Say what is lost and won, on what the model has not learnt from if that is among it."""
    from napari_unet.commands.distilling import compared
    from napari_unet.commands.held_out import tested_on

    unseen = [one for one in examples if one.name in model.card.held_out]
    some = (unseen or examples)[:TESTED]
    before, after = (tested_on(one, some, args.device, args.precision) for one in (model, cut))
    told = ("mean IoU",) if model.config.semantic else ("AP 0.50", "AP 0.70")
    say(f"On {len(some)} images{' that the model had not learnt from' if unseen else ''}:")
    for line in compared(
        (model, cut),
        ("before", "after"),
        {name: (before[name], after[name]) for name in told},
        [one.example for one in some],
        args.device,
        args.precision,
    ):
        say(line)
