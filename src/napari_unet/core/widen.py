"""A U-Net with more channels that answers the same: what it knows is where training goes on.

Net2WiderNet (Chen, Goodfellow and Shlens 2016, arXiv:1511.05641, section 2.2) copies channels, and
noise must then drive these apart. Here new ones begin as those of a fresh network, and nobody reads
them yet. Their readers get a gradient at the first step, so training takes them up.
"""

from __future__ import annotations

import torch

from napari_unet.core.channels import Choice, channel_groups, with_channels
from napari_unet.core.errors import InputError
from napari_unet.core.model_file import Model

__all__ = ["widened"]


def widened(model: Model, fresh: Model) -> Model:
    """Return the wider of two models with what the narrower one knows.

    Parameters
    ----------
    model : Model
        A U-Net of planes with batch norm or none; it is not changed.
    fresh : Model
        Of the same shape but wider, with weights drawn at random; it is not changed.

    Returns
    -------
    Model
        It answers as `model` does, up to the order of floating-point sums; its settings and card
        are those of `model`, but for the width.

    Raises
    ------
    InputError
        If it is another network, or the fresh one is not wider.
    """
    width = fresh.config.width
    if width <= model.config.width:
        raise InputError(
            f"A model of width {model.config.width} cannot be widened to {width}; give a width "
            "above its own."
        )
    groups = channel_groups(model)
    choices = {}
    for group in groups:
        old, new = group.channels, group.channels * width // model.config.width
        source = torch.arange(new).clamp(max=old - 1)
        choices[group.maker] = Choice(source, torch.eye(new, old, dtype=torch.float64))
    wide = with_channels(model, width, choices)
    weights, drawn = wide.network.state_dict(), fresh.network.state_dict()
    for group in groups:
        for layer in filter(None, (group.maker, group.norm)):
            for name in (key for key in weights if key.rpartition(".")[0] == layer):
                if weights[name].ndim:
                    axis = 1 if layer.startswith("up.") and weights[name].ndim > 1 else 0
                    _take(weights[name], drawn[name], group.channels, axis)
    return wide


def _take(weight: torch.Tensor, drawn: torch.Tensor, known: int, axis: int) -> None:
    """Overwrite what the channels beyond those known have by what was drawn."""
    beyond = weight.shape[axis] - known
    weight.narrow(axis, known, beyond).copy_(drawn.narrow(axis, known, beyond))
