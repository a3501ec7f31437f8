"""Tiny images, tiny networks, and generators run to their end, for tests of teaching."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.config import ModelConfig
from napari_unet.core.example import Example
from napari_unet.core.model_file import Model

__all__ = ["SMALL", "discs", "ended", "example", "loss_left", "photograph", "small_model"]

SMALL = ModelConfig(width=4, depth=2)


def discs(
    shape: tuple[int, int], centers: list[tuple[int, int]], radius: float = 6
) -> NDArray[np.int32]:
    """Draw discs numbered from 1; a pixel of two discs is the nearer one's."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    away = np.stack([np.hypot(y - cy, x - cx) for cy, cx in centers])
    labels = away.argmin(axis=0) + 1
    labels[away.min(axis=0) >= radius] = 0
    return labels.astype(np.int32)


def photograph(labels: NDArray[np.int32], seed: int = 0) -> NDArray[np.float32]:
    """Bright objects on a dark ground, with noise."""
    noise = np.random.default_rng(seed).normal(0, 0.05, labels.shape)
    return ((labels > 0) + noise).astype(np.float32)


def example(centers: list[tuple[int, int]], checked: NDArray[np.bool_] | None = None) -> Example:
    """Discs on 64x64, photographed."""
    labels = discs((64, 64), centers)
    return Example(photograph(labels), labels, checked)


def small_model(seed: int = 0) -> Model:
    """An untrained network of a few thousand weights."""
    return Model.fresh(SMALL, seed=seed)


def ended(generator: Generator[Any, None, Any]) -> tuple[list[Any], Any]:
    """Run a generator; what it yielded, and what it returned."""
    events = []
    while True:
        try:
            events.append(next(generator))
        except StopIteration as end:
            return events, end.value


def loss_left(events: list[Any]) -> float:
    """The mean loss of the last fifth of the steps, of what that of the first three was.

    Each step must have been reported, as in tests that take ``each_step_reported``.
    """
    losses = [event.loss for event in events]
    assert [event.step for event in events] == list(range(1, len(events) + 1))
    return float(np.mean(losses[-(len(losses) // 5) :]) / np.mean(losses[:3]))
