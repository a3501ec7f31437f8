"""A U-Net++ is cut to one of its shallower ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.prune import pruned
from napari_unet.core.tiling import network_geometry

CONFIG = ModelConfig("unet++", width=4, depth=3, diameter=10.0)
IMAGE = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def outputs_of_all_depths(model):
    """The network in training returns them all; its batch norm stays as in use."""
    network = model.network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    with torch.no_grad():
        last, *earlier = network(IMAGE)
    network.eval()
    return [*earlier, last]


@pytest.mark.parametrize("depth", [1, 2])
def test_it_answers_with_the_output_of_that_depth(depth, tmp_path):
    model = Model.fresh(CONFIG)
    expected = outputs_of_all_depths(model)
    cut = pruned(model, depth)
    assert cut.config.depth == depth
    with torch.no_grad():
        assert torch.equal(cut.network(IMAGE), expected[depth - 1])
        assert torch.equal(model.network(IMAGE), expected[-1])
        assert not torch.equal(expected[-1], expected[depth - 1])
    cut.save(tmp_path / "cut.safetensors", half=False)
    loaded = load_model(tmp_path / "cut.safetensors")
    with torch.no_grad():
        assert torch.equal(loaded.network(IMAGE), expected[depth - 1])


def test_it_is_smaller_and_sees_less_around():
    model = Model.fresh(CONFIG)
    sizes, halos = [], []
    for one in (pruned(model, 1), pruned(model, 2), model):
        sizes.append(sum(p.numel() for p in one.network.parameters()))
        halos.append(network_geometry(one.config).halo)
    assert np.all(np.diff(sizes) > 0) and np.all(np.diff(halos) > 0)


def test_what_was_measured_of_the_deeper_one_is_not_said_of_it():
    model = Model.fresh(CONFIG)
    model = replace(model, card=replace(model.card, name="deep", scores={"AP 0.50": 0.9}))
    card = pruned(model, 1).card
    assert card.scores == {} and card.parent == "deep"
    assert "pruned from depth 3 to 1" in card.history[-1]


@pytest.mark.parametrize(
    ("config", "depth", "message"),
    [
        (ModelConfig("unet", width=2, depth=2), 1, "is a unet; only a unet"),
        (CONFIG, 3, "of depth 3 cannot be pruned to 3; give a depth"),
        (CONFIG, 0, "cannot be pruned to 0"),
    ],
)
def test_what_cannot_be_cut_is_said(config, depth, message):
    with pytest.raises(InputError, match=message):
        pruned(Model.fresh(config), depth)
