"""What a lesson keeps of the rounds before it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unet.core.config import ModelConfig
from napari_unet.core.model_file import Model
from napari_unet.core.rounds import earlier_checked, share_of_news, toward, was_taught
from small_scenes import example

CONFIG = ModelConfig(width=2, depth=1)


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_weights_lie_between_those_after_and_before_and_neither_is_changed(share):
    after, before = Model.fresh(CONFIG, seed=1).network, Model.fresh(CONFIG, seed=2).network
    kept = {name: value.clone() for name, value in after.state_dict().items()}
    mean = toward(after, before, share).state_dict()
    old = before.state_dict()
    for name, value in after.state_dict().items():
        assert torch.equal(value, kept[name])
        if value.is_floating_point():
            torch.testing.assert_close(mean[name], share * value + (1 - share) * old[name])
        else:
            assert torch.equal(mean[name], value)
    assert any(not torch.equal(mean[name], old[name]) for name in old)


def test_a_model_was_taught_if_any_of_its_weights_is_another():
    model = Model.fresh(CONFIG, seed=1)
    same = Model.fresh(CONFIG, seed=1)
    assert not was_taught(model, None)
    assert not was_taught(model, same)
    with torch.no_grad():
        next(same.network.parameters()).view(-1)[0] += 1
    assert was_taught(model, same)
    assert was_taught(model, replace(same, network=Model.fresh(replace(CONFIG, depth=2)).network))


CENTERS = [(10, 10), (10, 32), (10, 54), (32, 10), (32, 32), (32, 54), (54, 10)]


def in_rows(first, last):
    """Where an image of 64x64 was corrected."""
    mask = np.zeros((64, 64), bool)
    mask[first:last] = True
    return mask


def test_what_was_checked_before_is_what_is_not_recent():
    """Three cells of the first row; a picture that is all new has nothing of earlier rounds."""
    old = replace(example(CENTERS, in_rows(0, 40)), recent=in_rows(20, 40))
    new = replace(example(CENTERS, in_rows(0, 20)), recent=in_rows(0, 20))
    (earlier,) = earlier_checked([old, new])
    assert np.array_equal(earlier.mask, in_rows(0, 20)) and earlier.recent is None
    (all_of_it,) = earlier_checked([replace(old, recent=None)])
    assert np.array_equal(all_of_it.mask, in_rows(0, 40))


@pytest.mark.parametrize(
    ("recent", "share"),
    [((20, 64), 0.5), ((0, 20), 3 / 7), ((0, 64), 0.5), ((42, 64), 0.2), ((64, 64), 0.5)],
    ids=["4 of 7, a half at the most", "3 of 7", "all", "1 of 7, a fifth at the least", "none"],
)
def test_of_a_lesson_as_much_is_taken_as_it_brings_of_all_cells(recent, share):
    assert share_of_news([replace(example(CENTERS), recent=in_rows(*recent))]) == share


def test_where_nobody_says_what_is_recent_half_of_it_is_taken():
    assert share_of_news([example(CENTERS)]) == 0.5
