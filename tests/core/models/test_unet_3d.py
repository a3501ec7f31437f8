"""The 3D U-Net: as its paper says, and as the other networks do what all must do."""

import numpy as np
import pytest
import torch
from torch import nn

from napari_unet.core.architectures import ARCHITECTURES, unet_reach
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.models.blocks import fold_batch_norm
from napari_unet.core.models.build import build_network
from napari_unet.core.models.network import Box
from napari_unet.core.tiling import network_geometries


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def small(**settings) -> ModelConfig:
    return ModelConfig("unet-3d", **({"width": 2, "depth": 2} | settings))


def lively(config: ModelConfig, seed: int = 0) -> Model:
    """An untrained model whose norms do something."""
    model = Model.fresh(config, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(("running_mean", "bias")):
            tensor.uniform_(-0.3, 0.3, generator=generator)
    return model


def drawn(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_it_has_the_19069955_parameters_of_the_paper():
    """Section 2. They count one number a channel beside the weights, and up-convolutions have none:
    batch norm has a factor and a shift, and up-convolutions have a bias here."""
    classes = ("background", "a", "b")
    with torch.device("meta"):
        network = build_network(ModelConfig("unet-3d", 3, classes, width=32, depth=3))
    factors = sum(m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm3d))
    biases = sum(m.out_channels for m in network.modules() if isinstance(m, nn.ConvTranspose3d))
    parameters = sum(p.numel() for p in network.parameters())
    assert parameters - factors - biases == 19_069_955


def test_levels_have_the_channels_of_figure_2():
    with torch.device("meta"):
        network = build_network(ModelConfig("unet-3d", 3, width=32, depth=3))
    channels = [
        [m.out_channels for m in block if isinstance(m, nn.Conv3d)]
        for block in [*network.down, *reversed(network.merge)]
    ]
    assert channels[:4] == [[32, 64], [64, 128], [128, 256], [256, 512]]
    assert channels[4:] == [[256, 256], [128, 128], [64, 64]]
    joined = [block[0].in_channels for block in reversed(network.merge)]
    assert joined == [256 + 512, 128 + 256, 64 + 128]


@pytest.mark.parametrize(
    ("anisotropy", "strides_z"),
    [(1.0, (2, 2, 2)), (2.0, (1, 2, 2)), (4.0, (1, 1, 2)), (16.0, (1, 1, 1)), (0.5, (2, 2, 2))],
)
def test_planes_that_lie_far_apart_are_not_pooled_until_pixels_do_too(anisotropy, strides_z):
    config = small(depth=3, anisotropy=anisotropy)
    assert config.strides == tuple((z, 2, 2) for z in strides_z)
    assert [geometry.grid for geometry in network_geometries(config)] == [
        int(np.prod(strides_z)),
        8,
        8,
    ]


@pytest.mark.parametrize("anisotropy", [1.0, 2.0, 4.0])
def test_the_answer_is_as_large_as_the_image(anisotropy):
    config = small(in_channels=2, anisotropy=anisotropy)
    sides = [3 * geometry.grid for geometry in network_geometries(config)]
    logits = build_network(config)(torch.zeros(2, 2, *sides))
    assert logits.shape == (2, 2, *sides)


@pytest.mark.parametrize("strides", [(2,), (2, 2), (2, 2, 2), (1, 2), (1, 1, 2), (1, 1)])
def test_the_reach_is_as_far_as_the_edge_is_felt(strides):
    """Along Z, where some poolings leave it as it is."""
    config = small(depth=len(strides), anisotropy=2.0 ** strides.count(1))
    assert tuple(level[0] for level in config.strides) == strides
    reach, (grid, side, _) = unet_reach(strides), [g.grid for g in network_geometries(config)]
    felt = 0
    for seed in range(6):  # a drawn network may be deaf to a voxel, and is then given up
        network = lively(config, seed).network.double()
        cut = grid * -(-2 * reach // grid)
        image = drawn(1, 1, 2 * cut, side, side, seed=seed).double()
        with torch.inference_mode():
            whole, part = network(image)[:, :, cut:], network(image[:, :, cut:])
        changed = ((whole - part).abs() > 1e-12).flatten(3).any(dim=3)[0].any(dim=0)
        felt = max(felt, *(1 + changed.nonzero()[:, 0]).tolist(), 0)
    assert felt == reach


@pytest.mark.parametrize("anisotropy", [1.0, 2.0])
@pytest.mark.parametrize("box", [Box(0, 0, 0, 16, 24, 20), Box(3, 9, 12, 5, 16, 13)], ids=repr)
def test_a_part_is_what_the_whole_has_there(anisotropy, box):
    network = lively(small(anisotropy=anisotropy)).network
    image = drawn(1, 1, 16, 24, 20)
    with torch.inference_mode():
        expected = box.cut(network(image))
        torch.testing.assert_close(network.part(image, box), expected, atol=1e-5, rtol=0)


def test_folding_batch_norm_changes_nothing():
    network = lively(small()).network
    image = drawn(1, 1, 8, 12, 8)
    with torch.inference_mode():
        before = network(image)
        after = fold_batch_norm(network)(image)
    assert not any(isinstance(module, nn.BatchNorm3d) for module in network.modules())
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_it_comes_back_from_its_file(tmp_path):
    model = lively(small(anisotropy=2.5, compress=0.1))
    model.save(tmp_path / "mine.safetensors", half=False)
    loaded = load_model(tmp_path / "mine.safetensors")
    assert loaded.config == model.config and loaded.config.spacing == (2.5, 1.0, 1.0)
    image = drawn(1, 1, 4, 8, 8)
    with torch.inference_mode():
        assert torch.equal(loaded.network(image), model.network(image))


def test_files_of_models_of_planes_stay_what_they_were():
    assert "anisotropy" not in ModelConfig().to_json()
    assert ModelConfig.from_json(ModelConfig().to_json()) == ModelConfig()


@pytest.mark.parametrize("wrong", [{"diameter": 20.0}, {"semantic": True}, {"norm": "group"}])
def test_what_volumes_have_not_is_refused(wrong):
    with pytest.raises(InputError, match="model of volumes"):
        small(**wrong)


def test_it_is_the_one_of_volumes():
    assert [name for name, one in ARCHITECTURES.items() if one.axes == 3] == ["unet-3d"]
    assert (small().spatial_axes, ModelConfig().spatial_axes) == ("ZYX", "YX")
