"""A model whose answer is known beforehand: what is bright is cell."""

from __future__ import annotations

from typing import Any

import torch

from napari_unet.core.config import ModelConfig
from napari_unet.core.model_file import Model

__all__ = ["brightness_model"]


def brightness_model(
    channels: int = 1,
    classes: tuple[str, ...] = ("background", "cell"),
    *,
    min_size: int = 1,
    **settings: Any,
) -> Model:
    """Its logits are the first channel, normalised, then a slope: 0.5 becomes 0.5.

    With ``architecture="unet-3d"`` it is one of volumes.
    """
    config = ModelConfig(
        in_channels=channels, classes=classes, width=1, depth=1, min_size=min_size, **settings
    )
    model = Model.fresh(config)
    network = model.network
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for block, channel in ((network.down[0], 0), (network.merge[0], 0)):
            for convolution in (block[0], block[3]):
                middle = (convolution.weight.ndim - 2) * (1,)
                convolution.weight[(0, channel, *middle)] = 1
            for norm in (block[1], block[4]):
                norm.weight.fill_(1)
        network.head.weight[1] = 20.0
        network.head.bias[1] = -10.0
    return model
