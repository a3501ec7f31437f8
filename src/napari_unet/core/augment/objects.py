"""Variations of objects, drawn by their labels: light that fades to the rim, and lies in spots.

Annotators draw a nucleus as far as its light goes, but how the light lies within differs: a flat
nucleus is bright up to its border, one like a ball is dim there, and chromatin may shine in a few
spots. A network that has seen flat ones alone draws the others too small, or as many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from napari_unet.core.augment.config import AugmentConfig
from napari_unet.core.depth import depth_of

__all__ = ["NO_TEXTURE", "Texture", "apply_texture", "draw_texture"]

# Light beside an object fades with its rim, or a bright ring would stay of what is blurred over
# the drawn border; from the second distance on the ground is as it was (px, chosen).
NEAR, FAR = 2.0, 8.0

SPOTS_APART = (6.0, 16.0)  # px, where objects are about 24 px wide (chosen)
SPOTS_POWER = 1.5  # makes spots narrower than what is dim between them (chosen)
SPOTS_GAIN = 1.6  # how bright the brightest spots are, to what was there (chosen)

GRID = 12  # points a side at which the ground is measured (chosen)
EVERYWHERE = 0.02  # how much the mean of all ground counts where a point has none (chosen)


@dataclass(frozen=True, slots=True)
class Texture:
    """Drawn parameters of one patch; ``seed`` is that of its spots."""

    rim: float = 0.0
    spots: float = 0.0
    seed: int = 0


NO_TEXTURE = Texture()


def draw_texture(config: AugmentConfig, generator: torch.Generator) -> Texture:
    """Draw the parameters of one patch: half have no fading, and half no spots.

    Where both are 0 nothing is drawn: other variations stay what they were.
    """
    if config.rim == config.spots == 0:
        return NO_TEXTURE
    rim, has_rim, spots, has_spots = torch.rand(4, generator=generator).tolist()
    return Texture(
        rim=config.rim * rim if has_rim < 0.5 else 0.0,
        spots=config.spots * spots if has_spots < 0.5 else 0.0,
        seed=int(torch.randint(2**31, (), generator=generator)),
    )


def apply_texture(image: Tensor, cells: NDArray[np.uint8], drawn: Texture) -> Tensor:
    """Return a copy of a patch whose objects are lit in another way; the ground stays.

    Parameters
    ----------
    image : Tensor of float32, shape (C, h, w) or (C, d, h, w)
        The planes of a volume are varied one by one.
    cells : ndarray of uint8, shape (h, w) or (d, h, w)
        As from `labels_to_classes`: above 0 is cell, and touching cells have a gap.
    drawn : Texture
        Of `draw_texture`.
    """
    if drawn.rim == drawn.spots == 0:
        return image
    spots_from = torch.Generator().manual_seed(drawn.seed)
    if image.ndim == 3:
        return _lit(image, cells > 0, drawn, spots_from)
    planes = [_lit(image[:, z], cells[z] > 0, drawn, spots_from) for z in range(len(cells))]
    return torch.stack(planes, dim=1)


def _lit(
    image: Tensor, inside: NDArray[np.bool_], drawn: Texture, spots_from: torch.Generator
) -> Tensor:
    if not inside.any() or inside.all():
        return image
    away = depth_of(~inside)
    thick = np.where(inside, _thickness(inside), ((away - NEAR) / (FAR - NEAR)).clip(0, 1))
    light = torch.from_numpy((1 - drawn.rim * (1 - thick)).astype(np.float32))
    if drawn.spots > 0:
        spots = 1 - drawn.spots + drawn.spots * SPOTS_GAIN * _spots(light.shape, spots_from)
        light = torch.where(torch.from_numpy(away < NEAR), light * spots, light)
    ground = _ground(image, torch.from_numpy(~inside))
    return ground + (image - ground) * light


def _thickness(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Thickness of each object at its pixels, of 1 where it is thickest, as if it were a ball."""
    index, count = ndimage.label(inside)
    depth = depth_of(inside) - 0.5  # of the middle of a pixel, from the border
    deepest = np.asarray(ndimage.maximum(depth, index, np.arange(count + 1)))
    part = (depth / np.maximum(deepest, 1)[index]).clip(0, 1)
    thickness: NDArray[np.float32] = np.sqrt(1 - (1 - part) ** 2)
    return thickness


def _spots(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Return a random field (h, w), 0 to 1, of bright spots a random distance apart."""
    low, high = SPOTS_APART
    apart = low + (high - low) * float(torch.rand((), generator=generator))
    height, width = shape
    coarse = torch.rand(1, 1, 2 + int(height / apart), 2 + int(width / apart), generator=generator)
    fine = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)
    return fine[0, 0].clamp(0, 1) ** SPOTS_POWER


def _ground(image: Tensor, outside: Tensor) -> Tensor:
    """Return the intensity of the ground (C, h, w), also below objects: means of what is near."""
    is_ground = outside.to(image.dtype)[None, None]
    mean = (image * is_ground[0]).sum(dim=(1, 2)) / is_ground.sum()
    light = F.adaptive_avg_pool2d(image[None] * is_ground, GRID)
    there = F.adaptive_avg_pool2d(is_ground, GRID)
    low = (light + EVERYWHERE * mean[None, :, None, None]) / (there + EVERYWHERE)
    return F.interpolate(low, size=image.shape[-2:], mode="bilinear", align_corners=False)[0]
