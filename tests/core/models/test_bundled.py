"""The bundled models answer as they always have: to the last bit."""

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from napari_unet.core import load_model
from napari_unet.core.library import bundled_models_dir

MODELS = sorted(path.stem for path in bundled_models_dir().glob("*.safetensors"))


def answer(weights, image, depth, knee):
    """What the network of a file computes, written out in torch's own functions."""

    def block(name, x):
        for conv, norm in ((0, 1), (3, 4)):
            x = F.conv2d(x, weights[f"{name}.{conv}.weight"], padding=1)
            values = [weights[f"{name}.{norm}.{key}"] for key in NORM]
            x = F.relu(F.batch_norm(x, *values))
        return x

    x = torch.asinh(image / knee) / torch.asinh(torch.tensor(1 / knee, dtype=torch.float64)).item()
    skips = []
    for level in range(depth):
        skips.append(block(f"down.{level}", x))
        x = F.max_pool2d(skips[-1], 2)
    x = block(f"down.{depth}", x)
    for level in reversed(range(depth)):
        up = weights[f"up.{level}.weight"], weights[f"up.{level}.bias"]
        x = F.conv_transpose2d(x, *up, stride=2)
        x = block(f"merge.{level}", torch.cat([skips[level], x], 1))
    return F.conv2d(x, weights["head.weight"], weights["head.bias"])


NORM = ("running_mean", "running_var", "weight", "bias")


def test_there_are_bundled_models():
    assert "nuclei-fluorescence" in MODELS


@pytest.mark.parametrize("name", MODELS)
def test_a_bundled_model_computes_what_its_file_has_always_meant(name):
    torch.set_num_threads(1)
    model = load_model(name)
    config = model.config
    assert (config.architecture, config.norm) == ("unet", "auto") and config.compress > 0
    weights = load_file(bundled_models_dir() / f"{name}.safetensors")
    weights = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
    side = 2 * 2**config.depth
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, config.in_channels, side, side, generator=generator)
    with torch.inference_mode():
        expected = answer(weights, image, config.depth, config.compress)
        assert torch.equal(model.network(image), expected)
