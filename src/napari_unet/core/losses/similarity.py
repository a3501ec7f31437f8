"""The loss of structural similarity at several scales: whether edges and shapes are alike."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["ms_ssim_loss", "similarity"]

# Wang et al. 2003 (Asilomar, "Multiscale structural similarity"), section 3.2: from fine to coarse.
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

# Wang et al. 2004: a Gaussian window of 11 pixels, and what keeps flat parts from 0 / 0.
RADIUS, SIGMA = 5, 1.5
C1, C2 = 0.01**2, 0.03**2
LEAST = 0.01  # of a factor, for its power: what is against the truth has a gradient all the same


def ms_ssim_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """One less the structural similarity at several scales of probabilities and truth.

    One of the three parts of the hybrid loss of UNet 3+ (Huang et al. 2020, arXiv:2004.08790,
    section 2.2), with focal and IoU loss; the similarity is that of Wang et al. 2003. There are as
    many of its five scales as have a window's width. Classes but the background are averaged.
    Windows see checked pixels alone.

    Parameters
    ----------
    logits, target, weight : Tensor
        As in `weighted_cross_entropy`.

    Returns
    -------
    Tensor, scalar
        Within 0 to 1; 0 if no pixel has a weight.
    """
    classes = logits.shape[1]
    found = logits.float().softmax(dim=1)[:, 1:].flatten(0, 1).unsqueeze(1)
    truth = F.one_hot(target, classes).movedim(-1, 1)[:, 1:].float().flatten(0, 1).unsqueeze(1)
    known = (weight > 0).float().repeat_interleave(classes - 1, dim=0).unsqueeze(1)
    pool = F.avg_pool2d if target.ndim == 3 else F.avg_pool3d
    count = 1
    while count < len(SCALES) and min(target.shape[1:]) >> count > 2 * RADIUS:
        count += 1
    exponents = torch.tensor(SCALES[:count]) / sum(SCALES[:count])
    index = torch.ones(len(found), device=found.device)
    for scale, exponent in enumerate(exponents.tolist()):
        luminance, structure = similarity(found, truth, known)
        both = luminance * structure if scale == count - 1 else structure
        index = index * _at_least(_mean(both, known)) ** exponent
        if scale < count - 1:
            part = pool(known, 2)
            found, truth = (pool(x * known, 2) / part.clamp(min=1e-6) for x in (found, truth))
            known = (part > 0).float()
    is_known = (weight > 0).flatten(1).any(dim=1).repeat_interleave(classes - 1)
    return ((1 - index) * is_known).sum() / is_known.sum().clamp(min=1)


def similarity(a: Tensor, b: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Return luminance, and contrast and structure, of two images around each pixel.

    Wang et al. 2004 (IEEE Transactions on Image Processing 13:600), equations 6 and 9 to 13.

    Parameters
    ----------
    a, b : Tensor of float32, shape (B, 1, H, W) or (B, 1, D, H, W)
        Values from 0 to 1.
    known : Tensor of float32, of the same shape
        1 where they count, 0 elsewhere.
    """
    share = _blurred(known).clamp(min=1e-6)

    def mean(values: Tensor) -> Tensor:
        return _blurred(values * known) / share

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    both = mean(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return luminance, (2 * both + C2) / (var_a + var_b + C2)


def _at_least(values: Tensor) -> Tensor:
    """Raise values to the least one, and leave their gradient."""
    return values + (values.clamp(min=LEAST) - values).detach()


def _mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean over what is known of each image, shape (B,)."""
    each: Tensor = (values * known).flatten(1).sum(dim=1) / known.flatten(1).sum(dim=1).clamp(min=1)
    return each


def _blurred(values: Tensor) -> Tensor:
    """Weigh neighbours by a Gaussian, axis by axis; beyond the border is nothing."""
    steps = torch.arange(-RADIUS, RADIUS + 1, device=values.device, dtype=values.dtype)
    window = torch.exp(-0.5 * (steps / SIGMA) ** 2)
    window = window / window.sum()
    convolve = F.conv2d if values.ndim == 4 else F.conv3d
    for axis in range(2, values.ndim):
        shape = [1] * values.ndim
        shape[axis] = len(window)
        padding = [RADIUS if other == axis else 0 for other in range(2, values.ndim)]
        values = convolve(values, window.view(shape), padding=padding)
    return values
