import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from napari_unet.core.head import STAY, fit_head, settle_outlines
from napari_unet.core.sampling import Batch


class TwoFeatures(nn.Module):
    """The image itself is what the last layer sees."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.body = nn.Conv2d(2, 2, 1)
        self.head = nn.Conv2d(2, classes, 1)
        with torch.no_grad():
            self.body.weight.copy_(torch.eye(2)[:, :, None, None])
            self.body.bias.zero_()

    def forward(self, image):
        return self.head(self.body(image))


def batches(target: np.ndarray, weight: np.ndarray, number: int = 1) -> list[Batch]:
    rng = np.random.default_rng(0)
    image = rng.normal(size=(number, 2, *target.shape)) + np.stack([target, -target])
    tensors = [torch.from_numpy(np.stack([x] * number)) for x in (target, weight)]
    return [Batch(torch.from_numpy(image).float(), tensors[0].long(), tensors[1].float())]


@pytest.fixture
def network():
    torch.manual_seed(0)
    return TwoFeatures()


def test_it_is_the_weighted_regression_near_the_weights_before(network):
    target = np.arange(64).reshape(8, 8) % 3
    weight = np.random.default_rng(1).uniform(0.5, 3, (8, 8))
    seen = batches(target, weight)
    x = seen[0].image[0].numpy().reshape(2, -1).T.astype(float)
    size = np.append(np.abs(x).mean(0), 1)
    x = np.c_[x, np.ones(64)]
    head = network.head
    start = np.c_[head.weight.detach().numpy()[:, :, 0, 0], head.bias.detach().numpy()]

    def cost(change):
        change = change.reshape(3, 3)
        logits = x @ (start + change / size).T
        right = logits[np.arange(64), target.ravel()]
        each = np.log(np.exp(logits).sum(1)) - right
        return (each * weight.ravel()).sum() / weight.sum() + STAY * (change**2).sum()

    best = minimize(cost, np.zeros(9)).fun
    fit_head(network, seen)
    fitted = np.c_[head.weight.detach().numpy()[:, :, 0, 0], head.bias.detach().numpy()]
    assert cost(np.zeros(9)) > best + 0.3
    assert cost(((fitted - start) * size).ravel()) == pytest.approx(best, abs=1e-3)


class Rehearsed:
    """What `Rehearsal` is to the last layer: patches, what was said of them, how much it counts."""

    strength, is_empty = 0.3, False

    def __init__(self, network):
        self.image = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(1))
        self.known = network(self.image).detach()

    def patches(self):
        return iter([(self.image, self.known)])


def layer(network):
    head = network.head
    return np.c_[head.weight.detach().numpy()[:, :, 0, 0], head.bias.detach().numpy()]


def test_what_is_rehearsed_counts_in_the_regression_as_it_was_answered_before(network):
    target = np.arange(64).reshape(8, 8) % 3
    seen, rehearsed, start = batches(target, np.ones((8, 8))), Rehearsed(network), layer(network)
    x, z = (
        np.c_[image.numpy().reshape(2, -1).T.astype(float), np.ones(64)]
        for image in (seen[0].image[0], rehearsed.image[0])
    )
    size = np.append(np.abs(x[:, :2]).mean(0), 1)
    answer = rehearsed.known[0].softmax(0).numpy().reshape(3, -1).T

    def cost(change):
        change = change.reshape(3, 3)
        checked, kept = (features @ (start + change / size).T for features in (x, z))
        checked -= np.log(np.exp(checked).sum(1, keepdims=True))
        kept -= np.log(np.exp(kept).sum(1, keepdims=True))
        right = checked[np.arange(64), target.ravel()].mean()
        return STAY * (change**2).sum() - right - 0.3 * (answer * kept).sum(1).mean()

    best = minimize(cost, np.zeros(9)).fun
    fit_head(network, seen, rehearsed)
    assert cost(np.zeros(9)) > best + 0.2
    assert cost(((layer(network) - start) * size).ravel()) == pytest.approx(best, abs=1e-3)


def test_only_the_last_layer_changes_and_only_for_classes_that_are_checked(network):
    body = {name: t.clone() for name, t in network.body.state_dict().items()}
    third = network.head.weight[2].clone(), network.head.bias[2].clone()
    first = network.head.weight[0].clone()
    target = np.arange(64).reshape(8, 8) % 2
    fit_head(network, batches(target, np.ones((8, 8))))
    assert all(torch.equal(t, body[name]) for name, t in network.body.state_dict().items())
    assert torch.equal(network.head.weight[2], third[0])
    assert torch.equal(network.head.bias[2], third[1])
    assert not torch.equal(network.head.weight[0], first)


@pytest.mark.parametrize("checked", ["one class", "nothing"])
def test_fewer_than_two_classes_say_nothing_of_what_parts_them(network, checked):
    before = network.head.weight.clone()
    weight = np.full((8, 8), float(checked == "one class"))
    fit_head(network, batches(np.ones((8, 8), int), weight))
    assert torch.equal(network.head.weight, before)


def test_unchecked_pixels_do_not_count(network):
    target = np.arange(64).reshape(8, 8) % 3
    weight = (np.arange(64).reshape(8, 8) < 32).astype(float)
    other = TwoFeatures()
    other.load_state_dict(network.state_dict())
    fit_head(network, batches(target, weight))
    fit_head(other, batches(np.where(weight > 0, target, 2), weight))
    torch.testing.assert_close(network.head.weight, other.head.weight)


class Enlarging(TwoFeatures):
    def forward(self, image):
        return nn.functional.interpolate(super().forward(image[..., ::2, ::2]), scale_factor=2)


class Wide(TwoFeatures):
    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(2, 3, 3, padding=1)


@pytest.mark.parametrize("network", [Enlarging(), Wide()])
def test_a_layer_that_is_not_the_last_word_of_a_pixel_stays(network):
    before = network.head.weight.clone()
    fit_head(network, batches(np.arange(64).reshape(8, 8) % 3, np.ones((8, 8))))
    assert torch.equal(network.head.weight, before)


def test_what_fits_already_stays(network):
    target = np.arange(64).reshape(8, 8) % 3
    seen = batches(target, np.ones((8, 8)))
    fit_head(network, seen)
    fitted = network.head.weight.clone()
    with torch.no_grad():
        network.head.bias += torch.tensor([0.3, 0.0, -0.2])  # a little worse
    fit_head(network, seen)
    assert torch.equal(network.head.weight, fitted)


def test_outlines_settle_where_as_many_pixels_are_cell_as_are_taught(network):
    target = (np.arange(400).reshape(20, 20) % 4 == 0).astype(int)
    weight = np.where(target == 1, 1.0, 8.0)  # so that cells are drawn tight
    seen, body = batches(target, weight), network.body.weight.clone()
    fit_head(network, seen)

    def cells():
        """Expected number."""
        return network(seen[0].image)[0].softmax(0)[1].sum().item()

    before, weights = cells(), network.head.weight.clone()
    settle_outlines(network, seen)
    assert before < 0.9 * target.sum()
    assert cells() == pytest.approx(target.sum(), rel=0.03)
    assert torch.equal(network.head.weight, weights) and torch.equal(network.body.weight, body)


def test_what_is_rehearsed_holds_the_outlines_too(network):
    target = np.arange(64).reshape(8, 8) % 2
    seen, bias = batches(target, np.ones((8, 8))), network.head.bias.clone()
    moved = []
    for rehearsed in (None, Rehearsed(network)):
        with torch.no_grad():
            network.head.bias.copy_(bias)
        settle_outlines(network, seen, rehearsed)
        moved.append(float((network.head.bias - bias).abs().sum().detach()))
    assert moved[1] < 0.9 * moved[0]


def test_outlines_stay_where_nothing_is_known_of_them(network):
    before = network.head.bias.clone()
    settle_outlines(network, batches(np.ones((8, 8), int), np.ones((8, 8))))
    assert torch.equal(network.head.bias, before)
