"""A model of volumes is taught from what is checked."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.events import KeptAsideScore
from napari_unet.core.fine_tuning import iter_finetune
from napari_unet.core.model_file import Model
from napari_unet.core.predict_volume import predict_volume
from napari_unet.core.train import iter_train
from napari_unet.core.train_settings import TEACH_VOLUME_SETTINGS
from small_scenes import ended
from small_volumes import balls, volume_example

CPU = {"device": "cpu", "precision": "float32"}
CONFIG = ModelConfig("unet-3d", width=4, depth=1, min_size=5)
SETTINGS = replace(TEACH_VOLUME_SETTINGS, patch=16, learning_rate=2e-2, average=0.9)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def taught(examples, model=None, steps=40, **more):
    model = model or Model.fresh(CONFIG)
    rounds = iter_finetune(model, examples, steps=steps, settings=SETTINGS, **more, **CPU)
    events, (learnt, summary) = ended(rounds)
    return events, learnt, summary


def begun(steps):
    """A model that has learnt a little, so that its batch norm knows what it sees."""
    settings = replace(SETTINGS, average=0.5)
    rounds = iter_train([volume_example()], CONFIG, settings=settings, steps=steps, **CPU)
    return ended(rounds)[1]


def test_it_learns_from_one_and_is_scored_on_another_before_and_after():
    other = volume_example(balls([(6, 6, 13), (10, 12, 6)]), seed=1)
    events, _, summary = taught([volume_example(), other], begun(10))
    scores = [event for event in events if isinstance(event, KeptAsideScore)]
    assert [one.cells for one in scores] == [2, 2]
    assert (summary.before, summary.after) == (scores[0].score, scores[1].score)
    assert summary.after > summary.before + 0.2 and summary.improved
    assert (summary.cells_taught, summary.cells_kept_aside) == (3, 2)


def test_nothing_outside_of_what_is_checked_is_learnt():
    """The labels lie where nothing is checked, so the result must not depend on them."""
    one = volume_example()
    checked = np.zeros(one.labels.shape, bool)
    checked[:, :9] = True
    lied = np.where(checked, one.labels, 1)
    found = [
        taught([replace(one, labels=labels, checked=checked)], steps=5, keep=0.0)[1].network
        for labels in (one.labels, lied)
    ]
    a, b = (network.state_dict() for network in found)
    # Weights between cells look across the rim of what is checked: labels of one cell there.
    assert max(float((a[name] - b[name]).abs().max()) for name in a) < 0.2


def test_what_it_knows_holds_it_near_where_nothing_is_checked():
    known = begun(40)
    one = volume_example()
    checked = np.zeros(one.labels.shape, bool)
    checked[:, :6] = True
    empty = replace(one, labels=np.zeros_like(one.labels), checked=checked)
    moved = []
    before = predict_volume(one.image_cyx, known, **CPU)[1]
    for keep in (0.0, 1.0):
        _, model, _ = taught([empty], known, steps=15, keep=keep)
        after = predict_volume(one.image_cyx, model, **CPU)[1]
        moved.append(float(np.abs(after - before)[:, 8:].mean()))
    assert moved[1] < moved[0]


def test_the_model_before_is_not_changed_and_statistics_stay():
    model = Model.fresh(CONFIG)
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    _, learnt, _ = taught([volume_example()], model, steps=2)
    assert all(torch.equal(t, before[name]) for name, t in model.network.state_dict().items())
    for name, tensor in learnt.network.state_dict().items():
        if "running" in name:
            assert torch.equal(tensor, before[name])


def test_nothing_checked_is_refused():
    one = volume_example()
    nothing = replace(one, checked=np.zeros(one.labels.shape, bool))
    with pytest.raises(InputError, match="Nothing is checked yet"):
        taught([nothing])
