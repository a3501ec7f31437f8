"""What is particular to each architecture is as its paper says."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from napari_unet.core.models.attention_unet import OPEN, AttentionUNet
from napari_unet.core.models.blocks import initialize
from napari_unet.core.models.deeplab import DeepLabV3Plus
from napari_unet.core.models.fcn import FCN8s
from napari_unet.core.models.light_unet import LightUNet
from napari_unet.core.models.resunet import ResUNet
from napari_unet.core.models.segnet import SegNet
from napari_unet.core.models.transformer_unet import TransformerUNet
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_3_plus import UNet3Plus
from napari_unet.core.models.unet_plus_plus import UNetPlusPlus

WINDOW = 4


@pytest.fixture(autouse=True)
def no_gradients():
    torch.set_num_threads(1)
    with torch.no_grad():
        yield


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def ready(network, seed=0):
    initialize(network, torch.Generator().manual_seed(seed))
    return network.eval()


def test_unet_plus_plus_of_depth_1_is_a_unet():
    nested = ready(UNetPlusPlus(1, 2, 4, 1))
    plain = UNet(1, 2, 4, 1, dropout=0, valid=False).eval()
    weights = nested.state_dict()
    plain.load_state_dict({name.replace(".0-1.", ".0."): t for name, t in weights.items()})
    image = drawn(1, 1, 16, 16)
    assert torch.equal(nested(image), plain(image))


def test_a_node_of_unet_plus_plus_joins_all_before_it_and_the_one_below():
    """Equation 1, for X(0, 2)."""
    network = ready(UNetPlusPlus(1, 2, 4, 2))
    given = []
    network.merge["0-2"].register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    image = drawn(1, 1, 16, 16)
    network(image)
    x00 = network.down[0](image)
    x10 = network.down[1](F.max_pool2d(x00, 2))
    x20 = network.down[2](F.max_pool2d(x10, 2))
    x01 = network.merge["0-1"](torch.cat([x00, network.up["0-1"](x10)], 1))
    x11 = network.merge["1-1"](torch.cat([x10, network.up["1-1"](x20)], 1))
    torch.testing.assert_close(given[0], torch.cat([x00, x01, network.up["0-2"](x11)], 1))


def test_unet_3_plus_joins_five_scales_of_64_channels_to_320():
    """Section 2.1: "320 filters of size 3x3"."""
    with torch.device("meta"):
        network = UNet3Plus(1, 2, 64, 4)
    for level, branches in enumerate(network.branches):
        assert [branch[0].out_channels for branch in branches.each] == 5 * [64]
        assert network.fuse[level][0].in_channels == network.fuse[level][0].out_channels == 320


def test_a_level_of_unet_3_plus_sees_finer_levels_pooled_and_coarser_ones_enlarged():
    """Equation of section 2.1, for the middle of three levels."""
    network = ready(UNet3Plus(1, 2, 4, 2))
    given = []
    network.fuse[1].register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    image = drawn(1, 1, 16, 16)
    network(image)
    finest = network.down[0](image)
    own = network.down[1](F.max_pool2d(finest, 2))
    deepest = network.down[2](F.max_pool2d(own, 2))
    larger = F.interpolate(deepest, size=own.shape[2:], mode="bilinear", align_corners=False)
    first, second, third = network.branches[1].each
    expected = torch.cat([first(F.max_pool2d(finest, 2)), second(own), third(larger)], 1)
    torch.testing.assert_close(given[0], expected)


def test_an_attention_gate_is_equations_1_and_2():
    network = ready(AttentionUNet(1, 2, 4, 2, norm="none"))
    gate = network.gates[0]
    skip, gating = drawn(1, 8, 8, 8), drawn(1, 16, 4, 4, seed=1)
    out, passed = gate(skip, gating)
    y, x = 2, 1
    window = skip[0, :, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
    of_skip = (gate.of_skip.weight * window).sum(dim=(1, 2, 3))
    of_gating = gate.of_gating.weight[..., 0, 0] @ gating[0, :, y, x] + gate.of_gating.bias
    q = gate.psi.weight[0, :, 0, 0] @ torch.relu(of_skip + of_gating) + gate.psi.bias + OPEN
    coarse = torch.sigmoid(gate.psi(torch.relu(gate.of_skip(skip) + gate.of_gating(gating))) + OPEN)
    assert coarse[0, 0, y, x].item() == pytest.approx(1 / (1 + math.exp(-q.item())), rel=1e-5)
    torch.testing.assert_close(
        passed, F.interpolate(coarse, size=(8, 8), mode="bilinear", align_corners=False)
    )
    torch.testing.assert_close(out, gate.out(skip * passed))


def test_attention_can_be_had_as_maps_of_the_image_and_begins_open():
    network = AttentionUNet(2, 3, 8, 3)
    maps = ready(network).attention(drawn(2, 2, 32, 48))
    assert [tuple(each.shape) for each in maps] == 2 * [(2, 1, 32, 48)]  # none on the first level
    assert all(each.min() >= 0 and each.max() <= 1 for each in maps)
    for gate in network.gates:
        gate.psi.weight.zero_()
    for each in network.attention(drawn(1, 2, 32, 32)):
        torch.testing.assert_close(each, torch.full_like(each, 1 / (1 + math.exp(-3))))


def test_attention_maps_are_those_of_the_network_with_intensities_compressed():
    network = ready(AttentionUNet(1, 2, 8, 2, compress=0.1))
    seen = []
    network.gates[0].register_forward_hook(lambda _, __, outputs: seen.append(outputs[1]))
    image = drawn(1, 1, 16, 16)
    network(image)
    network.attention(image)
    torch.testing.assert_close(seen[0], seen[1])


def test_a_residual_unit_without_its_convolutions_is_its_shortcut():
    unit = ResUNet(3, 2, 4, 1).down[1].eval()
    for module in unit.layers:
        if isinstance(module, nn.Conv2d):
            module.weight.zero_()
            if module.bias is not None:
                module.bias.zero_()
    features = drawn(1, 4, 8, 8)
    expected = F.conv2d(features, unit.shortcut.weight, stride=2)
    torch.testing.assert_close(unit(features), expected)


def test_resunet_halves_by_strides_and_pools_nowhere():
    network = ResUNet(1, 2, 4, 3)
    strides = [unit.stride for unit in network.down]
    assert strides == [1, 2, 2, 2]
    assert not any(isinstance(module, nn.MaxPool2d) for module in network.modules())


def test_convolutions_of_the_light_network_look_at_one_channel_or_one_pixel():
    convolutions = [m for m in LightUNet(3, 2, 4, 2).modules() if isinstance(m, nn.Conv2d)]
    first, *others = convolutions
    assert (first.in_channels, first.groups) == (3, 1)
    assert all(m.groups == m.in_channels or m.kernel_size == (1, 1) for m in others)


def test_fcn_adds_the_scores_of_three_poolings_at_32_16_and_8_pixels():
    network = ready(FCN8s(1, 2, 2, 5, norm="none"))
    heads = [network.head, *network.side_heads]
    for kept, scale in zip(heads, (32, 16, 8), strict=True):
        alone = []
        weights = {head: (head.weight.clone(), head.bias.clone()) for head in heads}
        for head in heads:
            if head is not kept:
                head.weight.zero_(), head.bias.zero_()
        kept.register_forward_hook(lambda _, __, out, into=alone: into.append(out))
        answer = network(drawn(1, 1, 64, 64))
        assert alone[0].shape[-1] * scale == 64
        here = alone[0]
        while here.shape[-1] < 8:
            here = F.interpolate(here, scale_factor=2, mode="bilinear", align_corners=False)
        torch.testing.assert_close(
            answer, F.interpolate(here, scale_factor=8, mode="bilinear", align_corners=False)
        )
        for head, (weight, bias) in weights.items():
            head.weight.copy_(weight), head.bias.copy_(bias)


def test_the_pyramid_of_deeplab_has_holes_of_6_12_and_18_and_256_channels():
    """Section 3.1; 48 channels are taken along from a quarter of the size."""
    with torch.device("meta"):
        network = DeepLabV3Plus(1, 2, 64, 4)
    convolutions = [branch[0] for branch in network.pyramid]
    assert [c.dilation[0] for c in convolutions] == [1, 6, 12, 18]
    assert [c.kernel_size[0] for c in convolutions] == [1, 3, 3, 3]
    assert {c.out_channels for c in convolutions} == {256}
    assert (network.reduce[0].in_channels, network.reduce[0].out_channels) == (256, 48)
    assert network.low == 2


def test_segnet_puts_maxima_back_where_they_were():
    network = ready(SegNet(1, 2, 2, 1))
    given, pooled = [], []
    network.up[0].register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    network.down[0].register_forward_hook(lambda _, __, out: pooled.append(out))
    network(drawn(1, 1, 8, 8))
    maxima = F.interpolate(F.max_pool2d(pooled[0], 2), scale_factor=2, mode="nearest")
    torch.testing.assert_close(given[0], torch.where(pooled[0] == maxima, maxima, 0))


@pytest.mark.parametrize("number", [0, 1])
def test_attention_is_within_windows_and_the_second_layer_s_are_shifted(number):
    """Against a loop over pixels: equation 4 of Liu 2021."""
    layer = ready(TransformerUNet(1, 2, 32, 2)).layers[number]
    assert layer.heads == 2
    layer.bias.copy_(drawn(*layer.bias.shape, seed=3))
    features = drawn(1, 8, 12, 128)
    ours = layer._attended(features)[0]
    flat = features[0].reshape(96, 128)
    qkv = (flat @ layer.query_key_value.weight.T + layer.query_key_value.bias).view(96, 3, 2, 64)
    places = [(y, x) for y in range(8) for x in range(12)]
    window = [((y + layer.shift) // WINDOW, (x + layer.shift) // WINDOW) for y, x in places]
    for pixel in (0, 7, 40, 66, 95):
        others = [o for o in range(96) if window[o] == window[pixel]]
        heads = []
        for head in range(2):
            scores = []
            for other in others:
                dy, dx = (a - b for a, b in zip(places[pixel], places[other], strict=True))
                bias = layer.bias[head, (dy + 3) * 7 + dx + 3]
                scores.append(qkv[pixel, 0, head] @ qkv[other, 1, head] / 8 + bias)
            weights = torch.stack(scores).softmax(0)
            heads.append(weights @ qkv[others, 2, head])
        expected = layer.project(torch.cat(heads))
        torch.testing.assert_close(ours[places[pixel]], expected, rtol=1e-4, atol=1e-5)
    assert layer.shift == 2 * number
