import itertools

import numpy as np
import pytest

from napari_unet.core import choose_split as module
from napari_unet.core.choose_split import choose_split
from napari_unet.core.config import ModelConfig
from napari_unet.core.instances import probability_to_labels


def discs(seed=0, count=12, radius=10):
    """Discs of which many touch."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :160]
    centres = rng.uniform(15, 145, (count, 2))
    depth = np.array([radius - np.hypot(y - cy, x - cx) for cy, cx in centres])
    return np.where(depth.max(axis=0) > 0, depth.argmax(axis=0) + 1, 0)


def dumbbells():
    """Single objects, each with a waist."""
    labels = np.zeros((160, 160), int)
    for number, (top, left) in enumerate(np.ndindex(3, 2), start=1):
        y, x = np.mgrid[:160, :160] - np.array([top * 50 + 25, left * 75 + 35])[:, None, None]
        two = (np.hypot(y, x - 14) < 12) | (np.hypot(y, x + 14) < 12)
        labels[two | ((np.abs(y) < 6) & (np.abs(x) < 14))] = number
    return labels


def test_round_objects_bear_more_than_those_with_waists():
    assert choose_split([dumbbells()]) < choose_split([discs(seed) for seed in range(4)])


def test_objects_with_waists_stay_whole_at_the_chosen_split():
    labels = dumbbells()
    probability = (labels > 0).astype(np.float32)
    assert probability_to_labels(probability, split=0.7).max() > 6
    assert probability_to_labels(probability, split=choose_split([labels])).max() == 6


def test_the_default_is_taken_where_it_is_as_good_as_any():
    apart = np.zeros((60, 60), int)
    apart[5:20, 5:20], apart[30:50, 30:50] = 1, 2
    assert choose_split([apart]) == ModelConfig().split


@pytest.mark.parametrize("planes", [[], [np.zeros((9, 9), int)], [np.ones((9, 9), int)]])
def test_fewer_than_two_objects_say_nothing(planes):
    assert choose_split(planes) is None


def test_no_more_planes_are_read_than_are_needed(monkeypatch):
    monkeypatch.setattr(module, "MAX_PIXELS", 160**2)
    assert choose_split(itertools.repeat(discs())) is not None
