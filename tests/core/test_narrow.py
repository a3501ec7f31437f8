"""A U-Net with fewer channels, and one with more that answers the same."""

from dataclasses import replace

import pytest
import torch

from napari_unet.core.channels import Choice, channel_groups, with_channels
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.narrow import narrowed

KINDS = {
    "same-padded": ModelConfig(width=4, depth=2, diameter=10.0),
    "without norm": ModelConfig(width=4, depth=2, norm="none"),
    "valid": ModelConfig("unet-valid", width=4, depth=1, in_channels=2),
}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(params=KINDS)
def model(request):
    """With norms and biases that do something."""
    model = Model.fresh(KINDS[request.param])
    generator = torch.Generator().manual_seed(1)
    for name, tensor in model.network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(("running_mean", "bias")):
            tensor.uniform_(-0.3, 0.3, generator=generator)
    return model


def images(model, seed=0, count=4):
    generator = torch.Generator().manual_seed(seed)
    shape = (2, model.config.in_channels, 64, 64)
    return [torch.randn(shape, generator=generator) for _ in range(count)]


def with_copies(model, times):
    """Every channel is there several times, and who reads them shares."""
    choices = {}
    for group in channel_groups(model):
        source = torch.arange(group.channels).repeat(times)
        mix = torch.nn.functional.one_hot(source, group.channels).double() / times
        choices[group.maker] = Choice(source, mix)
    return with_channels(model, times * model.config.width, choices)


def answer(model, image):
    with torch.no_grad():
        return model.network.eval()(image)


def test_copies_of_channels_change_no_answer(model):
    wide = with_copies(model, 3)
    image = images(model, seed=5)[0]
    assert wide.config.width == 12
    torch.testing.assert_close(answer(wide, image), answer(model, image), rtol=0, atol=1e-4)


def test_copies_are_merged_without_loss(model):
    image = images(model, seed=5)[0]
    cut = narrowed(with_copies(model, 3), 4, images(model))
    assert cut.config.width == 4
    expected = answer(model, image)
    assert (answer(cut, image) - expected).abs().max() < 0.01 * expected.std()


def test_what_is_cut_costs_less_than_leaving_channels_out_by_chance(model):
    image = images(model, seed=5)[0]
    expected = answer(model, image)
    cut = (answer(narrowed(model, 3, images(model)), image) - expected).square().mean()
    errors = []
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        choices = {}
        for group in channel_groups(model):
            kept = torch.randperm(group.channels, generator=generator)[: group.channels * 3 // 4]
            mix = torch.eye(group.channels, dtype=torch.float64)[kept.sort().values]
            choices[group.maker] = Choice(kept.sort().values, mix)
        errors.append((answer(with_channels(model, 3, choices), image) - expected).square().mean())
    assert cut < min(errors)


def test_the_wide_one_stays_and_what_was_measured_of_it_is_not_said(model, tmp_path):
    model = replace(model, card=replace(model.card, name="wide", scores={"AP 0.50": 0.9}))
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    cut = narrowed(model, 2, images(model))
    assert all(torch.equal(t, before[name]) for name, t in model.network.state_dict().items())
    assert cut.card.scores == {} and cut.card.parent == "wide"
    assert "cut from width 4 to 2" in cut.card.history[-1]
    cut.save(tmp_path / "cut.safetensors", half=False)
    image = images(model)[0]
    assert torch.equal(answer(load_model(tmp_path / "cut.safetensors"), image), answer(cut, image))


@pytest.mark.parametrize(
    ("config", "width", "message"),
    [
        (ModelConfig("unet++", width=4, depth=2), 2, "is a unet\\+\\+ with batch norm; only a"),
        (ModelConfig("unet-outlines", width=4, depth=2), 2, "is a unet-outlines with batch norm"),
        (ModelConfig(width=4, depth=2, norm="group"), 2, "unet with group norm; only a"),
        (ModelConfig(width=4, depth=2), 4, "of width 4 cannot be cut to 4; give a width"),
    ],
)
def test_what_cannot_be_cut_is_said(config, width, message):
    model = Model.fresh(config)
    with pytest.raises(InputError, match=message):
        narrowed(model, width, images(model))
    with pytest.raises(InputError, match="no images"):
        narrowed(Model.fresh(ModelConfig(width=4, depth=1)), 2, [])
