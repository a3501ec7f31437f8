"""Patches that are left as they are: outlines as they were drawn, in images as they were taken."""

from __future__ import annotations

import torch

from napari_unet.core.augment.config import AugmentConfig

__all__ = ["draw_config"]


def draw_config(config: AugmentConfig, generator: torch.Generator) -> AugmentConfig:
    """Return the settings of one patch: those given, or in a part of them, only mirrored.

    Where that part is 0 nothing is drawn: patches stay what they were before it was there.
    """
    if config.plain and float(torch.rand((), generator=generator)) < config.plain:
        return AugmentConfig.unvaried(flip=config.flip)
    return config
