"""Bring two expanding paths to one level: what the best threshold of one is, is that of the other.

A path that has learnt images much varied is surer of what it finds than where its outlines lie,
and draws best at another threshold than one that has learnt them as they are. One threshold is
taken of both.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_unet.core.calibrate import MAX_PIXELS, Tally, is_whole, truth_and_probability
from napari_unet.core.example import Example
from napari_unet.core.model_file import Model
from napari_unet.core.models.outline_unet import OutlineUNet
from napari_unet.core.optimise import Cancelled

__all__ = ["LEVELS", "levelled"]

LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7)  # thresholds that are tried (chosen)


def levelled(
    model: Model,
    examples: Sequence[Example],
    *,
    device: str = "auto",
    precision: str = "auto",
    cancelled: Cancelled | None = None,
) -> Model:
    """Return a model whose second expanding path is moved to the level of the first.

    Each path alone finds the objects of some examples at several thresholds; from the best of the
    one to the best of the other the logits of the second are moved.

    Parameters
    ----------
    model : Model
        With two expanding paths, of two classes; it is not changed.
    examples : sequence of Example
        In an order in which the first ones stand for all; those with checked parts are left out.
    device, precision : str
        See `napari_unet.core.device`.
    cancelled : callable, optional
        Polled at each image; when it returns True the images so far decide.
    """
    assert isinstance(model.network, OutlineUNet)
    ways = [replace(model.config, threshold=level, object_score=()) for level in LEVELS]
    paths = [replace(model, network=model.network.path(number)) for number in (0, 1)]
    tallies = [Tally(len(ways)) for _ in paths]
    pixels = 0
    for example in filter(is_whole, examples):
        if pixels >= MAX_PIXELS or (cancelled is not None and cancelled()):
            break
        for path, tally in zip(paths, tallies, strict=True):
            truth, probability = truth_and_probability(example, path, device, precision)
            tally.add(truth, probability, ways)
        pixels += probability.size
    if not pixels:
        return model
    first, second = (LEVELS[int(np.argmax(tally.precision))] for tally in tallies)
    network = copy.deepcopy(model.network)
    network.move_second(_logit(first) - _logit(second))
    return replace(model, network=network)


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
