"""Variations of intensity: uneven light, brightness, contrast, gamma, blur and noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_unet.core.augment.blur import gaussian_blur
from napari_unet.core.augment.config import AugmentConfig

__all__ = ["Intensity", "apply_intensity", "draw_intensity"]


WHOLE = (0.0, 1.0)

# In haze, objects that lie nearly in focus: how far apart (px, where objects are about 24 px wide),
# and the largest part of its light that they make (chosen).
BLOBS_APART = (8.0, 21.0)
BLOBS_PART = 0.6


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
    shot_noise: float = 0.0
    window: tuple[float, float] = WHOLE
    channel_drop: float = 0.0
    haze: float = 0.0


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
        shade=_draw_amount(config.shade, generator),
        shot_noise=_draw_amount(config.shot_noise, generator),
        window=_draw_window(config.window, generator),
        channel_drop=config.channel_drop,
        haze=_draw_amount(config.haze, generator),
    )


def _draw_window(largest: float, generator: torch.Generator) -> tuple[float, float]:
    """Draw the intensities that become 0 and 1, within 0 and 1; half are as they were."""
    part = _draw_amount(largest, generator)
    if part == 0:
        return WHOLE
    low = part * float(torch.rand((), generator=generator))
    return low, low + 1 - part


def _draw_amount(largest: float, generator: torch.Generator) -> float:
    """Draw up to the largest, or in half of the patches nothing.

    Where the largest is 0 nothing is drawn: the others stay what they were before it was there.
    """
    if largest == 0:
        return 0.0
    amount, often = torch.rand(2, generator=generator).tolist()
    return largest * amount if often < 0.5 else 0.0


def apply_intensity(image: Tensor, drawn: Intensity) -> Tensor:
    """Return a varied copy of a normalised patch, float32 (C, h, w) or (C, d, h, w).

    The planes of a volume are lit, blurred and so on alike.
    """
    noise_from = torch.Generator(device=image.device).manual_seed(drawn.seed)
    if drawn.shade > 0:
        image = image * _shade(image, drawn.shade, noise_from)
    if drawn.haze > 0:
        image = (1 - drawn.haze) * image + drawn.haze * _haze(image, noise_from)
    # Gamma bends intensities between 0 and 1; what lies outside keeps its place.
    inside = image.clamp(0, 1)
    image = image + inside**drawn.gamma - inside
    mean = image.mean(dim=tuple(range(1, image.ndim)), keepdim=True)
    image = (image - mean) * drawn.contrast + mean + drawn.brightness
    if drawn.blur > 0.2:  # narrower ones change nothing
        image = gaussian_blur(image, drawn.blur)
    if drawn.shot_noise > 0:
        photons = image.clamp(min=0) / drawn.shot_noise**2  # of which the mean is the variance
        counted = torch.poisson(photons, generator=noise_from) * drawn.shot_noise**2
        image = torch.where(image > 0, counted, image)
    if drawn.noise > 0:
        noise = torch.randn(image.shape, generator=noise_from, device=image.device)
        image = image + drawn.noise * noise
    if drawn.window != WHOLE:
        low, high = drawn.window
        image = ((image - low) / (high - low)).clamp(0, 1)
    if drawn.channel_drop > 0:
        image = _without_channels(image, drawn.channel_drop, noise_from)
    return image


def _without_channels(image: Tensor, part: float, generator: torch.Generator) -> Tensor:
    """Empty each channel with a probability, but for one that always stays."""
    drawn = torch.rand(len(image), generator=generator, device=image.device)
    gone = drawn < part
    gone[drawn.argmax()] = False
    return torch.where(gone.view(-1, *[1] * (image.ndim - 1)), 0.0, image)


def _haze(image: Tensor, generator: torch.Generator) -> Tensor:
    """Return light from out of focus, 0 to 1: of the objects themselves, and of others.

    Of others some are nearly in focus: dim blobs about as wide as objects, which nobody labels.
    """
    drawn = torch.rand(5, generator=generator, device=image.device).tolist()
    height, width = image.shape[-2:]
    coarse = torch.rand(1, 1, *_grid(drawn[0]), generator=generator, device=image.device)
    apart = BLOBS_APART[0] + (BLOBS_APART[1] - BLOBS_APART[0]) * drawn[3]
    points = 2 + int(height / apart), 2 + int(width / apart)
    blobs = torch.rand(1, 1, *points, generator=generator, device=image.device)
    part = BLOBS_PART * drawn[4]
    others = _smooth(coarse, height, width)[0]
    others = others * (1 - part + part * _smooth(blobs, height, width)[0])
    planes = image.clamp(0, 1).reshape(-1, 1, height, width)
    own = _smooth(F.adaptive_avg_pool2d(planes, _grid(drawn[1])), height, width)
    own = (own / own.amax().clamp(min=1e-3)).reshape(image.shape)
    haze: Tensor = drawn[2] * own + (1 - drawn[2]) * others
    return haze


def _grid(drawn: float) -> tuple[int, int]:
    """How finely haze may differ within a patch: three to ten points a side (chosen)."""
    side = 3 + int(8 * drawn)
    return side, side


def _smooth(coarse: Tensor, height: int, width: int) -> Tensor:
    fine = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)
    return fine.clamp(0, 1)


def _shade(image: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Return a smooth factor (1, h, w): uneven light and vignetting."""
    coarse = torch.randn(1, 1, 3, 3, generator=generator, device=image.device)
    fine = F.interpolate(coarse, size=image.shape[-2:], mode="bicubic", align_corners=True)
    return (sigma * fine[0]).exp()
