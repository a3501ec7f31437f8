"""The mean over versions of an image, and how far these differ."""

from __future__ import annotations

import numpy as np
import pytest

from brightness import brightness_model
from napari_unet.core import Model, ModelConfig, segment
from napari_unet.core.average import RunningMean
from napari_unet.core.errors import InputError
from napari_unet.core.predict import predict_averaged, predict_plane, predict_with_deviation
from napari_unet.core.symmetries import AVERAGES, Symmetry

OPTIONS = {"device": "cpu", "precision": "float32"}


@pytest.fixture(scope="module")
def model():
    return Model.fresh(ModelConfig(width=3, depth=2), seed=4)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(5).normal(size=(1, 37, 50))


def turned(array, quarters, mirrored):
    """By numpy's own turns, the last two axes."""
    array = np.rot90(array, quarters, axes=(-2, -1))
    return array[..., ::-1] if mirrored else array


def turned_back(array, quarters, mirrored):
    array = array[..., ::-1] if mirrored else array
    return np.rot90(array, -quarters, axes=(-2, -1))


def each_version(image, model, ways):
    return np.stack(
        [turned_back(predict_plane(turned(image, *way), model, **OPTIONS), *way) for way in ways]
    )


WAYS = {
    "flips": [(quarters, mirrored) for quarters in (0, 2) for mirrored in (False, True)],
    "rotations": [(quarters, mirrored) for quarters in range(4) for mirrored in (False, True)],
}


@pytest.mark.parametrize("average", ["flips", "rotations"])
@pytest.mark.parametrize("tile", [16, None])
def test_mean_and_deviation_are_those_of_each_version_by_itself(model, image, average, tile):
    versions = each_version(image, model, WAYS[average])
    mean, deviation = predict_with_deviation(image, model, average=average, tile=tile, **OPTIONS)
    np.testing.assert_allclose(mean, versions.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(deviation, versions.std(axis=0).max(axis=0), atol=1e-5)
    assert deviation.max() > 1e-3


def test_the_versions_are_all_different_and_the_first_is_the_image_as_it_is(image):
    scene = np.arange(6).reshape(1, 2, 3)
    seen = {
        one.view(scene).tobytes() + bytes(one.view(scene).shape) for one in AVERAGES["rotations"]
    }
    assert len(seen) == 8
    for versions in AVERAGES.values():
        assert np.shares_memory(versions[0].view(image), image)
        np.testing.assert_array_equal(versions[0].view(image), image)


@pytest.mark.parametrize("symmetry", AVERAGES["rotations"])
def test_points_and_boxes_are_found_again(symmetry):
    scene = np.arange(5 * 7).reshape(1, 5, 7)
    seen = symmetry.view(scene)
    y, x = symmetry.seen_at((1, 4), (5, 7))
    assert seen[0, y, x] == scene[0, 1, 4]
    box = seen[0, 1:3, 0:4]
    y, x = symmetry.corner((1, 0), box.shape, (5, 7))
    height, width = box.shape[::-1] if symmetry.is_transposed else box.shape
    assert sorted(scene[0, y : y + height, x : x + width].ravel()) == sorted(box.ravel())


def test_a_network_that_knows_no_directions_is_sure_of_all_versions():
    image = np.random.default_rng(1).uniform(0, 3, size=(1, 40, 33))
    model = brightness_model()
    plain = predict_plane(image, model, **OPTIONS)
    mean, deviation = predict_with_deviation(image, model, average="rotations", **OPTIONS)
    np.testing.assert_allclose(mean, plain, atol=1e-5)
    assert deviation.max() < 1e-3


def test_the_first_tiles_are_those_of_no_average_and_they_come_where_the_user_looks(model, image):
    options = {"tile": 16, "center": (36.0, 49.0), **OPTIONS}
    plain, averaged = (
        list(predict_averaged(image, model, average, **options))
        for average in ("none", "rotations")
    )
    assert len(averaged) == 8 * len(plain)
    for one, other in zip(plain, averaged, strict=False):
        assert (one.y, one.x, one.index) == (other.y, other.x, other.index)
        np.testing.assert_allclose(one.probability, other.probability, atol=1e-6)
    for start in range(0, len(averaged), len(plain)):  # of every version what is there comes first
        first = averaged[start]
        height, width = first.probability.shape[1:]
        assert (first.y + height, first.x + width) == (37, 50)
    assert [tile.index for tile in averaged] == list(range(averaged[0].count))


def test_the_deviation_needs_no_more_than_float32():
    values = np.float32([0.9999, 0.99991, 0.99990, 0.99992])
    mean = RunningMean(1, (1, 1))
    for number, value in enumerate(values, start=1):
        mean.add(number, Symmetry(), 0, 0, np.full((1, 1, 1), value))
    found = mean.deviation(4, slice(0, 1), slice(0, 1))[0, 0]
    assert found == pytest.approx(values.astype(float).std(), rel=0.02)


def test_segmenting_returns_the_uncertainty_in_the_pixels_of_the_image():
    model = Model.fresh(ModelConfig(width=3, depth=2, diameter=10.0), seed=4)
    image = np.random.default_rng(5).normal(size=(2, 40, 50))
    found = segment(image, model, axes="ZYX", diameter=20.0, average="flips", **OPTIONS)
    assert found.uncertainty.shape == found.labels.shape
    planes = [
        predict_with_deviation(plane[None], model, diameter=20.0, average="flips", **OPTIONS)[1]
        for plane in image
    ]
    assert planes[0].shape == (20, 25)
    for seen, whole in zip(planes, found.uncertainty, strict=True):
        assert whole.max() <= seen.max()
        assert np.corrcoef(whole[::2, ::2].ravel(), seen.ravel())[0, 1] > 0.8
    assert segment(image, model, axes="ZYX", diameter=20.0, **OPTIONS).uncertainty is None


def test_an_average_that_there_is_not_is_refused(model, image):
    with pytest.raises(InputError, match="no average 'spins'; choose one of none, flips, rotat"):
        segment(image[0], model, average="spins", **OPTIONS)
