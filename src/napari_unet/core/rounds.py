"""From round to round of teaching: how far a lesson may move what those before have taught."""

from __future__ import annotations

import copy

import torch
from torch import nn

from napari_unet.core.model_file import Model

__all__ = ["halfway", "was_taught"]


def was_taught(model: Model, base: Model | None) -> bool:
    """Whether a model has learnt something since its base, in rounds before this one."""
    if base is None:
        return False
    now, then = model.network.state_dict(), base.network.state_dict()
    if now.keys() != then.keys():
        return True
    return any(not torch.equal(now[name], then[name]) for name in now)


def halfway(network: nn.Module, before: nn.Module) -> nn.Module:
    """Return a network whose weights are the mean of two that have been one.

    What a lesson has learnt of a few cells is kept, and what it has lost of others comes back: the
    mean is often better on images of another kind than either (Wortsman et al. 2022,
    arXiv:2109.01903, section 3).

    Parameters
    ----------
    network, before : nn.Module
        After and before a lesson, of the same shape, on the CPU.
    """
    mean = copy.deepcopy(network)
    old = before.state_dict()
    with torch.no_grad():
        for name, value in mean.state_dict().items():
            if value.is_floating_point():
                value.lerp_(old[name].to(value), 0.5)
    return mean
