"""Variations of intensity: uneven light, brightness, contrast, gamma, blur and noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_unet.core.augment.config import AugmentConfig

__all__ = ["Intensity", "apply_intensity", "draw_intensity"]


@dataclass(frozen=True, slots=True)
class Intensity:
    """Drawn parameters of one patch; ``seed`` is that of its noise."""

    brightness: float
    contrast: float
    gamma: float
    blur: float
    noise: float
    seed: int
    shade: float = 0.0


def draw_intensity(config: AugmentConfig, generator: torch.Generator) -> Intensity:
    """Draw the parameters of one patch; half of them have no blur, noise or shade of their own."""
    u = torch.rand(7, generator=generator).tolist()
    return Intensity(
        brightness=config.brightness * (2 * u[0] - 1),
        contrast=config.contrast[0] * (config.contrast[1] / config.contrast[0]) ** u[1],
        gamma=config.gamma[0] * (config.gamma[1] / config.gamma[0]) ** u[2],
        blur=config.blur * u[3] if u[4] < 0.5 else 0.0,
        noise=config.noise * u[5] if u[6] < 0.5 else 0.0,
        seed=int(torch.randint(2**31, (), generator=generator)),
        shade=_draw_shade(config.shade, generator),
    )


def _draw_shade(largest: float, generator: torch.Generator) -> float:
    if largest == 0:
        return 0.0
    amount, often = torch.rand(2, generator=generator).tolist()
    return largest * amount if often < 0.5 else 0.0


def apply_intensity(image: Tensor, drawn: Intensity) -> Tensor:
    """Return a varied copy of a normalised patch, float32 (C, h, w)."""
    noise_from = torch.Generator(device=image.device).manual_seed(drawn.seed)
    if drawn.shade > 0:
        image = image * _shade(image, drawn.shade, noise_from)
    # Gamma bends intensities between 0 and 1; what lies outside keeps its place.
    inside = image.clamp(0, 1)
    image = image + inside**drawn.gamma - inside
    mean = image.mean(dim=(1, 2), keepdim=True)
    image = (image - mean) * drawn.contrast + mean + drawn.brightness
    if drawn.blur > 0.2:  # narrower ones change nothing
        image = _blur(image, drawn.blur)
    if drawn.noise > 0:
        noise = torch.randn(image.shape, generator=noise_from, device=image.device)
        image = image + drawn.noise * noise
    return image


def _shade(image: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Return a smooth factor (1, h, w): uneven light and vignetting."""
    coarse = torch.randn(1, 1, 3, 3, generator=generator, device=image.device)
    fine = F.interpolate(coarse, size=image.shape[1:], mode="bicubic", align_corners=True)
    return (sigma * fine[0]).exp()


def _blur(image: Tensor, sigma: float) -> Tensor:
    reach = max(1, round(3 * sigma))
    at = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = kernel / kernel.sum()
    planes = F.pad(image[:, None], (reach, reach, reach, reach), mode="replicate")
    planes = F.conv2d(planes, kernel.view(1, 1, 1, -1))
    return F.conv2d(planes, kernel.view(1, 1, -1, 1))[:, 0]
