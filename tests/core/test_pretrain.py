"""A network learns from images without labels, by restoring what was hidden."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from napari_unet.core.architectures import ARCHITECTURES
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.lesson import patch_sampler
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.pretrain import (
    HIDDEN,
    PRETRAIN_SETTINGS,
    SEEN,
    SQUARE,
    MaskedSampler,
    iter_pretrain,
    restoring_loss,
)
from napari_unet.core.sampling import Batch
from napari_unet.core.train import iter_train
from small_scenes import SMALL, ended, example, loss_left
from small_volumes import volume_example

CENTERS = [(14, 14), (14, 46), (32, 30), (48, 14), (48, 48)]
SETTINGS = replace(PRETRAIN_SETTINGS, patch=32, batch=2, learning_rate=1e-2, average=0.5)
CPU = {"device": "cpu", "precision": "float32"}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def batches(seed=0, compress=0.0, count=4):
    sampler = patch_sampler([example(CENTERS)], SMALL, SETTINGS, 0)
    return list(islice(MaskedSampler(sampler, compress, seed).batches(), count))


def test_squares_are_hidden_and_the_rest_is_noisy():
    plain = list(islice(patch_sampler([example(CENTERS)], SMALL, SETTINGS, 0), 4))
    for batch, before in zip(batches(), plain, strict=True):
        assert torch.equal(batch.target, before.image)
        assert set(batch.weight.unique().tolist()) == {np.float32(SEEN), 1.0}
        cells = batch.weight.unfold(1, SQUARE, SQUARE).unfold(2, SQUARE, SQUARE).flatten(3)
        assert (cells == cells[..., :1]).all()
        seen = batch.weight < 1
        off = (batch.image - batch.target)[:, 0]
        assert off[seen].std() == pytest.approx(0.1, rel=0.2)
    hidden = torch.stack([batch.weight == 1 for batch in batches(count=8)]).float().mean()
    assert float(hidden) == pytest.approx(HIDDEN, abs=0.1)


def test_the_same_seed_hides_the_same_and_another_another():
    assert torch.equal(batches()[2].image, batches()[2].image)
    assert not torch.equal(batches()[2].weight, batches(seed=1)[2].weight)


def test_what_is_to_be_said_is_what_the_network_sees():
    plain, compressed = batches()[0].target, batches(compress=0.1)[0].target
    torch.testing.assert_close(compressed, torch.asinh(plain / 0.1) / np.arcsinh(10))


def test_the_loss_by_hand_and_of_the_middle():
    target = torch.zeros(1, 1, 4, 4)
    weight = torch.full((1, 4, 4), 0.5)
    weight[0, 1, 1] = 1.0
    output = torch.zeros(1, 1, 2, 2)
    output[0, 0, 0, 0] = 2.0  # at (1, 1) of the target
    batch = Batch(target, target, weight)
    assert float(restoring_loss(output, batch)) == pytest.approx(4.0 / (1.0 + 3 * 0.5))


@pytest.mark.usefixtures("each_step_reported")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_network_learns_to_restore_and_keeps_its_output_layer(architecture, tmp_path):
    config = ModelConfig(architecture, width=4, depth=1)
    given = volume_example() if config.is_volumetric else example(CENTERS)
    # At a larger rate fcn-8s gets worse first.
    settings = replace(SETTINGS, patch=16, learning_rate=2e-3)
    events, model = ended(iter_pretrain([given], config, settings=settings, steps=25, **CPU))
    assert loss_left(events) < 1
    fresh = Model.fresh(config).network
    assert torch.equal(model.network.head.weight, fresh.head.weight)
    assert len(model.network.side_heads) == len(fresh.side_heads)
    first_layers = (next(one.down.parameters()) for one in (model.network, fresh))
    assert not torch.equal(*first_layers)
    assert "restored 1 unlabelled images (25 steps" in model.card.history[-1]
    model.save(tmp_path / "m.safetensors")
    taught = iter_train(
        [given], config, start=load_model(tmp_path / "m.safetensors"), steps=1, **CPU,
        settings=replace(settings, side_weight=1.0),
    )  # fmt: skip
    assert np.isfinite(ended(taught)[0][-1].loss)


def test_labels_are_not_looked_at():
    one = example(CENTERS)
    other = replace(one, labels=np.zeros_like(one.labels))
    models = [
        ended(iter_pretrain([given], SMALL, settings=SETTINGS, steps=3, **CPU))[1]
        for given in (one, other)
    ]
    a, b = (model.network.state_dict() for model in models)
    assert all(torch.equal(tensor, b[name]) for name, tensor in a.items())


def test_a_model_to_start_from_keeps_what_it_says_with():
    start = Model.fresh(SMALL, seed=4)
    rounds = iter_pretrain(
        [example(CENTERS)], SMALL, start=start, settings=SETTINGS, steps=1, **CPU
    )
    assert torch.equal(ended(rounds)[1].network.head.weight, start.network.head.weight)


def test_nothing_to_learn_from_and_another_shape_are_refused():
    with pytest.raises(InputError, match="no images to learn from"):
        ended(iter_pretrain([], SMALL, steps=1))
    wide = Model.fresh(replace(SMALL, width=8))
    with pytest.raises(InputError, match="has width 8 and 4 is asked for"):
        ended(iter_pretrain([example(CENTERS)], SMALL, start=wide, steps=1))
