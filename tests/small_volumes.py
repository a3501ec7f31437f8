"""Tiny volumes of balls, for tests of what sees volumes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.example import Example

__all__ = ["BALLS", "balls", "volume_example"]

BALLS = [(5, 5, 5), (5, 5, 14), (11, 12, 9)]


def balls(
    centers: Sequence[tuple[float, ...]] = BALLS,
    radius: float = 3.5,
    shape: tuple[int, int, int] = (16, 18, 20),
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
) -> NDArray[np.int32]:
    """Draw balls numbered from 1, of a radius in the units of the spacing."""
    at = np.indices(shape)
    away = [
        np.sqrt(sum(((a - c) * s) ** 2 for a, c, s in zip(at, center, spacing, strict=True)))
        for center in centers
    ]
    labels = np.argmin(away, axis=0) + 1
    labels[np.min(away, axis=0) > radius] = 0
    return labels.astype(np.int32)


def volume_example(labels: NDArray[np.int32] | None = None, seed: int = 0) -> Example:
    """Bright balls on a dark ground, with noise."""
    labels = balls() if labels is None else labels
    noise = np.random.default_rng(seed).normal(0, 0.05, labels.shape)
    return Example(((labels > 0) + noise).astype(np.float32), labels)
