"""Where each pixel of a training patch comes from: rotation, flips, scale, elastic deformation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_unet.core.augment.blur import gaussian_blur
from napari_unet.core.augment.config import AugmentConfig

__all__ = [
    "Warp",
    "apply_warp",
    "draw_warp",
    "elastic_displacement",
    "linear_offset",
    "smoothed_noise",
]


@dataclass(frozen=True, eq=False)
class Warp:
    """Offsets from the patch's centre to where its pixels are read, in pixels.

    ``offset_yx`` has shape (2, h, w) and dtype float32.
    """

    offset_yx: Tensor


def draw_warp(
    size_yx: tuple[int, int],
    config: AugmentConfig,
    generator: torch.Generator,
    *,
    zoom: float = 1.0,
) -> Warp:
    """Draw one deformation for a patch of that size; `zoom` enlarges what it shows besides."""
    angle = 2 * math.pi * _uniform(generator) if config.rotate else 0.0
    low, high = (math.log(factor) for factor in config.scale)
    drawn = math.exp(low + (high - low) * _uniform(generator))
    mirror = config.flip and _uniform(generator) < 0.5
    elastic = elastic_displacement(size_yx, config.elastic_sigma, config.elastic_grid, generator)
    if config.elastic_alpha > 0:
        elastic = elastic + smoothed_noise(
            size_yx, config.elastic_alpha, config.elastic_smooth, generator
        )
    linear = linear_offset(size_yx, angle, zoom * drawn, mirror=mirror)
    return Warp(linear + elastic / zoom)


def linear_offset(
    size_yx: tuple[int, int], angle: float = 0.0, zoom: float = 1.0, *, mirror: bool = False
) -> Tensor:
    """Return offsets (2, h, w) that turn counterclockwise by an angle, magnify and mirror x."""
    y, x = torch.meshgrid(
        torch.arange(size_yx[0]) - (size_yx[0] - 1) / 2,
        torch.arange(size_yx[1]) - (size_yx[1] - 1) / 2,
        indexing="ij",
    )
    sign = -1.0 if mirror else 1.0
    cosine, sine = math.cos(angle) / zoom, math.sin(angle) / zoom
    return torch.stack([cosine * y + sine * x, sign * (cosine * x - sine * y)])


def elastic_displacement(
    size_yx: tuple[int, int], sigma: float, grid: int, generator: torch.Generator
) -> Tensor:
    """Return smooth random displacements (2, h, w) in pixels.

    Displacements on a coarse grid are drawn from a Gaussian of standard deviation `sigma`
    pixels and interpolated bicubically (Ronneberger et al. 2015, section 3.1).
    """
    coarse = sigma * torch.randn(1, 2, grid, grid, generator=generator)
    fine = F.interpolate(coarse, size=size_yx, mode="bicubic", align_corners=True)
    return fine[0]


def smoothed_noise(
    size_yx: tuple[int, int], alpha: float, sigma: float, generator: torch.Generator
) -> Tensor:
    """Return displacements (2, h, w) in pixels: smoothed noise from -1 to 1, times alpha.

    Simard et al. 2003 (Best practices for convolutional neural networks, section 2), where alpha
    and sigma have these names.
    """
    noise = 2 * torch.rand(2, *size_yx, generator=generator) - 1
    return alpha * gaussian_blur(noise, sigma)


def apply_warp(
    array: Tensor, warp: Warp, center_yx: tuple[float, float], *, nearest: bool = False
) -> Tensor:
    """Read a patch from a whole image, mirrored beyond its borders.

    Parameters
    ----------
    array : Tensor of float, shape (C, H, W) or (C, D, H, W)
        Image, or labels or mask with ``nearest=True``. Labels up to 2**24 stay exact. The planes
        of a volume are warped alike.
    warp : Warp
        Drawn by `draw_warp`.
    center_yx : tuple of float
        The pixel of the image that the middle of the patch shows.

    Returns
    -------
    Tensor, shape (C, h, w) or (C, D, h, w)
    """
    height, width = array.shape[-2:]
    offset = warp.offset_yx.to(array.device)
    y = (offset[0] + center_yx[0] + 0.5) * (2 / height) - 1
    x = (offset[1] + center_yx[1] + 0.5) * (2 / width) - 1
    patch = F.grid_sample(
        array.reshape(1, -1, height, width),
        torch.stack([x, y], dim=-1)[None],
        mode="nearest" if nearest else "bilinear",
        padding_mode="reflection",
        align_corners=False,
    )
    return patch.reshape(*array.shape[:-2], *patch.shape[-2:])


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))
