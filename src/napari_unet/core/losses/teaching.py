"""How far a taught network is from what it knew, and how far that is borne out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["agreement", "distillation_loss"]


def distillation_loss(logits: Tensor, teacher_logits: Tensor, weight: Tensor) -> Tensor:
    """Kullback-Leibler divergence from a teacher's probabilities, averaged over weighted pixels.

    It is 0 where both agree (Hinton et al. 2015, at temperature 1). Shapes as in
    `weighted_cross_entropy`; 0 if no pixel has a weight.
    """
    teacher = F.log_softmax(teacher_logits.float(), dim=1)
    student = F.log_softmax(logits.float(), dim=1)
    divergence = (teacher.exp() * (teacher - student)).sum(dim=1) * weight
    return divergence.sum() / (weight > 0).sum().clamp(min=1)


def agreement(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """How far predictions agree with what is known, patch by patch: 1 wholly, 0 by chance.

    The mean probability of the true class over the pixels of each class, averaged over the
    classes that occur and measured from the 1 / C of a guess. Shapes as in
    `weighted_cross_entropy`, of which only where `weight` is above 0 matters.

    Returns
    -------
    Tensor of float32, shape (B,)
        Within 0 to 1; 0 for a patch in which nothing is known.
    """
    probability = logits.float().softmax(dim=1)
    classes = probability.shape[1]
    known = F.one_hot(target, classes).movedim(-1, 1) * (weight > 0).unsqueeze(1)
    every_pixel = tuple(range(2, logits.ndim))
    pixels = known.sum(dim=every_pixel)
    right = (probability * known).sum(dim=every_pixel) / pixels.clamp(min=1)
    occurring = (pixels > 0).sum(dim=1)
    mean = right.sum(dim=1) / occurring.clamp(min=1)
    above_chance = (classes * mean - 1) / (classes - 1)
    return torch.where(occurring > 0, above_chance, 0.0).clamp(0, 1)
