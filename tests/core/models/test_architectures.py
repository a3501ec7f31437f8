"""What every architecture of planes must do, whichever it is; that of volumes: test_unet_3d.py."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from napari_unet.core.architectures import ARCHITECTURES, NORMS, OF_PLANES
from napari_unet.core.augment import AugmentConfig
from napari_unet.core.classes import with_classes
from napari_unet.core.config import ModelConfig
from napari_unet.core.fine_tuning import finetune
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.models.blocks import fold_batch_norm
from napari_unet.core.models.build import NETWORKS, build_network
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.predict import predict_plane
from napari_unet.core.tiling import network_geometry
from napari_unet.core.train import iter_train
from small_scenes import ended, example, loss_left

CPU = {"device": "cpu", "precision": "float32"}
SETTINGS = TrainSettings(
    patch=32,
    batch=2,
    learning_rate=1e-2,
    average=0.5,
    side_weight=1.0,
    augment=AugmentConfig(elastic_sigma=2),
)
CENTERS = [(14, 14), (14, 46), (32, 30), (48, 14), (48, 48)]

every_architecture = pytest.mark.parametrize("architecture", OF_PLANES)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def small(architecture: str, **settings) -> ModelConfig:
    return ModelConfig(architecture, **({"width": 4, "depth": 2} | settings))


def lively_model(config: ModelConfig, seed: int = 0) -> Model:
    """An untrained model whose norms do something and whose answer is not flat."""
    model = Model.fresh(config, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(("running_mean", "bias")):
            tensor.uniform_(-0.3, 0.3, generator=generator)
    return model


def noise(shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4000, shape).astype(np.uint16)


def legal_image(config: ModelConfig, pixels: int = 1) -> torch.Tensor:
    side = network_geometry(config).patch_side(pixels)
    generator = torch.Generator().manual_seed(5)
    return torch.randn(2, config.in_channels, side, side, generator=generator)


def test_every_name_has_a_network_and_every_network_a_name():
    assert list(NETWORKS) == list(ARCHITECTURES)
    assert all(name == entry.name for name, entry in ARCHITECTURES.items())
    assert all(entry.norm in NORMS and entry.sentence and entry.paper for entry in _entries())


def _entries():
    return ARCHITECTURES.values()


@every_architecture
@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_every_legal_size_is_answered_as_the_geometry_says(architecture, depth):
    config = small(architecture, depth=depth, width=2)
    geometry = network_geometry(config)
    with torch.device("meta"):
        network = build_network(config).eval()
        for pixels in (1, geometry.grid + 1, 3 * geometry.grid):
            sides = [geometry.patch_side(pixels), geometry.patch_side(1)]
            lost = 2 * geometry.halo if geometry.valid else 0
            expected = (2, 2, *(side - lost for side in sides))
            assert network(torch.zeros(2, 1, *sides)).shape == expected


@every_architecture
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 4)])
def test_channels_classes_and_odd_widths_are_free(architecture, channels, classes):
    names = ("background", *"abcdef"[: classes - 1])
    config = small(architecture, in_channels=channels, classes=names, width=5, dropout=0.5)
    network = build_network(config)
    outputs = network(legal_image(config, 20))
    for logits in outputs if isinstance(outputs, tuple) else (outputs,):
        assert logits.shape[1] == classes
        assert torch.isfinite(logits).all()


@every_architecture
def test_half_the_width_is_about_a_quarter_of_the_weights(architecture):
    with torch.device("meta"):
        wide, narrow = (
            sum(p.numel() for p in build_network(small(architecture, width=w)).parameters())
            for w in (32, 16)
        )
    assert 3 < wide / narrow < 4.1


@every_architecture
def test_all_weights_learn_and_the_outputs_are_there_in_training_alone(architecture):
    config = small(architecture)
    network = build_network(config, torch.Generator().manual_seed(0))
    image = legal_image(config, 32)
    outputs = network(image)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    assert len(outputs) == {"unet-outlines": 2, "unet++": 2, "unet3+": 3}.get(architecture, 1)
    assert len({output.shape for output in outputs}) == 1
    sum(output.square().sum() for output in outputs).backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None]
    assert idle == []
    network.eval()
    assert isinstance(network(image), torch.Tensor)


@every_architecture
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("shape", [(97, 131), (3, 200)])
def test_tiled_equals_untiled(architecture, depth, shape):
    model = lively_model(small(architecture, depth=depth))
    image = noise((1, *shape))
    once = predict_plane(image, model, tile=4096, **CPU)
    assert once.std() > 0.005
    tiled = predict_plane(image, model, tile=16, **CPU)
    assert np.abs(tiled - once).max() < 1e-5


@every_architecture
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_reach_is_as_far_as_the_edge_is_felt(architecture, depth):
    """Another edge of the input is felt up to the reach, and not beyond."""
    config = small(architecture, depth=depth)
    if network_geometry(config).valid:
        pytest.skip("of valid convolutions the sizes say it: see test_unet.py")
    reach = ARCHITECTURES[architecture].reach(depth)
    grid = network_geometry(config).grid
    felt = 0
    for seed in range(6):  # a drawn network may be deaf to a pixel, and is then given up
        network = lively_model(config, seed).network.double()
        cut = grid * -(-2 * reach // grid)
        generator = torch.Generator().manual_seed(seed)
        image = torch.randn(1, 1, 2 * cut, grid, generator=generator, dtype=torch.float64)
        with torch.inference_mode():
            whole, part = network(image)[:, :, cut:], network(image[:, :, cut:])
        changed = ((whole - part).abs() > 1e-12).any(dim=1)[0].any(dim=1)
        felt = max(felt, *(1 + changed.nonzero()[:, 0]).tolist(), 0)
    assert felt == reach


@pytest.mark.usefixtures("each_step_reported")
@every_architecture
def test_a_tiny_image_is_learnt_tiled_and_comes_back_from_its_file(architecture, tmp_path):
    config = small(architecture, depth=1 if architecture == "unet-valid" else 2, width=6)
    rounds = iter_train([example(CENTERS)], config, settings=SETTINGS, steps=25, **CPU)
    events, model = ended(rounds)
    assert loss_left(events) < 0.8
    model.save(tmp_path / "mine.safetensors", half=False)
    loaded = load_model(tmp_path / "mine.safetensors")
    image = example(CENTERS).image_cyx
    answers = [predict_plane(image, m, tile=t, **CPU) for m, t in ((model, 4096), (loaded, 16))]
    np.testing.assert_allclose(*answers, atol=1e-5)
    weights = loaded.network.state_dict()
    assert all(torch.equal(t, weights[name]) for name, t in model.network.state_dict().items())


@every_architecture
@pytest.mark.parametrize("width", [4, 6])
def test_patches_of_48_pixels_are_learnt_from(architecture, width):
    """A 1x1 convolution with a stride ended the process here, in torch 2.13's own code."""
    config = small(architecture, width=width)
    settings = replace(SETTINGS, patch=48)
    events, _ = ended(iter_train([example(CENTERS)], config, settings=settings, steps=2, **CPU))
    assert np.isfinite(events[-1].loss)


@every_architecture
def test_it_is_taught_and_the_model_before_is_not_changed(architecture):
    model = lively_model(small(architecture))
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    settings = replace(SETTINGS, frozen=1, side_weight=0.0)
    taught = finetune(model, [example(CENTERS)], steps=3, keep=0.5, settings=settings, **CPU)
    assert all(torch.equal(t, before[name]) for name, t in model.network.state_dict().items())
    assert taught.config.architecture == architecture


@every_architecture
def test_what_it_knows_stays_when_classes_are_added(architecture):
    model = lively_model(small(architecture))
    wider = with_classes(model, ["cell", "other"])
    image = legal_image(model.config, 32)
    with torch.inference_mode():
        old, new = model.network(image), wider.network(image)
    torch.testing.assert_close(new[:, :2], old)
    assert (new.argmax(1) == old.argmax(1)).all()
    assert all(head.out_channels == 3 for head in wider.network.side_heads)
    outputs = wider.network.train()(image)
    assert all(o.shape[1] == 3 for o in (outputs if isinstance(outputs, tuple) else (outputs,)))


@every_architecture
def test_folding_batch_norm_changes_nothing(architecture):
    model = lively_model(small(architecture, norm="batch"))
    image = legal_image(model.config, 32)
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in model.network.modules())
    with torch.inference_mode():
        before = model.network(image)
        after = fold_batch_norm(model.network)(image)
    left = sum(isinstance(m, nn.BatchNorm2d) for m in model.network.modules())
    # Of pre-activated units each but the first begins with a norm that no convolution precedes.
    assert norms > 0 and left == {"resunet": 4, "deeplabv3+": 3}.get(architecture, 0)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5 * before.abs().max().item())


@every_architecture
@pytest.mark.parametrize("norm", ["auto", "group"])
def test_half_the_bits_give_about_the_same_answer(architecture, norm):
    model = lively_model(small(architecture, norm=norm))
    image = noise((1, 40, 50))
    full, half = (
        predict_plane(image, model, device="cpu", precision=precision)
        for precision in ("float32", "bfloat16")
    )
    assert np.abs(full - half).mean() < 0.02
    settings = replace(SETTINGS, patch=16)
    rounds = iter_train(
        [example(CENTERS)],
        model.config,
        settings=settings,
        steps=2,
        device="cpu",
        precision="bfloat16",
    )
    assert np.isfinite(ended(rounds)[0][-1].loss)


@every_architecture
def test_the_same_seed_builds_the_same_network(architecture):
    one, same, other = (Model.fresh(small(architecture), seed=s).network for s in (1, 1, 2))
    tensors = [list(network.state_dict().values()) for network in (one, same, other)]
    assert all(torch.equal(a, b) for a, b in zip(tensors[0], tensors[1], strict=True))
    assert not torch.equal(one.head.weight, other.head.weight)


@every_architecture
def test_compressed_intensities_enter_it(architecture):
    plain, compressed = (Model.fresh(small(architecture, compress=c)).network for c in (0.0, 0.1))
    image = legal_image(small(architecture), 32)
    asinh = torch.asinh(image / 0.1) / np.arcsinh(10)
    with torch.inference_mode():
        torch.testing.assert_close(compressed(image), plain(asinh))
