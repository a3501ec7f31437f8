"""Training from scratch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unet.core import run_keeper, score, segment
from napari_unet.core.augment import AugmentConfig
from napari_unet.core.config import ModelCard
from napari_unet.core.errors import InputError
from napari_unet.core.events import TrainProgress
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.train import iter_train
from napari_unet.core.train_settings import TEACH_SETTINGS, TRAIN_SETTINGS
from small_scenes import SMALL, ended, example, loss_left

CENTERS = [(14, 14), (14, 46), (32, 30), (48, 14), (48, 48)]
SETTINGS = TrainSettings(
    patch=48, batch=2, learning_rate=1e-2, average=0.9, augment=AugmentConfig(elastic_sigma=2)
)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def trained(steps=None, **more):
    values = {"settings": SETTINGS, "device": "cpu", "precision": "float32", "steps": steps}
    return ended(iter_train([example(CENTERS)], SMALL, **(values | more)))


def test_a_simple_scene_is_learnt():
    events, model = trained(80)
    assert all(isinstance(event, TrainProgress) for event in events)
    unseen = example([(20, 20), (20, 48), (46, 32)])
    found = segment(unseen.image, model, axes="YX", device="cpu", precision="float32").labels
    assert score(unseen.labels, found).average_precision[0.5] == 1


@pytest.mark.usefixtures("each_step_reported")
def test_the_loss_falls():
    assert loss_left(trained(60)[0]) < 0.5


def test_the_same_seed_gives_the_same_model():
    weights = [trained(4, seed=seed)[1].network.head.weight for seed in (3, 3, 4)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_model_is_ready_to_use_and_says_where_it_comes_from():
    card = ModelCard("mine", history=("before",))
    _, model = trained(3, card=card)
    assert not model.network.training
    assert model.card.name == "mine"
    assert model.card.history[0] == "before"
    assert "trained on 1 images (3 steps" in model.card.history[1]


def test_cancelling_returns_the_model_so_far():
    polled = []
    _, model = trained(10_000, cancelled=lambda: len(polled) == 3 or polled.append(1))
    assert "(3 steps" in model.card.history[-1]


def test_the_model_so_far_is_saved_from_time_to_time(monkeypatch, tmp_path):
    monkeypatch.setattr(run_keeper, "CHECKPOINT_EVERY_S", 0.0)
    path = tmp_path / "so_far.safetensors"
    trained(5, checkpoint=path)
    assert load_model(path).config == SMALL


def test_without_a_budget_it_says_what_is_missing():
    with pytest.raises(InputError, match="give seconds or steps"):
        trained()


def test_the_valid_network_of_the_paper_is_trained_too():
    from dataclasses import replace

    valid = replace(SMALL, architecture="unet-valid", dropout=0.5)
    rounds = iter_train(
        [example(CENTERS)], valid, settings=SETTINGS, steps=3, device="cpu", precision="float32"
    )
    events, _ = ended(rounds)
    assert np.isfinite(events[-1].loss)


def test_side_outputs_learn_in_training_and_rest_in_teaching():
    nested = replace(SMALL, architecture="unet++")
    before = Model.fresh(nested, seed=0).network.side_heads[0].weight
    assert TRAIN_SETTINGS.side_weight == 1 and TEACH_SETTINGS.side_weight == 0
    for weight, is_still in ((1.0, False), (0.0, True)):
        settings = replace(SETTINGS, side_weight=weight)
        _, model = ended(
            iter_train([example(CENTERS)], nested, settings=settings, steps=2, device="cpu")
        )
        assert torch.equal(model.network.side_heads[0].weight, before) == is_still


def test_training_goes_on_from_another_model():
    start = Model.fresh(SMALL, seed=3)
    start = replace(start, card=ModelCard("first", history=("once",)))
    _, model = trained(2, start=start)
    assert model.card.parent == "first"
    assert model.card.history[0] == "once"
    assert len(model.card.history) == 2
    fresh = Model.fresh(SMALL, seed=0).network.head.weight
    now, before = model.network.head.weight, start.network.head.weight
    assert (now - before).abs().max() < (now - fresh).abs().max()
    assert not torch.equal(now, before)
    assert torch.equal(before, Model.fresh(SMALL, seed=3).network.head.weight)


def test_model_of_another_shape_is_no_start():
    start = Model.fresh(replace(SMALL, width=2 * SMALL.width), seed=3)
    with pytest.raises(InputError, match=f"width {2 * SMALL.width}"):
        trained(1, start=start)
    start = Model.fresh(replace(SMALL, depth=SMALL.depth + 1), seed=3)
    with pytest.raises(InputError, match=f"depth {SMALL.depth + 1}"):
        trained(1, start=start)


def test_a_narrower_model_is_widened_and_trained_on():
    start = Model.fresh(replace(SMALL, width=SMALL.width // 2), seed=3)
    _, model = trained(2, start=start)
    assert model.config.width == SMALL.width
    head, known = model.network.head.weight, start.network.head.weight
    assert (head[:, : known.shape[1]] - known).abs().max() < 0.01
    assert 0 < head[:, known.shape[1] :].abs().max() < 0.01


def test_a_second_path_learns_alone_beside_a_unet():
    start = Model.fresh(SMALL, seed=3)
    config = replace(SMALL, architecture="unet-outlines")
    settings = replace(SETTINGS, side_weight=1.0)
    rounds = iter_train(
        [example(CENTERS)],
        config,
        start=start,
        settings=settings,
        steps=2,
        device="cpu",
        precision="float32",
    )
    network = ended(rounds)[1].network
    weights = network.state_dict()
    known = start.network.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in known.items())
    assert not torch.equal(network.side_heads[0].weight, start.network.head.weight)
    assert network.has_both
    network.answer_alone()  # as taught ones do
    again = Model(config, ModelCard("taught"), network)
    rounds = iter_train([example(CENTERS)], config, start=again, settings=settings, steps=1)
    assert ended(rounds)[1].network.has_both
    assert SETTINGS.side_weight == 0  # nothing of its own to learn by, so it does not answer
    rounds = iter_train([example(CENTERS)], config, settings=SETTINGS, steps=1)
    assert not ended(rounds)[1].network.has_both
    with pytest.raises(InputError, match="side_weight 0"):
        ended(iter_train([example(CENTERS)], config, start=start, settings=SETTINGS, steps=1))
    with pytest.raises(InputError, match=f"width {SMALL.width}"):
        ended(iter_train([example(CENTERS)], replace(config, width=12), start=start, steps=1))
    with pytest.raises(InputError, match="architecture unet-outlines"):
        ended(iter_train([example(CENTERS)], SMALL, start=Model.fresh(config), steps=1))


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path):
    path = tmp_path / "mine.safetensors"
    whole = trained(9)[1]
    steps = iter(range(100))
    _, part = trained(9, checkpoint=path, cancelled=lambda: next(steps) >= 4)
    assert path.with_suffix(".resume").is_file()
    assert not torch.equal(part.network.head.weight, whole.network.head.weight)
    events, model = trained(9, checkpoint=path, resume=True)
    assert events[-1].step == 9
    for name, tensor in model.network.state_dict().items():
        torch.testing.assert_close(tensor, whole.network.state_dict()[name], msg=name)
    assert not path.with_suffix(".resume").exists()


@pytest.mark.parametrize("changed", [{"seed": 1}, {"steps": 8}])
def test_another_run_cannot_be_gone_on_with(tmp_path, changed):
    path = tmp_path / "mine.safetensors"
    steps = iter(range(100))
    trained(9, checkpoint=path, cancelled=lambda: next(steps) >= 2)
    with pytest.raises(InputError, match="begun with other images or settings"):
        trained(**({"steps": 9, "checkpoint": path, "resume": True} | changed))


def test_what_is_no_run_cannot_be_gone_on_with(tmp_path):
    path = tmp_path / "mine.safetensors"
    path.with_suffix(".resume").write_bytes(b"nothing")
    with pytest.raises(InputError, match="train without --resume"):
        trained(2, checkpoint=path, resume=True)


def test_there_may_be_nothing_to_go_on_with(tmp_path):
    events, _ = trained(2, checkpoint=tmp_path / "mine.safetensors", resume=True)
    assert events[-1].step == 2
