"""Networks have as many parameters as their papers say, where those say it."""

import pytest
import torch
from torch import nn

from napari_unet.core.models.build import NETWORKS


def built(name: str, channels: int, classes: int, width: int, depth: int, **more) -> nn.Module:
    with torch.device("meta"):
        return NETWORKS[name](channels, classes, width, depth, **more)


def count(network: nn.Module) -> int:
    return sum(tensor.numel() for tensor in network.parameters())


def in_millions(number: int, digits: int) -> float:
    return round(number / 1e6, digits)


def test_unet_valid_has_those_of_figure_1():
    """Ronneberger 2015, counted level by level in test_unet.py; Zhou 2018, table 3, name 7.76 M
    for one of half the width."""
    assert in_millions(count(built("unet-valid", 1, 2, 64, 4)), 1) == 31.0
    assert in_millions(count(built("unet-valid", 1, 1, 32, 4)), 2) == 7.76


def test_34_and_a_half_million_is_a_unet_that_enlarges_by_3x3_convolutions():
    """Not ours: with up-convolutions 2x2 batch norm adds 0.006 M to the 31.0 M of the paper.

    The variant that is named with 34.5 M (as 34.53 M by repositories that compare Attention U-Net
    with it) puts nearest-neighbour enlargement and a 3x3 convolution with batch norm in their
    place, and keeps all biases.
    """
    ours = built("unet", 3, 1, 64, 4)
    assert in_millions(count(ours), 1) == 31.0
    norms = [module for module in ours.modules() if isinstance(module, nn.BatchNorm2d)]
    total = count(ours) + sum(norm.num_features for norm in norms)  # biases before norms
    for up in ours.up:
        inputs, outputs = up.in_channels, up.out_channels
        total -= 4 * inputs * outputs + outputs
        total += 9 * inputs * outputs + outputs + 2 * outputs
    assert in_millions(total, 2) == 34.53


def test_unet_plus_plus_has_9_million():
    """Zhou 2018, table 3: 9.04 M at widths 32 to 512."""
    assert in_millions(count(built("unet++", 3, 1, 32, 4, norm="none")), 2) == 9.04


def test_unet_3_plus_has_27_million():
    """Huang 2020, table 1: 26.97 M without deep supervision."""
    network = built("unet3+", 3, 1, 64, 4)
    assert in_millions(count(network) - count(network.side_heads), 2) == 26.97


def test_resunet_has_7_8_million_but_for_its_shortcuts():
    """Zhang 2018, section III: 7.8 M."""
    network = built("resunet", 3, 1, 64, 3)
    shortcuts = sum(p.numel() for n, p in network.named_parameters() if "shortcut" in n)
    assert in_millions(count(network) - shortcuts, 1) == 7.8
    assert in_millions(shortcuts, 1) == 0.4


def test_the_encoder_of_segnet_has_14_7_million():
    """Badrinarayanan 2015, section 3: from 134 M to 14.7 M by leaving out what is connected."""
    assert in_millions(count(built("segnet", 3, 11, 64, 5).down), 1) == 14.7


def test_fcn_has_134_million():
    """Long 2015, table 1, FCN-VGG16: 134 M."""
    assert in_millions(count(built("fcn-8s", 3, 21, 64, 5, norm="none")), 0) == 134


@pytest.mark.parametrize(("width", "depth"), [(6, 2), (32, 4)])
def test_the_gates_are_what_attention_adds(width, depth):
    """Oktay 2018 names 3D networks alone; by hand: W_x, W_g with its bias, psi, and W with norm."""
    gates = 0
    for level in range(1, depth):
        c = width * 2**level
        gates += 4 * c * c + (2 * c * c + c) + (c + 1) + (c * c + 2 * c)
    plain, gated = (count(built(n, 1, 2, width, depth)) for n in ("unet", "attention-unet"))
    assert gated - plain == gates


@pytest.mark.parametrize(("width", "depth"), [(6, 2), (32, 4)])
def test_a_separable_convolution_has_9_c_and_c_c_weights(width, depth):
    """Howard 2017, section 3.1, by hand, without norm."""

    def separable(i, o):
        return (9 * i + i) + (i * o + o)

    channels = [width * 2**level for level in range(depth + 1)]
    total = 9 * width + width + separable(width, width)
    total += sum(separable(c, 2 * c) + separable(2 * c, 2 * c) for c in channels[:-1])
    total += (
        sum(2 * c * c + c + separable(2 * c, c) + separable(c, c) for c in channels[:-1])
        + 2 * width
        + 2
    )
    assert count(built("unet-light", 1, 2, width, depth, norm="none")) == total


def test_transformer_layers_have_12_c_c_weights():
    """Vaswani 2017 and Dosovitskiy 2021: 4 C^2 for attention, 8 C^2 for a perceptron of 4 C."""
    c = 32 * 2**4
    heads = c // 64
    layer = 12 * c * c + (3 * c + c + 4 * c + c) + 2 * 2 * c + heads * 49
    plain, both = (count(built(name, 1, 2, 32, 4)) for name in ("unet", "unet-transformer"))
    assert both - plain == 4 * layer
