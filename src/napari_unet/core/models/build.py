"""Turn a ModelConfig into a network."""

from __future__ import annotations

import torch

from napari_unet.core.config import ModelConfig
from napari_unet.core.models.blocks import initialize
from napari_unet.core.models.unet import UNet

__all__ = ["build_network"]


def build_network(config: ModelConfig, generator: torch.Generator | None = None) -> UNet:
    """Return a freshly initialised network in training mode, on the CPU.

    Parameters
    ----------
    config : ModelConfig
        Architecture and sizes.
    generator : torch.Generator, optional
        Source of the initial weights; the same seed gives the same weights.
    """
    network = UNet(
        config.in_channels,
        len(config.classes),
        config.width,
        config.depth,
        dropout=config.dropout,
        valid=config.architecture == "unet-valid",
        compress=config.compress,
    )
    initialize(network, generator)
    return network
