"""Losses of overlap: how much of each class is found, over a batch as a whole.

Every pixel counts as often as its weight says, and not at all where that is 0. All classes but
the background are averaged.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["dice_loss", "generalised_dice_loss", "tversky_loss"]


def tversky_loss(
    logits: Tensor,
    target: Tensor,
    weight: Tensor,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float = 1.0,
) -> Tensor:
    """One less the index of Tversky: Salehi et al. 2017 (arXiv:1706.05721), section 2.

    With TP, FP and FN the weighted sums of probability where it belongs, where it does not, and
    of what is missing of it, the index is (TP + s) / (TP + alpha FP + beta FN + s).

    Parameters
    ----------
    logits, target, weight : Tensor
        As in `weighted_cross_entropy`.
    alpha, beta : float
        How much false positives and false negatives count; 0.3 and 0.7 were best in the paper.
    smooth : float
        s above, in pixels: without it a class that is absent and not found would be 0 / 0.

    Returns
    -------
    Tensor, scalar
        Within 0 to 1; 0 if no pixel has a weight.
    """
    sums = _sums(logits, target, weight)
    too_much, missed = sums.predicted - sums.hit, sums.true - sums.hit
    index = (sums.hit + smooth) / (sums.hit + alpha * too_much + beta * missed + smooth)
    return 1 - index[1:].mean()


def dice_loss(
    logits: Tensor, target: Tensor, weight: Tensor, *, beta: float = 1.0, smooth: float = 1.0
) -> Tensor:
    """One less the soft overlap of Dice, or with another beta the F measure.

    F is ((1 + beta^2) TP + s) / ((1 + beta^2) TP + beta^2 FN + FP + s), see `tversky_loss`; with
    a beta of 1 that is the overlap 2 TP / (2 TP + FN + FP) of Dice 1945, as Milletari et al. 2016
    (arXiv:1606.04797) made it a loss, whose squares in the denominator are left out. 0 if no
    pixel has a weight.
    """
    share = 1 / (1 + beta**2)
    return tversky_loss(logits, target, weight, alpha=share, beta=1 - share, smooth=smooth * share)


def generalised_dice_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Generalised Dice loss of Sudre et al. 2017 (arXiv:1707.03237), section 2.

    All classes, the background too, count by one over the square of how much of them there is. A
    class that does not occur is left out. 0 if no pixel has a weight.
    """
    sums = _sums(logits, target, weight)
    occurs = sums.true > 0
    share = torch.where(occurs, 1 / torch.where(occurs, sums.true, 1.0) ** 2, 0.0)
    overlap = 2 * (share * sums.hit).sum()
    total = (share * (sums.true + sums.predicted)).sum()
    return torch.where(occurs.any(), 1 - overlap / torch.where(occurs.any(), total, 1.0), 0.0)


@dataclass(frozen=True)
class _Sums:
    """Weighted sums over a batch, of each class: of the probability where it belongs, of all of
    it, and of the truth; each of shape (C,)."""

    hit: Tensor
    predicted: Tensor
    true: Tensor


def _sums(logits: Tensor, target: Tensor, weight: Tensor) -> _Sums:
    probability = logits.float().softmax(dim=1)
    member = F.one_hot(target, logits.shape[1]).movedim(-1, 1) * weight.unsqueeze(1)
    every_pixel = (0, *range(2, logits.ndim))
    return _Sums(
        (probability * member).sum(dim=every_pixel),
        (probability * weight.unsqueeze(1)).sum(dim=every_pixel),
        member.sum(dim=every_pixel),
    )
