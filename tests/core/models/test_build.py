import pytest
import torch
from torch import nn

from napari_unet.core.config import ModelConfig
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.models.build import build_network


def test_every_setting_reaches_the_network():
    config = ModelConfig(
        architecture="unet-valid",
        in_channels=3,
        classes=("background", "cell", "nucleus"),
        width=5,
        depth=2,
        dropout=0.25,
        compress=0.2,
    )
    network = build_network(config)
    first = network.down[0][0]
    assert (first.in_channels, first.out_channels, first.padding) == (3, 5, (0, 0))
    assert len(network.up) == 2
    assert network.head.out_channels == 3
    assert network.dropout.p == 0.25
    assert network.compress == 0.2


@pytest.mark.parametrize(("architecture", "norms"), [("unet", 2), ("unet-valid", 0)])
def test_the_architecture_decides_on_padding_and_batch_norm(architecture, norms):
    network = build_network(ModelConfig(architecture=architecture, width=2, depth=1))
    block = network.down[0]
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in block) == norms
    assert block[0].padding == ((0, 0) if architecture == "unet-valid" else (1, 1))


def test_same_seed_builds_the_same_network():
    config = ModelConfig(width=2, depth=1)
    first, second, other = (
        build_network(config, torch.Generator().manual_seed(seed)).state_dict()
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_a_built_network_is_ready_to_train():
    network = build_network(ModelConfig(width=2, depth=1))
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert network.head.bias.device.type == "cpu"


def test_compressing_is_saved_and_loaded_with_a_model(tmp_path):
    model = Model.fresh(ModelConfig(width=2, depth=1, compress=0.1))
    model.save(tmp_path / "mine.safetensors", half=False)
    loaded = load_model(tmp_path / "mine.safetensors")
    assert loaded.config.compress == loaded.network.compress == 0.1
    image = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    plain = Model.fresh(ModelConfig(width=2, depth=1)).network
    with torch.no_grad():
        assert torch.equal(loaded.network(image), model.network(image))
        assert not torch.allclose(loaded.network(image), plain(image))
