"""Smallest object and split are chosen by what the network finds, not by what is drawn."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core import calibrate as calibrate_module
from napari_unet.core.calibrate import LEAST_OF_LOOKS, MAX_PIXELS_OF_LOOKS, iter_calibrate
from napari_unet.core.config import ModelConfig
from napari_unet.core.example import Example
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.model_file import Model
from napari_unet.core.object_score import LOOKS
from small_scenes import discs, ended

CENTERS = [(20, 20), (20, 60), (20, 100), (60, 20), (60, 60), (60, 100)]


def model_of(**settings):
    return Model.fresh(ModelConfig(width=2, depth=1, **settings))


def scene(shape=(80, 120)):
    labels = discs(shape, CENTERS, radius=10)
    return Example(labels.astype(np.float32), labels)


@pytest.fixture
def finds(monkeypatch):
    """Let the network find what a function makes of the image."""

    def finds(make):
        def predict(image_cyx, model, **_):
            belief = make(image_cyx[0]).astype(np.float32)
            return np.stack([1 - belief, belief])

        monkeypatch.setattr(calibrate_module, "predict_plane", predict)

    return finds


def calibrated(model, examples, **more):
    return ended(iter_calibrate(model, examples, device="cpu", **more))


def test_crumbs_make_the_smallest_object_larger(finds):
    def with_crumbs(image):
        found = image > 0
        found[36:42, 5:115:12] = True
        found[36:42, 6:116:12] = True
        found[36:42, 7:117:12] = True  # 18 pixels each
        return found

    finds(with_crumbs)
    _, model = calibrated(model_of(min_size=10, split=0.3), [scene()])
    assert 18 < model.config.min_size <= 30


def test_small_objects_make_it_smaller(finds):
    finds(lambda image: image > 0)
    small = scene()
    labels = small.labels.copy()
    labels[38:42, 5:115:12] = np.arange(7, 17)[: len(range(5, 115, 12))]
    labels[38:42, 6:116:12] = labels[38:42, 5:115:12]
    labels[38:42, 7:117:12] = labels[38:42, 5:115:12]  # 12 pixels each
    small = Example((labels > 0).astype(np.float32), labels)
    _, model = calibrated(model_of(min_size=20, split=0.3), [small])
    assert model.config.min_size == 10


def test_dents_that_are_none_make_split_lower(finds):
    def dented(image):
        belief = ndimage.gaussian_filter((image > 0).astype(float), 1.0)
        for y, x in CENTERS:
            belief[y - 11 : y + 12, x - 3 : x + 4] *= 0.62
        return belief

    finds(dented)
    _, model = calibrated(model_of(min_size=10, split=0.7), [scene()])
    assert model.config.split < 0.7


def test_what_is_as_good_stays_as_it_is(finds):
    finds(lambda image: image > 0)
    before = model_of(min_size=17, split=0.4)
    _, model = calibrated(before, [scene()])
    assert model is before


def test_partly_checked_images_and_more_than_enough_are_left_out(finds):
    seen = []
    finds(lambda image: seen.append(1) or image > 0)
    part = replace(scene(), checked=np.zeros((80, 120), bool))
    reports, _ = calibrated(model_of(), [part, scene()])
    assert len(seen) == 1 and 0 < reports[0] < 1
    large = Example(np.zeros((1500, 1200), np.float32), np.zeros((1500, 1200), np.int32))
    seen.clear()
    reports, _ = calibrated(model_of(), [large] * 6)
    assert len(seen) == 5 and reports[-1] == 1 and 5 * large.labels.size >= MAX_PIXELS_OF_LOOKS


def test_it_is_cancelled_between_images(finds):
    finds(lambda image: image > 0)
    reports, model = calibrated(model_of(), [scene(), scene()], cancelled=lambda: True)
    assert reports == [] and model.config == model_of().config


def test_images_are_looked_at_in_the_size_that_the_model_knows(monkeypatch):
    asked = []

    def predict(image_cyx, model, diameter, **_):
        asked.append(diameter)
        belief = (image_cyx[0][::2, ::2] > 0).astype(np.float32)
        return np.stack([1 - belief, belief])

    monkeypatch.setattr(calibrate_module, "predict_plane", predict)
    sized = replace(scene(), diameter=20.0)
    before = model_of(diameter=10.0, min_size=10)
    assert calibrated(before, [sized])[1] is before  # all found, at half the size
    calibrated(model_of(min_size=10), [sized])
    assert asked == [20.0, None]


def hazy(image):
    """Rows of discs within a haze that joins them, and faint blots."""
    belief = 0.6 * ndimage.binary_dilation(image > 0, iterations=12)
    belief[image > 0] = 0.95
    belief[::40, ::40] = 0.55
    return ndimage.gaussian_filter(belief, 0.7)


def many(count):
    places = [(y, x) for y in range(20, 180, 28) for x in range(20, 180, 28)]
    labels = discs((200, 200), places, radius=10)
    return [
        Example(np.roll(labels, n, 0).astype(np.float32), np.roll(labels, n, 0))
        for n in range(count)
    ]


def test_the_looks_of_right_objects_are_learnt_where_that_is_better(finds):
    finds(hazy)
    _, model = calibrated(model_of(min_size=10, split=0.0, diameter=20.0), many(LEAST_OF_LOOKS))
    assert len(model.config.object_score) == len(LOOKS) + 1
    assert model.config.score.diameter == 20.0
    labels = many(1)[0].labels
    found = probability_to_labels(hazy(labels), min_size=10, score=model.config.score)
    assert found.max() == labels.max()


def test_looks_are_not_learnt_from_a_few_images(finds):
    finds(hazy)
    few = many(LEAST_OF_LOOKS - 1)
    _, model = calibrated(model_of(min_size=10, split=0.0, diameter=20.0), few)
    assert model.config.object_score == ()


def test_looks_are_not_learnt_without_a_size_or_where_nothing_is_gained(finds):
    finds(hazy)
    _, model = calibrated(model_of(min_size=10, split=0.0), many(LEAST_OF_LOOKS))
    assert model.config.object_score == ()
    finds(lambda image: image > 0)
    start = replace(model_of(min_size=10, split=0.0, diameter=20.0))
    start = replace(start, config=replace(start.config, object_score=(9.0,) * (len(LOOKS) + 1)))
    _, model = calibrated(start, many(LEAST_OF_LOOKS))
    assert model.config.object_score == ()  # all are right without


@pytest.mark.parametrize(
    ("value", "best"),
    [
        ([0.5, 0.3, 0.600, 0.597, 0.603], 2),  # as good as the best, and at the usual threshold
        ([0.5, 0.3, 0.599, 0.600, 0.603], 3),  # of those at it the better one
        ([0.5, 0.3, 0.590, 0.591, 0.603], 4),
        ([0.603, 0.3, 0.600, 0.597, 0.603], 0),
    ],
)
def test_of_equally_good_ways_the_one_at_the_usual_threshold_is_taken(value, best):
    places = [(0.5, 0.1), (0.4, 0.3), (0.5, 0.3), (0.5, 0.5), (0.6, 0.5)]
    ways = [ModelConfig(threshold=threshold, split=split) for threshold, split in places]
    assert calibrate_module._best_of(ways, np.array(value)) is ways[best]
