"""What the gates of an Attention U-Net let through, as maps over the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_unet.core import attention
from napari_unet.core.attention import attention_maps, gate_names
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.model_file import Model
from napari_unet.core.normalize import normalize
from napari_unet.core.predict import predict_plane

CONFIG = ModelConfig("attention-unet", width=4, depth=3)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def model():
    """Gates that are not all alike: weights and their norms' statistics are drawn."""
    model = Model.fresh(CONFIG, seed=1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in model.network.state_dict().items():
            if "running_mean" in name:
                tensor.copy_(torch.randn(tensor.shape, generator=generator) / 10)
        for gate in model.network.gates:
            gate.psi.weight.mul_(8)
            gate.psi.bias.fill_(-3)
    model.network.eval()
    return model


def image(shape=(64, 64)):
    return np.random.default_rng(0).random(shape).astype(np.float32)


def test_maps_are_those_of_the_network(model):
    given = image((192, 192))
    found = attention_maps(given, model, axes="YX", device="cpu")
    assert found.shape == (2, 192, 192) and found.dtype == np.float32
    assert gate_names(model) == ["level 2", "level 3"]
    with torch.inference_mode():
        whole = model.network.attention(torch.from_numpy(normalize(given[None]))[None])
    inside = np.s_[64:128, 64:128]  # beyond its border the image is mirrored, here it ends
    for one, expected in zip(found, whole, strict=True):
        np.testing.assert_allclose(one[inside], expected[0, 0].numpy()[inside], atol=1e-5)
    assert found.std() > 0.01  # else this would say nothing


def test_tiled_equals_whole(model):
    seen = attention._seen(model, 2)
    given = image((1, 150, 170))
    whole, tiled = (
        predict_plane(given, seen, tile=tile, device="cpu", precision="float32")
        for tile in (4096, 64)
    )
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_planes_of_a_stack_and_rescaled_images_keep_their_pixels(model):
    stack = image((2, 40, 50))
    found = attention_maps(stack, model, axes="ZYX", device="cpu")
    assert found.shape == (2, 2, 40, 50)
    one = attention_maps(stack[1], model, axes="YX", device="cpu")
    np.testing.assert_allclose(found[:, 1], one, atol=1e-6)
    sized = Model(ModelConfig("attention-unet", width=4, depth=3, diameter=8.0), model.card,
                  model.network)  # fmt: skip
    assert attention_maps(stack[0], sized, diameter=16, device="cpu").shape == (2, 40, 50)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (ModelConfig(width=2, depth=1), "is a unet and has no attention gates"),
        (ModelConfig("attention-unet", width=2, depth=1), "depth 1 has no attention gates"),
    ],
)
def test_models_without_gates_are_told(config, sentence):
    with pytest.raises(InputError, match=sentence):
        attention_maps(image(), Model.fresh(config), device="cpu")
