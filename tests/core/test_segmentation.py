"""From an image to labels at the size of its objects."""

import numpy as np
import pytest
import torch

from brightness import brightness_model
from napari_unet.core import measure, predict, rescale, segmentation
from napari_unet.core.errors import InputError
from napari_unet.core.segmentation import segment
from small_scenes import discs

CPU = {"device": "cpu", "precision": "float32"}
MODEL = brightness_model(diameter=20.0, min_size=20)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def scene(diameter, apart=1.6, count=3, shape=None):
    """Discs in rows and columns: image and truth."""
    side = round(apart * diameter * count + diameter)
    places = [round(diameter + apart * diameter * number) for number in range(count)]
    centers = [(y, x) for y in places for x in places]
    truth = discs(shape or (side, side + 9), centers, diameter / 2)
    return (truth > 0).astype(np.float32), truth


def ious(truth, found):
    """Of each true object with the one that covers most of it."""
    values = []
    for number in range(1, truth.max() + 1):
        one = truth == number
        other = found == np.bincount(found[one]).argmax()
        values.append((one & other).sum() / (one | other).sum())
    return np.array(values)


@pytest.fixture
def seen(monkeypatch):
    """The planes the network is run on when the image is segmented, not when it is measured."""
    shown = []
    original = segmentation.predict_with_deviation

    def spy(plane, model, **options):
        scaled, _ = rescale.to_model_size(plane, model.config, options.get("diameter"))
        shown.append(scaled.shape[1:])
        return original(plane, model, **options)

    monkeypatch.setattr(segmentation, "predict_with_deviation", spy)
    return shown


@pytest.fixture
def sizes(monkeypatch):
    """Measuring answers with these, one after the other; which planes were asked about."""
    asked, answers = [], []

    def answer(plane, model, **options):
        asked.append(float(plane.flat[0]))
        return answers[len(asked) - 1]

    monkeypatch.setattr(measure, "measure_diameter", answer)
    return asked, answers


@pytest.mark.parametrize("diameter", [9, 14, 20, 31, 48, 90])
def test_what_is_drawn_comes_back_whatever_its_size(diameter):
    image, truth = scene(diameter)
    result = segment(image, MODEL, **CPU)
    assert result.labels.shape == truth.shape
    assert result.labels.max() == truth.max()
    assert ious(truth, result.labels).min() > 0.85
    assert result.diameter == pytest.approx(diameter, rel=0.1)


def test_the_image_is_brought_to_the_measured_size(seen):
    image, _ = scene(40)
    result = segment(image, MODEL, **CPU)
    scale = 20 / result.diameter
    assert seen == [tuple(round(side * scale) for side in image.shape)]
    assert seen[0][0] == pytest.approx(image.shape[0] / 2, rel=0.05)


@pytest.mark.parametrize(("diameter", "factor"), [(10.0, 2), (80.0, 0.25)])
def test_a_diameter_that_is_given_is_used_and_not_measured(seen, sizes, diameter, factor):
    image, truth = scene(20)
    result = segment(image, MODEL, diameter=diameter, **CPU)
    assert sizes[0] == []
    assert seen == [tuple(round(side * factor) for side in image.shape)]
    assert result.diameter == diameter
    assert result.labels.shape == truth.shape


def test_the_model_s_own_diameter_leaves_the_image_as_it_is(monkeypatch):
    images = []
    original = predict.predict_tiles

    def spy(image, *args, **options):
        images.append(image)
        return original(image, *args, **options)

    monkeypatch.setattr(predict, "predict_tiles", spy)
    image, _ = scene(45)
    image = (200 * image).astype(np.uint8)
    result = segment(image, MODEL, diameter=MODEL.config.diameter, **CPU)
    assert len(images) == 1
    assert images[0].dtype == np.uint8
    np.testing.assert_array_equal(images[0][0], image)
    assert result.diameter == 20


def test_a_model_that_knows_no_size_takes_the_image_as_it_is(seen):
    image, truth = scene(33)
    result = segment(image, brightness_model(), **CPU)
    assert result.diameter is None
    assert seen == [image.shape]
    np.testing.assert_array_equal(result.labels > 0, truth > 0)


def test_an_image_in_which_nothing_is_found_is_taken_as_it_is(seen):
    result = segment(np.zeros((60, 70), np.uint8), MODEL, **CPU)
    assert result.diameter is None
    assert seen == [(60, 70)]
    assert not result.labels.any()


@pytest.mark.parametrize(
    ("planes", "asked", "answers", "median"),
    [
        (1, [0], [30.0], 30.0),
        (2, [0, 1], [30.0, 40.0], 35.0),
        (3, [0, 1, 2], [30.0, 12.0, 40.0], 30.0),
        (8, [0, 4, 7], [30.0, 12.0, 40.0], 30.0),
        (8, [0, 4, 7], [None, 12.0, 40.0], 26.0),
        (8, [0, 4, 7], [None, 12.0, None], 12.0),
        (8, [0, 4, 7], [None, None, None], None),
    ],
)
def test_a_stack_is_measured_at_its_ends_and_in_its_middle_and_has_one_size(
    seen, sizes, planes, asked, answers, median
):
    sizes[1].extend(answers)
    stack = np.zeros((planes, 30, 40), np.float32)
    stack[:, 0, 0] = np.arange(planes)
    result = segment(stack, MODEL, axes="ZYX", **CPU)
    assert sizes[0] == asked
    assert result.diameter == median
    factor = 1 if median is None else 20 / median
    assert seen == [(round(30 * factor), round(40 * factor))] * planes


def test_a_series_of_stacks_is_measured_three_times_too(sizes):
    sizes[1].extend([20.0] * 3)
    series = np.zeros((2, 3, 30, 40), np.float32)
    series[..., 0, 0] = np.arange(6).reshape(2, 3)
    assert segment(series, MODEL, axes="TZYX", **CPU).diameter == 20
    assert sizes[0] == [0, 3, 5]


@pytest.mark.parametrize(
    ("diameter", "min_size", "left"),
    [
        (20.0, None, [36, 100, 400]),  # 20 pixels, the model's own
        (40.0, None, [100, 400]),  # 80 pixels of the image
        (50.0, None, [400]),  # 125 pixels
        (40.0, 20, [36, 100, 400]),
        (40.0, 200, [400]),
        (10.0, 60, [100, 400]),
    ],
)
def test_the_smallest_object_grows_with_the_diameter_unless_it_is_given(diameter, min_size, left):
    image = np.zeros((80, 100), np.float32)
    image[10:14, 10:14] = 1  # 16 pixels
    image[10:16, 30:36] = 1  # 36
    image[10:20, 60:70] = 1  # 100
    image[40:60, 40:60] = 1  # 400
    result = segment(image, MODEL, diameter=diameter, min_size=min_size, **CPU)
    areas = np.bincount(result.labels.ravel())[1:]
    assert sorted(areas) == pytest.approx(left, rel=0.2)


@pytest.mark.parametrize("diameter", [None, 10.0, 37.0])
@pytest.mark.parametrize(
    ("axes", "shape"),
    [("YX", (50, 61)), ("ZYX", (2, 50, 61)), ("YXZ", (50, 61, 2)), ("TZCXY", (2, 1, 1, 61, 50))],
)
def test_results_have_the_shape_of_the_image(axes, shape, diameter):
    order = "".join(axis for axis in axes if axis not in "YX") + "YX"
    image = np.zeros([shape[axes.index(axis)] for axis in order], np.float32)
    image[..., 10:30, 20:40] = 1
    image = image.transpose([order.index(axis) for axis in axes])
    result = segment(image, MODEL, axes=axes, diameter=diameter, **CPU)
    spatial = axes.replace("C", "")
    assert result.labels.shape == tuple(shape[axes.index(axis)] for axis in spatial)
    assert result.labels.dtype == np.int32
    assert result.probability.shape == (2, *result.labels.shape)
    assert result.probability.dtype == np.float32
    np.testing.assert_allclose(result.probability.sum(axis=0), 1, atol=1e-5)
    planes = np.moveaxis(result.labels, [spatial.index("Y"), spatial.index("X")], [-2, -1])
    for plane in planes.reshape(-1, 50, 61):
        assert (plane[14:26, 24:36] == 1).all()
        assert not plane[:6].any() and not plane[34:].any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (2, 3)])
@pytest.mark.parametrize("diameter", [None, 1.5, 20.0, 500.0])
def test_tiny_and_thin_images_are_rescaled_too(shape, diameter):
    image = np.random.default_rng(0).random(shape)
    result = segment(image, MODEL, diameter=diameter, **CPU)
    assert result.labels.shape == shape
    assert np.isfinite(result.probability).all()


def test_the_probability_lies_over_the_image():
    """Of an image that was rescaled too, the middle of an object is where it is."""
    image, truth = scene(60)
    probability = segment(image, MODEL, diameter=60.0, **CPU).probability[1]
    for number in range(1, truth.max() + 1):
        here = truth == number
        weight = np.where(here, probability, 0)
        grid = np.indices(truth.shape)
        middle = (grid * weight).sum(axis=(1, 2)) / weight.sum()
        np.testing.assert_allclose(middle, grid[:, here].mean(axis=1), atol=0.1)


def test_progress_is_that_of_segmenting_alone(sizes):
    sizes[1].extend([40.0] * 3)
    calls = []
    stack = np.zeros((3, 40, 40), np.float32)
    segment(stack, MODEL, axes="ZYX", progress=lambda *at: calls.append(at), **CPU)
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_impossible_diameters_are_refused_before_anything_is_read():
    class Lazy:
        shape, ndim, dtype = (30, 30), 2, np.dtype(np.uint8)

        def __getitem__(self, index):
            raise AssertionError("read")

    for diameter in (0, 10_001, float("nan")):
        with pytest.raises(InputError, match="must be from 1 to 10,000"):
            segment(Lazy(), MODEL, diameter=diameter)


def test_a_large_image_of_small_objects_is_segmented_without_a_diameter(monkeypatch):
    """It cannot be enlarged as far as they ask for, and nobody named a diameter to change."""
    image, truth = scene(9)
    monkeypatch.setattr(rescale, "MAX_RESCALED", 2 * image.size)  # 4 times is too large
    labels = segment(image, MODEL, **CPU).labels
    assert labels.max() == truth.max()
