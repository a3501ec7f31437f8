"""The second expanding path is moved to where the first draws best."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_unet.core import level
from napari_unet.core.config import ModelConfig
from napari_unet.core.level import levelled
from napari_unet.core.model_file import Model
from napari_unet.core.models.outline_unet import OutlineUNet
from small_scenes import example

CENTERS = [(14, 14), (14, 46), (48, 14), (48, 48)]
CPU = {"device": "cpu", "precision": "float32"}


def model() -> Model:
    return Model.fresh(ModelConfig("unet-outlines", width=2, depth=1, min_size=1, split=0.0))


def edge(labels: np.ndarray, at: float) -> np.ndarray:
    """A probability that crosses `at` at the true outlines, and rises by 0.1 a pixel inwards."""
    inside, outside = (
        ndimage.distance_transform_edt(labels),
        ndimage.distance_transform_edt(labels == 0),
    )
    return np.clip(at + 0.1 * (np.where(labels > 0, inside - 0.5, 0.5 - outside)), 0.01, 0.99)


@pytest.fixture
def finds(monkeypatch):
    """Let the first path be best at one threshold, and the second at another."""

    def of(first: float, second: float) -> list[Model]:
        asked = []

        def told(one, path, device, precision):
            asked.append(path)
            at = first if len(asked) % 2 else second
            return one.labels.astype(np.int32), edge(one.labels, at).astype(np.float32)

        monkeypatch.setattr(level, "truth_and_probability", told)
        return asked

    return of


@pytest.mark.parametrize(("first", "second"), [(0.6, 0.5), (0.4, 0.7), (0.5, 0.5)])
def test_from_the_best_threshold_of_the_second_to_that_of_the_first(finds, first, second):
    asked = finds(first, second)
    before = model()
    after = levelled(before, [example(CENTERS)], **CPU)
    one, other = (m.network.side_heads[0].bias for m in (before, after))
    moved = np.log(first / (1 - first)) - np.log(second / (1 - second))
    np.testing.assert_allclose((other - one).detach().numpy(), [0.0, moved], atol=1e-6)
    assert all(isinstance(path.network, OutlineUNet) for path in asked)
    assert not any(path.network.has_both for path in asked)
    weights = [path.network.head.weight for path in asked[:2]]
    assert torch.equal(weights[0], before.network.head.weight)
    assert torch.equal(weights[1], before.network.side_heads[0].weight)


def test_without_an_image_that_is_checked_whole_nothing_is_moved(finds):
    finds(0.6, 0.4)
    part = example(CENTERS)
    checked = np.ones(part.labels.shape, bool)
    checked[0, 0] = False
    before = model()
    assert levelled(before, [replace(part, checked=checked)], **CPU) is before
