"""Teaching from images whose objects have another size than the model knows."""

from dataclasses import replace

import pytest
import torch

from napari_unet.core import kept_aside, sampling, score
from napari_unet.core.config import ModelConfig
from napari_unet.core.example import Example
from napari_unet.core.fine_tuning import iter_finetune
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.segmentation import segment
from napari_unet.core.train import iter_train
from small_scenes import discs, ended, photograph

CPU = {"device": "cpu", "precision": "float32"}
SETTINGS = TrainSettings(patch=48, batch=2, learning_rate=1e-2, average=0.9)
KNOWN = 12.0
CENTERS = [(14, 14), (14, 46), (32, 30), (48, 14), (48, 48)]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def scene(zoom, seed=0, dark=False):
    """Discs of 12 px in 64x64, all that many times as large."""
    side = round(64 * zoom)
    centers = [(round(y * zoom), round(x * zoom)) for y, x in CENTERS]
    labels = discs((side, side), centers, 6 * zoom)
    image = photograph(labels, seed)
    return Example(1 - image if dark else image, labels, diameter=KNOWN * zoom)


def ap(model, shown):
    found = segment(shown.image, model, axes="YX", diameter=shown.diameter, **CPU).labels
    return score(shown.labels, found).average_precision[0.5]


@pytest.fixture(scope="module")
def bright():
    """A model that knows bright discs of 12 px."""
    torch.set_num_threads(1)
    config = ModelConfig(width=8, depth=2, diameter=KNOWN)
    rounds = iter_train([scene(1.0)], config, settings=SETTINGS, steps=80, **CPU)
    return ended(rounds)[1]


@pytest.mark.parametrize("zoom", [0.67, 3.0])
def test_another_kind_of_image_is_learnt_at_another_size(bright, zoom):
    """Dark discs of 8 or 36 px; with these settings it was no luck for 12 seeds of each."""
    settings = replace(SETTINGS, learning_rate=3e-3)
    shown, unseen = scene(zoom, dark=True), scene(zoom, seed=1, dark=True)
    assert ap(bright, unseen) == 0
    rounds = iter_finetune(bright, [shown], settings=settings, steps=120, **CPU)
    _, (model, summary) = ended(rounds)
    assert summary.improved
    assert ap(model, unseen) == 1
    assert ap(model, scene(2.0, seed=2, dark=True)) == 1  # at every size, not at this one
    assert model.config.taught_diameter == pytest.approx(KNOWN * zoom)
    assert segment(unseen.image, model, axes="YX", **CPU).diameter == pytest.approx(
        KNOWN * zoom, rel=0.2
    )


@pytest.mark.parametrize(
    ("zoom", "diameter", "side"),
    [
        (1.0, 8.0, 96),
        (1.0, 16.0, 48),
        (3.0, None, 64),  # its cells are 36 px wide
    ],
)
def test_teaching_and_judging_see_the_image_at_the_model_s_size(
    bright, monkeypatch, zoom, diameter, side
):
    taught, judged = [], []
    prepare, predict = sampling._prepare, kept_aside.predict_plane

    def spy_prepare(example, percentiles, known):
        source = prepare(example, percentiles, known)
        taught.append(source.image.shape[1] * source.zoom)
        return source

    def spy_predict(*args, **options):
        probability = predict(*args, **options)
        judged.append(probability.shape[1])
        return probability

    monkeypatch.setattr(sampling, "_prepare", spy_prepare)
    monkeypatch.setattr(kept_aside, "predict_plane", spy_predict)
    shown = replace(scene(zoom), diameter=diameter, sized=diameter is not None)
    ended(iter_finetune(bright, [shown], settings=SETTINGS, steps=1, **CPU))
    assert taught == [pytest.approx(side, abs=0.5)]
    assert judged
    assert set(judged) == {side}


def test_a_model_is_trained_at_the_size_it_is_to_know(bright):
    """Images of 24 px objects, for a model that is to know those of 12."""
    rounds = iter_train([scene(2.0)], bright.config, settings=SETTINGS, steps=80, **CPU)
    _, model = ended(rounds)
    assert ap(model, scene(1.0, seed=3)) == 1
    assert ap(model, scene(4.0, seed=3)) == 1
