"""From round to round of teaching: how far a lesson may move what those before have taught."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from napari_unet.core.example import Example
from napari_unet.core.lesson import count_cells
from napari_unet.core.model_file import Model

__all__ = ["earlier_checked", "share_of_news", "toward", "was_taught"]

# Of what a lesson of a later round has learnt so much is taken (chosen).
LEAST, MOST = 0.2, 0.5


def was_taught(model: Model, base: Model | None) -> bool:
    """Whether a model has learnt something since its base, in rounds before this one."""
    if base is None:
        return False
    now, then = model.network.state_dict(), base.network.state_dict()
    if now.keys() != then.keys():
        return True
    return any(not torch.equal(now[name], then[name]) for name in now)


def earlier_checked(examples: Sequence[Example]) -> list[Example]:
    """Return the examples with what was checked in the rounds before this one, where there is."""
    masks = [
        one.mask if one.recent is None else one.mask & ~np.asarray(one.recent, bool)
        for one in examples
    ]
    return [
        replace(one, checked=mask, recent=None)
        for one, mask in zip(examples, masks, strict=True)
        if mask.any()
    ]


def share_of_news(examples: Sequence[Example]) -> float:
    """Return how much of a lesson is taken in a later round: as much as it brings of all cells.

    So each cell counts the same in the mean of the weights, whether it came early or late, and that
    mean grows steadier from round to round (Polyak and Juditsky 1992). Never more than a half; a
    half is also taken where nothing is new: then the same is to be learnt for longer.
    """
    every = sum(map(count_cells, examples))
    news = every - sum(map(count_cells, earlier_checked(examples)))
    return float(np.clip(news / every, LEAST, MOST)) if news else MOST


def toward(network: nn.Module, before: nn.Module, share: float = 0.5) -> nn.Module:
    """Return a network whose weights lie between those of two that have been one.

    What a lesson has learnt of a few cells is kept, and what it has lost of others comes back: the
    mean is often better on images of another kind than either (Wortsman et al. 2022,
    arXiv:2109.01903, section 3).

    Parameters
    ----------
    network, before : nn.Module
        After and before a lesson, of the same shape, on the CPU.
    share : float
        0: as before; 1: as after.
    """
    mean = copy.deepcopy(network)
    old = before.state_dict()
    with torch.no_grad():
        for name, value in mean.state_dict().items():
            if value.is_floating_point():
                value.lerp_(old[name].to(value), 1 - share)
    return mean
