import pytest
import torch
from torch import nn

from napari_unet.core.models.blocks import conv_block, fold_batch_norm, initialize
from napari_unet.core.models.unet import UNet


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def with_statistics(network: nn.Module) -> nn.Module:
    """Give every batch norm statistics and weights that change what it does."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in (
                (module.running_mean, -0.5),
                (module.running_var, 0.5),
                (module.weight.data, 0.5),
                (module.bias.data, -0.5),
            ):
                tensor.copy_(low + torch.rand(tensor.shape, generator=generator))
    return network.eval()


def test_valid_block_loses_two_pixels_on_each_side():
    assert conv_block(3, 5, valid=True)(torch.zeros(1, 3, 9, 8)).shape == (1, 5, 5, 4)


def test_padded_block_keeps_the_size():
    assert conv_block(3, 5, valid=False)(torch.zeros(1, 3, 9, 8)).shape == (1, 5, 9, 8)


def test_batch_norm_is_in_the_padded_block_alone():
    kinds = {
        valid: [type(layer) for layer in conv_block(1, 2, valid=valid)] for valid in (True, False)
    }
    assert kinds[True] == 2 * [nn.Conv2d, nn.ReLU]
    assert kinds[False] == 2 * [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (nn.Conv2d(64, 128, 3), 64 * 9),
        (nn.Conv2d(200, 300, 1), 200),
        (nn.Conv2d(256, 256, 3, groups=256), 9),  # each channel for itself
        # Stride 2 and a 2x2 kernel: each output pixel sees one weight an input channel.
        (nn.ConvTranspose2d(128, 64, 2, stride=2), 128),
    ],
)
def test_weights_have_the_standard_deviation_of_he(layer, fan_in):
    initialize(layer, torch.Generator().manual_seed(0))
    expected = (2 / fan_in) ** 0.5
    # The standard error of a standard deviation of n draws is sigma / sqrt(2 n).
    error = expected / (2 * layer.weight.numel()) ** 0.5
    assert layer.weight.std().item() == pytest.approx(expected, abs=5 * error)
    assert layer.weight.mean().item() == pytest.approx(0, abs=8 * error)
    assert not layer.bias.any()


def test_variance_survives_a_deep_stack_of_he_layers():
    """The purpose of the initialisation: neither vanishing nor exploding activations."""
    layers = [nn.Conv2d(48, 48, 3) for _ in range(8)]
    stack = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))
    initialize(stack, torch.Generator().manual_seed(1))
    signal = torch.randn(1, 48, 40, 40, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        power = stack(signal).square().mean().item()
    assert 0.5 < power < 2  # E[y^2] stays 1


def test_same_seed_gives_the_same_weights():
    first, second, other = (conv_block(2, 3, valid=True) for _ in range(3))
    for block, seed in ((first, 7), (second, 7), (other, 8)):
        initialize(block, torch.Generator().manual_seed(seed))
    assert torch.equal(first[0].weight, second[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)


def test_folded_network_gives_the_same_output():
    network = with_statistics(UNet(2, 3, width=4, depth=2, dropout=0.0, valid=False))
    image = torch.randn(2, 2, 32, 24, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        before = network(image)
        after = fold_batch_norm(network)(image)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5 * before.abs().max().item())


def test_batch_norm_is_folded_as_the_formula_says():
    block = with_statistics(conv_block(1, 1, valid=False))
    conv, norm = block[0], block[1]
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    weight = conv.weight * scale.view(-1, 1, 1, 1)
    bias = norm.bias - norm.running_mean * scale
    fold_batch_norm(nn.ModuleList([block]))
    torch.testing.assert_close(block[0].weight, weight)
    torch.testing.assert_close(block[0].bias, bias)


def test_folding_leaves_a_valid_network_as_it_is():
    network = UNet(1, 2, width=2, depth=1, valid=True)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    after = fold_batch_norm(network).state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
