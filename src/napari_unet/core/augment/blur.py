"""A Gaussian blur on tensors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["gaussian_blur"]


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """Blur (..., H, W) by a standard deviation in pixels; the border is repeated beyond itself."""
    reach = max(1, round(3 * sigma))
    at = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = kernel / kernel.sum()
    planes = image.reshape(-1, 1, *image.shape[-2:])
    planes = F.pad(planes, (reach, reach, reach, reach), mode="replicate")
    planes = F.conv2d(planes, kernel.view(1, 1, 1, -1))
    return F.conv2d(planes, kernel.view(1, 1, -1, 1)).reshape(image.shape)
