"""Two expanding paths: where they agree the second answers, elsewhere the first."""

import numpy as np
import pytest
import torch

from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.fine_tuning import finetune
from napari_unet.core.live import LiveTeaching
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.models.build import build_network
from napari_unet.core.models.outline_unet import AROUND, OutlineUNet
from small_scenes import ended, example

SHAPE = {"width": 4, "depth": 3}


def drawn(seed: int = 0) -> OutlineUNet:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = build_network(ModelConfig("unet-outlines", **SHAPE), generator).eval()
    for path in (network.up, network.merge, network.second):
        for name, tensor in path.state_dict().items():
            if name.endswith("running_mean"):
                tensor.uniform_(-0.3, 0.3, generator=generator)
    return network


def alike() -> OutlineUNet:
    """A network whose paths agree, here more and there less."""
    network = drawn()
    network.go_on_from(network.path(0))
    head = network.side_heads[0]
    with torch.no_grad():
        head.weight.add_(0.02 * torch.randn(head.weight.shape))
    return network


def image(side: int = 64) -> torch.Tensor:
    noise = torch.randn(1, 1, side, side, generator=torch.Generator().manual_seed(1))
    return noise * torch.linspace(0.2, 1.5, side)


def by_hand(first: torch.Tensor, second: torch.Tensor, cell: int) -> torch.Tensor:
    """The share of the second path, in numpy."""
    probabilities = [x.softmax(dim=1).numpy()[0] for x in (first, second)]
    differ = np.abs(probabilities[0] - probabilities[1]).max(axis=0)
    rows, columns = (side // cell for side in differ.shape)
    squares = differ.reshape(rows, cell, columns, cell).mean(axis=(1, 3))
    half = AROUND // 2
    near = np.zeros_like(squares)
    for row in range(rows):
        for column in range(columns):
            beside = np.s_[
                max(0, row - half) : row + half + 1, max(0, column - half) : column + half + 1
            ]
            near[row, column] = squares[beside].mean()
    return torch.from_numpy(1 / (1 + (near / 0.025) ** 4))


def test_the_share_of_the_second_path_is_that_of_the_formula():
    network = alike()
    with torch.inference_mode():
        first, second = (network.path(number)(image()) for number in (0, 1))
        answer = network(image())
    share = by_hand(first, second, network.cell)
    # In the middle of a square of 8 pixels its four inner ones lie around the centre, whose value
    # they have within what the next square differs.
    ours = ((answer - first) / (second - first))[0, 0]
    inner = ours.reshape(8, 8, 8, 8)[:, 3:5, :, 3:5].mean(dim=(1, 3))
    assert share.std() > 0.06  # not the same everywhere
    torch.testing.assert_close(inner[1:-1, 1:-1], share[1:-1, 1:-1].float(), atol=0.03, rtol=0)


@pytest.mark.parametrize(("moved", "who"), [(0.0, 1), (20.0, 0)])
def test_the_second_answers_where_both_agree_and_the_first_where_not(moved, who):
    network = drawn()
    network.go_on_from(network.path(0))
    with torch.no_grad():  # nearly the same, then another answer everywhere
        network.side_heads[0].weight.mul_(1.02)
    network.move_second(moved)
    with torch.inference_mode():
        paths = [network.path(number)(image()) for number in (0, 1)]
        answer = network(image())
    torch.testing.assert_close(answer, paths[who], atol=1e-3, rtol=1e-3)
    assert not torch.allclose(answer, paths[1 - who], atol=1e-3, rtol=1e-3)


def test_alone_it_is_the_unet_with_the_weights_of_the_first_path():
    network = alike()
    plain = build_network(ModelConfig("unet", **SHAPE)).eval()
    weights = network.state_dict()
    plain.load_state_dict({name: weights[name] for name in plain.state_dict()})
    with torch.inference_mode():
        both = network(image())
        network.answer_alone()
        assert torch.equal(network(image()), plain(image()))
        assert not torch.allclose(both, plain(image()), atol=1e-3)
    assert isinstance(network.train()(image()), torch.Tensor)  # nothing else is taught
    other = drawn(1)
    other.load_state_dict(network.state_dict())
    assert not other.has_both
    network.answer_by_both()
    other.load_state_dict(network.state_dict())
    assert other.has_both


def test_it_takes_a_unet_over_which_then_stays_as_it_is():
    start = build_network(ModelConfig("unet", **SHAPE), torch.Generator().manual_seed(3)).eval()
    network = build_network(ModelConfig("unet-outlines", **SHAPE))
    network.go_on_from(start)
    before = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    with torch.inference_mode():
        torch.testing.assert_close(network.eval()(image()), start(image()))
    first, second = network.train()(image())
    (first.square().sum() + second.square().sum()).backward()
    learning = {name for name, one in network.named_parameters() if one.grad is not None}
    assert learning == {
        n for n, _ in network.named_parameters() if n.startswith(("second", "side"))
    }
    now = network.state_dict()
    assert all(torch.equal(now[name], tensor) for name, tensor in before.items())  # statistics too
    assert not torch.equal(now["second.merge.0.1.running_mean"], before["merge.0.1.running_mean"])


def test_moving_the_second_moves_its_probability():
    network = drawn()
    with torch.inference_mode():
        before = network.path(1)(image()).softmax(dim=1)[:, 1]
        network.move_second(float(torch.logit(torch.tensor(0.6))))
        after = network.path(1)(image()).softmax(dim=1)[:, 1]
    expected = torch.sigmoid(torch.logit(before) + torch.logit(torch.tensor(0.6)))
    torch.testing.assert_close(after, expected)


def test_what_is_taught_answers_by_the_first_path_alone(tmp_path):
    config = ModelConfig("unet-outlines", **SHAPE)
    model = Model(config, ModelCard("drawn"), drawn())
    scene = [example([(14, 14), (14, 46), (32, 30), (48, 14), (48, 48)])]
    learner = LiveTeaching(model, device="cpu", precision="float32")
    ended(learner.learn(scene, seconds=5))
    for taught in (finetune(model, scene, steps=2, device="cpu"), learner.model):
        assert not taught.network.has_both
        taught.save(tmp_path / "taught.safetensors")
        assert not load_model(tmp_path / "taught.safetensors").network.has_both
        second = taught.network.second.state_dict()
        assert all(torch.equal(second[n], t) for n, t in model.network.second.state_dict().items())
    assert model.network.has_both
