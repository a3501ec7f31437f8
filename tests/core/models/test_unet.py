import numpy as np
import pytest
import torch
from torch import nn

from napari_unet.core.models.unet import UNet


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def parameters(network: nn.Module) -> int:
    return sum(tensor.numel() for tensor in network.parameters())


def paper_s_parameters(in_channels: int, classes: int, width: int, depth: int) -> int:
    """Count weights and biases level by level, from figure 1 of the paper."""
    wide = [width * 2**level for level in range(depth + 1)]
    total, before = 0, in_channels
    for channels in wide:  # two 3x3 convolutions a level on the way down
        total += 9 * before * channels + channels + 9 * channels**2 + channels
        before = channels
    for channels in reversed(wide[:-1]):  # up-convolution 2x2, then two 3x3 on the joined maps
        total += 4 * before * channels + channels
        total += 9 * (2 * channels) * channels + channels + 9 * channels**2 + channels
        before = channels
    return total + before * classes + classes


def test_the_paper_s_network_has_31_million_parameters():
    with torch.device("meta"):
        network = UNet(1, 2, width=64, depth=4, valid=True)
    assert parameters(network) == paper_s_parameters(1, 2, 64, 4) == 31_030_658


@pytest.mark.parametrize(("channels", "classes", "width", "depth"), [(3, 4, 6, 3), (2, 2, 5, 1)])
def test_width_and_depth_are_free(channels, classes, width, depth):
    network = UNet(channels, classes, width, depth, valid=True)
    assert parameters(network) == paper_s_parameters(channels, classes, width, depth)


def test_572_in_is_388_out():
    with torch.device("meta"):
        network = UNet(1, 2, width=64, depth=4, valid=True)
        assert network(torch.zeros(1, 1, 572, 572)).shape == (1, 2, 388, 388)


def legal_sides(depth: int, below: int) -> dict[int, int]:
    """Follow a side through the network; legal if every pooling meets an even side."""
    sides = {}
    for side in range(1, below):
        now, skips = side, []
        for _ in range(depth):
            now -= 4
            skips.append(now)
            if now <= 0 or now % 2:
                break
            now //= 2
        else:
            now -= 4
            for _ in range(depth):
                now = 2 * now - 4
            if now > 0:
                sides[side] = now
    return sides


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_legal_sides_of_the_valid_network_are_those_it_documents(depth):
    grid = 2**depth
    expected = legal_sides(depth, 300)
    least = 3 if depth == 1 else 4
    documented = [grid * (n + 4) + 4 * (grid - 1) for n in range(least, 300)]
    assert list(expected) == [side for side in documented if side < 300]
    with torch.device("meta"):
        network = UNet(1, 2, width=1, depth=depth, valid=True)
        for side, out in expected.items():
            assert network(torch.zeros(1, 1, side, side)).shape[2:] == (out, out)


@pytest.mark.parametrize("size", [(16, 16), (16, 48), (160, 32)])
def test_padded_network_keeps_the_size(size):
    with torch.device("meta"):
        network = UNet(3, 2, width=2, depth=4, valid=False)
        assert network(torch.zeros(2, 3, *size)).shape == (2, 2, *size)


def test_padded_network_has_batch_norm_after_every_3x3_convolution():
    modules = list(UNet(1, 2, width=2, depth=2, valid=False).modules())
    convolutions = [m for m in modules if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    norms = [m for m in modules if isinstance(m, nn.BatchNorm2d)]
    assert [m.out_channels for m in convolutions] == [m.num_features for m in norms]
    assert not any(
        isinstance(m, nn.BatchNorm2d) for m in UNet(1, 2, width=2, depth=2, valid=True).modules()
    )


@pytest.mark.parametrize("valid", [True, False])
def test_dropout_acts_at_the_end_of_the_contracting_path_alone(valid):
    depth = 3
    network = UNet(1, 2, width=4, depth=depth, dropout=0.5, valid=valid).train()
    calls = []
    network.dropout.register_forward_hook(lambda _, inputs, __: calls.append(inputs[0].shape[1]))
    network(torch.randn(1, 1, 92 if valid else 32, 92 if valid else 32))
    assert calls == [4 * 2 ** (depth - 1), 4 * 2**depth]  # channels of the two deepest levels


@pytest.mark.parametrize("valid", [True, False])
def test_dropout_is_active_in_training_only(valid):
    torch.manual_seed(0)  # of 200 networks drawn 4 were dead at their end, and dropout unseen
    network = UNet(1, 2, width=4, depth=2, dropout=0.5, valid=valid)
    image = torch.randn(1, 1, 44 if valid else 16, 44 if valid else 16)
    with torch.no_grad():
        assert not torch.equal(network.train()(image), network.train()(image))
        network.eval()
        assert torch.equal(network(image), network(image))


def test_skip_connections_are_cut_from_the_middle():
    """Only the network's own crop lines a pixel's two ways up with each other."""
    network = UNet(1, 1, width=1, depth=1, dropout=0.0, valid=True).eval()
    # Identity on the skip alone: every 3x3 kernel passes its middle, the way up is switched off.
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.weight.zero_()
                module.bias.zero_()
                if isinstance(module, nn.Conv2d):
                    middle = module.kernel_size[0] // 2
                    module.weight[:, 0, middle, middle] = 1
        image = torch.rand(1, 1, 20, 20)
        out = network(image)
    edge = (20 - out.shape[-1]) // 2
    assert torch.equal(out, image[:, :, edge:-edge, edge:-edge])


def entering(image, compress):
    """What the first convolution is shown."""
    network = UNet(1, 2, width=2, depth=1, dropout=0.0, valid=False, compress=compress).eval()
    shown = []
    network.down[0].register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    with torch.no_grad():
        network(image)
    return shown[0]


def ramp():
    return torch.linspace(-5, 5, 256).reshape(1, 1, 16, 16)


@pytest.mark.parametrize("knee", [0.01, 0.1, 1.0, 100.0])
def test_intensities_are_compressed_by_the_formula(knee):
    expected = np.arcsinh(ramp().numpy() / knee) / np.arcsinh(1 / knee)
    np.testing.assert_allclose(entering(ramp(), knee).numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("knee", [0.01, 0.1, 1.0, 100.0])
def test_compressing_keeps_black_and_white_and_the_sign(knee):
    marks = torch.tensor([0.0, 1.0, -1.0, 0.5]).repeat(64).reshape(1, 1, 16, 16)
    out = entering(marks, knee).flatten()
    torch.testing.assert_close(out[:3], torch.tensor([0.0, 1.0, -1.0]))
    assert out[3] >= 0.5 - 1e-5  # dim ones come up
    whole = entering(ramp(), knee)
    torch.testing.assert_close(whole.flatten().flip(0), -whole.flatten())
    assert (whole.flatten().diff() > 0).all()


def test_without_compressing_the_image_enters_as_it_is():
    image = ramp()
    assert entering(image, 0.0) is image
    assert UNet(1, 2, width=2, depth=1).compress == 0


def test_a_high_knee_changes_nothing_and_a_low_one_is_a_logarithm():
    torch.testing.assert_close(entering(ramp(), 100.0), ramp(), rtol=2e-3, atol=1e-4)
    tens = torch.tensor([0.05, 0.5, 5.0]).repeat(86)[:256].reshape(1, 1, 16, 16)
    steps = entering(tens, 0.001).flatten()[:3].diff()
    assert steps[0].item() == pytest.approx(steps[1].item(), rel=1e-3)
