"""What a lesson keeps of the rounds before it."""

from dataclasses import replace

import torch

from napari_unet.core.config import ModelConfig
from napari_unet.core.model_file import Model
from napari_unet.core.rounds import halfway, was_taught

CONFIG = ModelConfig(width=2, depth=1)


def test_halfway_is_the_mean_of_each_weight_and_changes_neither():
    after, before = Model.fresh(CONFIG, seed=1).network, Model.fresh(CONFIG, seed=2).network
    kept = {name: value.clone() for name, value in after.state_dict().items()}
    mean = halfway(after, before).state_dict()
    old = before.state_dict()
    for name, value in after.state_dict().items():
        assert torch.equal(value, kept[name])
        if value.is_floating_point():
            torch.testing.assert_close(mean[name], (value + old[name]) / 2)
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
