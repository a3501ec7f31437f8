"""How a patch looks after it was varied for training; torch is imported when it is asked."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from napari_unet.engine.tasks import VaryTask

__all__ = ["vary"]


def vary(task: VaryTask) -> Generator[object, None, NDArray[np.float32]]:
    """Return a patch and variants of it; see `VaryTask`."""
    yield from ()
    import torch

    from napari_unet.core.augment import (
        apply_intensity,
        apply_texture,
        apply_warp,
        draw_config,
        draw_intensity,
        draw_texture,
        draw_warp,
    )
    from napari_unet.core.augment.geometry import Warp, linear_offset
    from napari_unet.core.normalize import normalize
    from napari_unet.core.targets import labels_to_classes
    from napari_unet.core.train_settings import TRAIN_SETTINGS

    config = TRAIN_SETTINGS.augment.changed(task.settings)
    image = torch.from_numpy(normalize(task.image))
    cells = None
    if task.labels is not None:
        cells = torch.from_numpy(labels_to_classes(task.labels)[None]).float()
    generator = torch.Generator().manual_seed(task.seed)
    size = (task.side, task.side)
    patches = [apply_warp(image, Warp(linear_offset(size)), task.center)]
    for _ in range(task.count):
        drawn = draw_config(config, generator)
        warp = draw_warp(size, drawn, generator)
        patch = apply_warp(image, warp, task.center)
        light, texture = draw_intensity(drawn, generator), draw_texture(drawn, generator)
        if cells is not None:
            seen = apply_warp(cells, warp, task.center, nearest=True)[0]
            patch = apply_texture(patch, seen.numpy().astype(np.uint8), texture)
        patches.append(apply_intensity(patch, light))
    varied: NDArray[np.float32] = torch.stack(patches).numpy()
    return varied
