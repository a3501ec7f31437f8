"""A U-Net with more channels that answers the same."""

from dataclasses import replace

import pytest
import torch

from core.test_narrow import KINDS, answer, images
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.model_file import Model
from napari_unet.core.widen import widened


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [5, 6, 12])
def test_a_wider_one_answers_the_same(kind, width):
    model = Model.fresh(KINDS[kind], seed=3)
    fresh = Model.fresh(replace(model.config, width=width), seed=4)
    wide = widened(model, fresh)
    image = images(model)[0]
    assert wide.config.width == width
    torch.testing.assert_close(answer(wide, image), answer(model, image), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_new_channels_are_those_of_a_fresh_network_and_learn_at_once(kind):
    model = Model.fresh(KINDS[kind], seed=3)
    fresh = Model.fresh(replace(model.config, width=8), seed=4)
    wide = widened(model, fresh)
    new, old = wide.network.state_dict(), fresh.network.state_dict()
    first = next(name for name in new if name.endswith("weight"))
    assert torch.equal(new[first][4:], old[first][4:])
    assert torch.equal(new[first][:4], model.network.state_dict()[first])
    head = wide.network.head.weight
    assert not head[:, 4:].any()
    wide.network.train()(images(model)[0]).square().mean().backward()
    assert head.grad[:, 4:].abs().amax(dim=(0, 2, 3)).min() > 0


def test_neither_of_the_two_is_changed():
    model, fresh = Model.fresh(KINDS["same-padded"]), Model.fresh(ModelConfig(width=6, depth=2))
    before = {
        name: [t.clone() for t in one.network.state_dict().values()]
        for name, one in (("model", model), ("fresh", fresh))
    }
    wide = widened(model, fresh)
    with torch.no_grad():
        for weight in wide.network.parameters():
            weight.add_(1)
    for name, one in (("model", model), ("fresh", fresh)):
        assert all(map(torch.equal, before[name], one.network.state_dict().values()))


def test_what_cannot_be_widened_is_said():
    model = Model.fresh(KINDS["same-padded"])
    with pytest.raises(InputError, match="of width 4 cannot be widened to 4; give a width"):
        widened(model, model)
    plus = Model.fresh(ModelConfig("unet++", width=4, depth=2))
    with pytest.raises(InputError, match="only a unet"):
        widened(plus, Model.fresh(ModelConfig("unet++", width=6, depth=2)))
