"""Losses as pure functions: logits in, one number out, with no gradient where nothing is known."""

from napari_unet.core.losses.boundary import boundary_loss
from napari_unet.core.losses.mixed import FUNCTIONS, PixelLoss, loss_of
from napari_unet.core.losses.pixels import (
    balanced_cross_entropy,
    binary_cross_entropy,
    cross_entropy,
    focal_loss,
    weighted_cross_entropy,
)
from napari_unet.core.losses.regions import dice_loss, generalised_dice_loss, tversky_loss
from napari_unet.core.losses.similarity import ms_ssim_loss
from napari_unet.core.losses.teaching import agreement, distillation_loss

__all__ = [
    "FUNCTIONS",
    "PixelLoss",
    "agreement",
    "balanced_cross_entropy",
    "binary_cross_entropy",
    "boundary_loss",
    "cross_entropy",
    "dice_loss",
    "distillation_loss",
    "focal_loss",
    "generalised_dice_loss",
    "loss_of",
    "ms_ssim_loss",
    "tversky_loss",
    "weighted_cross_entropy",
]
