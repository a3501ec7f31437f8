"""Logits of a part of an image, which the tiles are made of."""

import pytest
import torch

from napari_unet.core.config import ModelConfig
from napari_unet.core.models import unet
from napari_unet.core.models.build import build_network
from napari_unet.core.models.network import Box

WHOLE = Box(0, 0, 96, 112)
BOXES = (WHOLE, Box(16, 32, 64, 48), Box(0, 33, 47, 112), Box(61, 60, 62, 63), Box(95, 0, 96, 1))


def network_of(name, depth, **others):
    config = ModelConfig(architecture=name, width=3, depth=depth, **others)
    return build_network(config, torch.Generator().manual_seed(0)).eval()


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("box", BOXES, ids=str)
def test_a_part_is_what_the_whole_has_there(depth, box):
    network = network_of("unet", depth, compress=0.1)
    image = torch.rand(1, 1, 96, 112, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(
            network.part(image, box), box.cut(network(image)), atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("name", ["attention-unet", "unet++", "resunet"])
def test_other_networks_have_parts_too(name):
    network, box = network_of(name, 2), Box(8, 4, 20, 30)
    image = torch.rand(1, 1, 32, 48)
    with torch.inference_mode():
        assert torch.equal(network.part(image, box), box.cut(network(image)))


def test_of_valid_convolutions_a_part_is_counted_in_the_output():
    network, box = network_of("unet-valid", 1), Box(3, 5, 20, 21)
    image = torch.rand(1, 1, 44, 44)
    with torch.inference_mode():
        assert torch.equal(network.part(image, box), box.cut(network(image)))


def test_the_expanding_path_computes_little_more_than_the_part():
    """On the first level 2 pixels on each side for its two convolutions, on even numbers."""
    network, sizes = network_of("unet", 2), []
    network.merge[0][0].register_forward_hook(lambda _, inputs, out: sizes.append(out.shape[2:]))
    with torch.inference_mode():
        network.part(torch.rand(1, 1, 96, 112), Box(40, 41, 56, 60))
    assert [tuple(size) for size in sizes] == [(20, 24)]
    assert unet.RIM == 2
