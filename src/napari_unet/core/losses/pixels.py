"""Losses of single pixels: logits in, mean over the pixels of weight above 0 out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "balanced_cross_entropy",
    "binary_cross_entropy",
    "cross_entropy",
    "focal_loss",
    "weighted_cross_entropy",
]


def weighted_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Pixel-weighted cross-entropy of Ronneberger et al. 2015, equation 1.

    Parameters
    ----------
    logits : Tensor of float, shape (B, C, H, W), of volumes (B, C, D, H, W)
        Network output before the softmax.
    target : Tensor of int64, shape (B, H, W) or (B, D, H, W)
        Class of each pixel.
    weight : Tensor of float, shape (B, H, W) or (B, D, H, W)
        Weight of each pixel; 0 where nothing is known.

    Returns
    -------
    Tensor, scalar
        Sum of weighted losses over the number of pixels of weight above 0; 0 if there is none.
    """
    return _mean(F.cross_entropy(logits.float(), target, reduction="none"), weight)


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy to which every pixel of weight above 0 counts alike; see above."""
    return weighted_cross_entropy(logits, target, (weight > 0).float())


def balanced_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of the cross-entropy of each class, and the mean of these.

    A class counts as much as another, however many pixels either has in the batch; one that does
    not occur counts nothing (Eigen and Fergus 2015 balance by the median frequency).
    Shapes as in `weighted_cross_entropy`; 0 if no pixel has a weight.
    """
    loss = F.cross_entropy(logits.float(), target, reduction="none") * weight
    member = F.one_hot(target, logits.shape[1])
    every_pixel = tuple(range(target.ndim))
    weights = (weight.unsqueeze(-1) * member).sum(dim=every_pixel)
    losses = (loss.unsqueeze(-1) * member).sum(dim=every_pixel)
    occurs = weights > 0
    means = losses / torch.where(occurs, weights, 1.0)
    return means.sum() / occurs.sum().clamp(min=1)


def binary_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy of each class but the background against all others, averaged.

    The probabilities are those that the network answers with, its softmax. Of two classes it is
    therefore `weighted_cross_entropy`. Shapes as there; 0 if no pixel has a weight.
    """
    logits = logits.float()
    total = logits.logsumexp(dim=1)
    losses = []
    for number in range(1, logits.shape[1]):
        others = torch.cat([logits[:, :number], logits[:, number + 1 :]], dim=1).logsumexp(dim=1)
        losses.append(total - torch.where(target == number, logits[:, number], others))
    return _mean(torch.stack(losses).mean(dim=0), weight)


def focal_loss(
    logits: Tensor, target: Tensor, weight: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Focal loss of Lin et al. 2017 (arXiv:1708.02002), equation 5, of the softmax.

    Parameters
    ----------
    logits, target, weight : Tensor
        As in `weighted_cross_entropy`.
    alpha : float
        Factor of all classes but the background, whose own is 1 - alpha; 0.25 as in the paper.
    gamma : float
        How much less pixels count that are sure already; 0 is cross-entropy, 2 as in the paper.

    Returns
    -------
    Tensor, scalar
        Mean as in `weighted_cross_entropy` (the paper divides by the number of objects); 0 if no
        pixel has a weight.
    """
    loss = F.cross_entropy(logits.float(), target, reduction="none")
    # The root of 0 has no finite slope, for a gamma below 1.
    unsure = (-torch.expm1(-loss)).clamp(min=1e-6)
    balance = torch.where(target > 0, alpha, 1 - alpha)
    return _mean(balance * unsure**gamma * loss, weight)


def _mean(loss: Tensor, weight: Tensor) -> Tensor:
    return (loss * weight).sum() / (weight > 0).sum().clamp(min=1)
