"""The sample images: there without a network, with truths that fit them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_unet import sample_data


def test_every_coin_is_one_object():
    image, truth = sample_data.coins()
    assert image.shape == truth.shape == (303, 384)
    assert (image.dtype, truth.dtype) == (np.uint8, np.int32)
    assert np.unique(truth).tolist() == list(range(25))
    assert ndimage.label(truth)[1] == 24  # none in pieces, none touching


def test_coins_are_brighter_than_what_is_around_them():
    image, truth = sample_data.coins()
    for coin in range(1, truth.max() + 1):
        inside = truth == coin
        around = ndimage.binary_dilation(inside, iterations=5) & (truth == 0)
        assert image[inside].mean() > image[around].mean()


def test_nuclei_are_the_same_for_the_same_seed():
    first, second, other = (sample_data.nuclei((96, 96), seed) for seed in (3, 3, 4))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert not np.array_equal(first[0], other[0])


def test_nuclei_are_each_in_one_piece_and_some_touch():
    image, truth = sample_data.nuclei((256, 256), seed=1)
    assert (image.dtype, truth.dtype) == (np.uint16, np.int32)
    numbers = np.unique(truth)[1:]
    assert numbers.tolist() == list(range(1, len(numbers) + 1))
    assert all(ndimage.label(truth == number)[1] == 1 for number in numbers)
    assert ndimage.label(truth)[1] < len(numbers)


@pytest.mark.parametrize("seed", range(30))
def test_nuclei_of_any_seed(seed):
    truth = sample_data.nuclei((64, 64), seed)[1]
    assert 1 <= truth.max() < 60


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (37, 53)])
def test_nuclei_of_any_shape(shape):
    image, truth = sample_data.nuclei(shape, seed=2)
    assert image.shape == truth.shape == shape


def test_cells_are_the_same_for_the_same_seed():
    first, second, other = (sample_data.cells((160, 160), seed) for seed in (3, 3, 4))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert not np.array_equal(first[0], other[0])


def test_cells_are_dark_each_in_one_piece_with_a_halo_around():
    image, truth = sample_data.cells((300, 300), seed=1)
    assert (image.dtype, truth.dtype) == (np.uint16, np.int32)
    numbers = np.unique(truth)[1:]
    assert len(numbers) >= 8 and numbers.tolist() == list(range(1, len(numbers) + 1))
    assert all(ndimage.label(truth == number)[1] == 1 for number in numbers)
    away = ndimage.distance_transform_edt(truth == 0)
    beside, far = image[(away > 0) & (away < 5)].mean(), image[away > 20].mean()
    assert image[truth > 0].mean() < far < beside


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (37, 53)])
def test_cells_of_any_shape(shape):
    image, truth = sample_data.cells(shape, seed=2)
    assert image.shape == truth.shape == shape


def test_negative_turns_light_and_dark_round():
    assert np.array_equal(sample_data.coins(negative=True)[0], 255 - sample_data.coins()[0])


@pytest.mark.parametrize(
    "sample",
    [
        sample_data.napari_cells,
        sample_data.napari_coins,
        sample_data.napari_coins_negative,
        sample_data.napari_nuclei,
    ],
)
def test_samples_for_napari_are_layer_data(sample):
    (data, meta, kind), *rest = sample()
    assert kind == "image" and data.ndim == 2 and meta["name"]
    assert rest == []
