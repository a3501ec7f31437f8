"""A weighted sum of losses, as a `LossConfig` names it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from napari_unet.core.loss_config import LOSSES, LossConfig
from napari_unet.core.losses.boundary import boundary_loss
from napari_unet.core.losses.pixels import (
    balanced_cross_entropy,
    binary_cross_entropy,
    cross_entropy,
    focal_loss,
    weighted_cross_entropy,
)
from napari_unet.core.losses.regions import dice_loss, generalised_dice_loss, tversky_loss
from napari_unet.core.losses.similarity import ms_ssim_loss

__all__ = ["FUNCTIONS", "PixelLoss", "loss_of"]

# From logits (B, C, H, W), target (B, H, W) and weight (B, H, W) to a scalar; or of volumes.
PixelLoss = Callable[[Tensor, Tensor, Tensor], Tensor]

# The function of each name of `napari_unet.core.loss_config`.
FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "weighted-ce": weighted_cross_entropy,
    "ce": cross_entropy,
    "balanced-ce": balanced_cross_entropy,
    "bce": binary_cross_entropy,
    "dice": dice_loss,
    "generalised-dice": generalised_dice_loss,
    "tversky": tversky_loss,
    "focal": focal_loss,
    "ms-ssim": ms_ssim_loss,
    "boundary": boundary_loss,
}


def loss_of(config: LossConfig) -> PixelLoss:
    """Return the loss that a config names."""
    terms = [
        (t.weight, LOSSES[t.name].weighted, partial(FUNCTIONS[t.name], **dict(t.settings)))
        for t in config.terms
    ]

    def loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        alike = (weight > 0).to(weight.dtype)
        values = [
            factor * term(logits, target, weight if is_weighted else alike)
            for factor, is_weighted, term in terms
        ]
        return torch.stack(values).sum()

    return loss
