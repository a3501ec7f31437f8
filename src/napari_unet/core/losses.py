"""Losses as pure functions: logits in, mean over the valid pixels out."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

__all__ = ["distillation_loss", "weighted_cross_entropy"]


def weighted_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Pixel-weighted cross-entropy of Ronneberger et al. 2015, equation 1.

    Parameters
    ----------
    logits : Tensor of float, shape (B, C, H, W)
        Network output before the softmax.
    target : Tensor of int64, shape (B, H, W)
        Class of each pixel.
    weight : Tensor of float, shape (B, H, W)
        Weight of each pixel; 0 where nothing is known.

    Returns
    -------
    Tensor, scalar
        Sum of weighted losses over the number of pixels of weight above 0; 0 if there is none.
    """
    loss = F.cross_entropy(logits.float(), target, reduction="none") * weight
    return loss.sum() / (weight > 0).sum().clamp(min=1)


def distillation_loss(logits: Tensor, teacher_logits: Tensor, weight: Tensor) -> Tensor:
    """Kullback-Leibler divergence from a teacher's probabilities, averaged over weighted pixels.

    It is 0 where both agree (Hinton et al. 2015, at temperature 1). Shapes as in
    `weighted_cross_entropy`; 0 if no pixel has a weight.
    """
    teacher = F.log_softmax(teacher_logits.float(), dim=1)
    student = F.log_softmax(logits.float(), dim=1)
    divergence = (teacher.exp() * (teacher - student)).sum(dim=1) * weight
    return divergence.sum() / (weight > 0).sum().clamp(min=1)
