"""Augmentation: parameters are drawn first, then applied to image, labels and mask alike."""

from napari_unet.core.augment.config import AugmentConfig
from napari_unet.core.augment.geometry import Warp, apply_warp, draw_warp, elastic_displacement
from napari_unet.core.augment.intensity import Intensity, apply_intensity, draw_intensity
from napari_unet.core.augment.objects import Texture, apply_texture, draw_texture
from napari_unet.core.augment.plain import draw_config

__all__ = [
    "AugmentConfig",
    "Intensity",
    "Texture",
    "Warp",
    "apply_intensity",
    "apply_texture",
    "apply_warp",
    "draw_config",
    "draw_intensity",
    "draw_texture",
    "draw_warp",
    "elastic_displacement",
]
