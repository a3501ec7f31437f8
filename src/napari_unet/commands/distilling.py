"""What a small model lost against the large one that it comes from, and how much faster it is."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.example import Example
from napari_unet.core.model_file import Model
from napari_unet.core.predict import predict_plane

__all__ = ["compared", "seconds_of"]

ROUNDS = 3  # the shortest of so many counts, one model after the other in each
SIDE = 512
Image = NDArray[np.float32]


def compared(
    models: tuple[Model, Model],
    names: tuple[str, str],
    scores: dict[str, tuple[float, float]],
    images: Sequence[Example],
    device: str,
    precision: str,
) -> list[str]:
    """Say what a small model lost and won.

    Parameters
    ----------
    models : tuple of Model
        The large one and the small one.
    names : tuple of str
        What they are called, such as "teacher" and "student".
    scores : dict
        By the name of a measure, what the large and the small one have.
    images : sequence of Example
        The first of them is what time is taken on, tiled to 512 by 512 pixels.
    device, precision : str
        See `napari_unet.core.device`.

    Returns
    -------
    list of str
        Sentences.
    """
    lost = [
        f"{name}: {names[0]} {before:.3f}, {names[1]} {after:.3f} ({after - before:+.3f})."
        for name, (before, after) in scores.items()
    ]
    slow, fast = seconds_of(models, _filled(images[0]), device, precision)
    large, small = (
        sum(weight.numel() for weight in model.network.parameters()) / 1e6 for model in models
    )
    return [
        *lost,
        f"The small model is {slow / fast:.1f} times as fast on {SIDE} x {SIDE} pixels, with "
        f"{small:.3f} instead of {large:.3f} million parameters.",
    ]


def seconds_of(
    models: Sequence[Model], image_cyx: Image, device: str, precision: str
) -> list[float]:
    """Return how long each model takes for an image as it is, measured in turns."""
    shortest = [float("inf")] * len(models)
    for _ in range(ROUNDS):
        for number, model in enumerate(models):
            start = time.perf_counter()
            predict_plane(image_cyx, model, device=device, precision=precision)
            shortest[number] = min(shortest[number], time.perf_counter() - start)
    return shortest


def _filled(example: Example) -> Image:
    """Repeat or cut an image to the size that is timed."""
    image = example.image_cyx.astype(np.float32)
    return np.pad(
        image[:, :SIDE, :SIDE],
        [(0, 0), *((0, max(0, SIDE - size)) for size in image.shape[1:])],
        mode="wrap",
    )
