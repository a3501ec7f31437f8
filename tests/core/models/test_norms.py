"""Norms that look at the image: measured once, and then the same for every tile."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from napari_unet.core.architectures import OF_PLANES
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.models.build import build_network
from napari_unet.core.models.norms import MeasuredNorm, measures_images, with_measured_norms
from napari_unet.core.normalize import normalize
from napari_unet.core.predict import predict_plane, predict_tiles
from napari_unet.core.tiling import network_geometry, plan_sample, plan_tiles, read_mirrored
from napari_unet.core.train import iter_train
from small_scenes import SMALL, ended, example

CPU = {"device": "cpu", "precision": "float32"}
MEASURING = ("group", "instance")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def a_model(norm, architecture="unet", **settings):
    """Untrained, with factors and shifts unlike 1 and 0."""
    config = ModelConfig(architecture, width=4, depth=2, norm=norm, **settings)
    model = Model.fresh(config)
    generator = torch.Generator().manual_seed(0)
    for module in model.network.modules():
        if isinstance(module, nn.GroupNorm):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.uniform_(-0.3, 0.3, generator=generator)
    return model


def uneven(shape, seed=0):
    """Noise that grows from one end to the other, so that no two tiles have the same statistics."""
    image = np.random.default_rng(seed).normal(1, 1, (1, *shape))
    return (image * np.linspace(0.2, 3, shape[1])).astype(np.float32)


@pytest.mark.parametrize(
    ("norm", "kind"),
    [("batch", nn.BatchNorm2d), ("group", nn.GroupNorm), ("instance", nn.GroupNorm)],
)
@pytest.mark.parametrize("architecture", OF_PLANES)
def test_every_network_takes_every_norm(architecture, norm, kind):
    modules = list(a_model(norm, architecture).network.modules())
    all_norms = (nn.BatchNorm2d, nn.GroupNorm)
    kinds = {type(module) for module in modules if isinstance(module, all_norms)}
    assert kinds == {kind}
    if norm == "instance":
        norms = [module for module in modules if isinstance(module, nn.GroupNorm)]
        assert all(module.num_groups == module.num_channels for module in norms)


@pytest.mark.parametrize("architecture", OF_PLANES)
def test_without_a_norm_convolutions_have_biases(architecture):
    modules = list(a_model("none", architecture).network.modules())
    assert not any(isinstance(module, nn.BatchNorm2d | nn.GroupNorm) for module in modules)
    threes = [m for m in modules if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert all(module.bias is not None for module in threes)


def test_instance_norm_is_that_of_torch():
    config = ModelConfig(width=4, depth=1, norm="instance")
    norm = build_network(config).down[0][1]
    features = torch.randn(2, 4, 9, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(norm(features), nn.InstanceNorm2d(4)(features))


@pytest.mark.parametrize(("groups", "channels"), [(2, 8), (4, 4), (1, 6)])
def test_measured_on_an_image_it_is_group_norm_and_then_holds(groups, channels):
    generator = torch.Generator().manual_seed(0)
    norm = nn.GroupNorm(groups, channels)
    norm.weight.data.uniform_(0.5, 1.5, generator=generator)
    norm.bias.data.uniform_(-1, 1, generator=generator)
    whole = 3 + torch.randn(1, channels, 8, 10, generator=generator)
    held = with_measured_norms(nn.Sequential(norm), whole)
    assert isinstance(held[0], MeasuredNorm)
    torch.testing.assert_close(held(whole), norm(whole))
    # A part is treated as in the whole, and parts together are measured as the whole.
    torch.testing.assert_close(held(whole[..., :3]), norm(whole)[..., :3])
    halves = with_measured_norms(nn.Sequential(norm), torch.cat(whole.split(5, dim=3)))
    torch.testing.assert_close(halves(whole), norm(whole))


@pytest.mark.parametrize("norm", MEASURING)
@pytest.mark.parametrize("architecture", OF_PLANES)
@pytest.mark.parametrize("shape", [(45, 70), (20, 700)])
def test_tiled_equals_untiled(architecture, norm, shape):
    """The second image is longer than what is measured whole."""
    model = a_model(norm, architecture)
    image = uneven(shape)
    once, tiled = (predict_plane(image, model, tile=tile, **CPU) for tile in (4096, 16))
    assert once.std() > 0.003
    assert np.abs(once - tiled).max() < 2e-5


@pytest.mark.parametrize("norm", MEASURING)
@pytest.mark.parametrize("architecture", ["unet", "unet-valid"])
def test_an_image_measured_whole_is_what_the_network_says_of_it(architecture, norm):
    model = a_model(norm, architecture)
    image = uneven((45, 70))
    (tile,) = plan_tiles((45, 70), network_geometry(model.config), 4096)
    batch = torch.from_numpy(read_mirrored(normalize(image, model.config.percentiles), tile))[None]
    with torch.inference_mode():
        said = model.network(batch).softmax(1)[0].numpy()
    said = said[:, tile.y_crop : tile.y_crop + 45, tile.x_crop : tile.x_crop + 70]
    np.testing.assert_allclose(predict_plane(image, model, tile=16, **CPU), said, atol=2e-5)


def test_normalised_tile_by_tile_there_would_be_seams():
    """What measuring is for: the same network on two halves alone differs from the whole."""
    network = a_model("instance").network
    image = torch.from_numpy(uneven((32, 96)))[None]
    with torch.inference_mode():
        whole = network(image).softmax(1)
        left = network(image[..., :64]).softmax(1)
    assert (whole[..., :16] - left[..., :16]).abs().max() > 0.01


def test_two_images_on_their_way_at_once_do_not_disturb_each_other():
    model = a_model("group")
    first, second = uneven((40, 60)), 5 * uneven((40, 60), seed=1) ** 2
    alone = [tile.probability for tile in predict_tiles(first, model, tile=16, **CPU)]
    together = []
    others = predict_tiles(second, model, tile=16, **CPU)
    for tile in predict_tiles(first, model, tile=16, **CPU):
        next(others)
        together.append(tile.probability)
    assert len(alone) > 4
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("architecture", ["unet", "unet-valid", "unet-transformer"])
@pytest.mark.parametrize("size", [1, 300, 601, 1500, 20_000])
def test_a_sample_is_of_one_legal_size_within_what_an_image_is_read_as(architecture, size):
    geometry = network_geometry(ModelConfig(architecture, depth=3))
    parts = plan_sample((size, 64), geometry)
    first, last = geometry.input_span(0, size, size)
    sides = {part.y_span[1] - part.y_span[0] for part in parts}
    assert len(parts) in (1, 3) and len(sides) == 1
    assert sides == {geometry.patch_side(sides.copy().pop())}
    assert parts[0].y_span[0] == first and parts[-1].y_span[1] == last
    assert all((part.y_span[0] - first) % geometry.grid == 0 for part in parts)
    assert max(sides) <= max(640, 3 * geometry.patch_side(208))


@pytest.mark.parametrize("norm", MEASURING)
def test_it_is_learnt_saved_and_loaded_with_its_norm(norm, tmp_path):
    config = replace(SMALL, norm=norm)
    settings = {"steps": 3, "device": "cpu", "precision": "float32"}
    _, model = ended(iter_train([example([(20, 20), (44, 44)])], config, **settings))
    model.save(tmp_path / "mine.safetensors", half=False)
    loaded = load_model(tmp_path / "mine.safetensors")
    assert loaded.config.norm == norm and measures_images(loaded.network)
    image = uneven((40, 40))
    np.testing.assert_allclose(
        predict_plane(image, loaded, **CPU), predict_plane(image, model, **CPU), atol=1e-6
    )


def test_a_model_of_another_norm_is_no_start():
    rounds = iter_train(
        [example([(20, 20)])], replace(SMALL, norm="group"), start=Model.fresh(SMALL), steps=1
    )
    with pytest.raises(InputError, match="has norm batch and group is asked for; use batch"):
        next(rounds)
