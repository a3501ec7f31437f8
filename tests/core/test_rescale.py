"""Images and labels brought to the size at which a model knows its objects."""

import numpy as np
import pytest
import torch
from skimage import transform

from napari_unet.core import rescale
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.normalize import normalize
from napari_unet.core.rescale import (
    model_scale,
    rescale_image,
    resize_image,
    resize_labels,
    scaled_shape,
    to_model_size,
    usable_diameter,
    usual_min_size,
)

KNOWN = ModelConfig(diameter=20.0)
SHAPE = (60, 80)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def cosine(shape, period):
    """A wave along the columns, one channel, around 0.5."""
    wave = 0.5 + 0.5 * np.cos(2 * np.pi * np.arange(shape[1]) / period)
    return np.broadcast_to(wave, (1, *shape)).astype(np.float32)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((13, 17), (26, 34)),
        ((13, 17), (31, 9)),
        ((40, 30), (13, 30)),
        ((1, 9), (4, 3)),
        ((7, 1), (1, 5)),
        ((5, 6), (5, 6)),
    ],
)
def test_images_are_resized_as_torch_does_it(old, new):
    image = noise(2, *old)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(image)[None], size=new, mode="bilinear", align_corners=False
    )[0]
    resized = resize_image(image, new)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, expected.numpy(), atol=1e-5)


def test_what_is_resized_is_not_written_to():
    image = noise(1, 9, 9)
    image.flags.writeable = False
    resize_image(image, (20, 5))
    rescale_image(image, 0.5)


@pytest.mark.parametrize(
    ("old", "new"),
    [((12, 15), (24, 45)), ((12, 15), (6, 5)), ((13, 7), (29, 3)), ((1, 9), (4, 2))],
)
def test_labels_are_resized_as_torch_s_exact_nearest(old, new):
    labels = np.random.default_rng(1).integers(0, 9, old).astype(np.int32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(labels)[None, None].double(), size=new, mode="nearest-exact"
    )[0, 0]
    resized = resize_labels(labels, new)
    assert resized.dtype == np.int32
    np.testing.assert_array_equal(resized, expected.numpy())


def test_labels_by_hand():
    labels = np.array([[1, 2], [3, 4]], np.int32)
    twice = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    np.testing.assert_array_equal(resize_labels(labels, (4, 4)), twice)
    # Centres of three columns lie at 1/3, 1 and 5/3: the middle one is the right pixel's.
    np.testing.assert_array_equal(resize_labels(labels, (1, 3)), [[3, 4, 4]])


def test_labels_that_are_enlarged_by_whole_numbers_and_shrunk_again_are_unchanged():
    labels = np.random.default_rng(2).integers(0, 99, (11, 8)).astype(np.int32)
    np.testing.assert_array_equal(resize_labels(labels, (33, 40)), np.kron(labels, np.ones((3, 5))))
    np.testing.assert_array_equal(resize_labels(resize_labels(labels, (33, 40)), (11, 8)), labels)


@pytest.mark.parametrize("part", [2, 3, 4])
def test_images_are_shrunk_as_scikit_image_does_it(part):
    image = noise(1, 48, 60)
    expected = transform.resize(
        image[0], (48 // part, 60 // part), anti_aliasing=True, mode="symmetric"
    )
    np.testing.assert_allclose(rescale_image(image, 1 / part)[0], expected, atol=1e-4)


def test_enlarging_smooths_nothing():
    image = noise(1, 20, 20)
    np.testing.assert_array_equal(rescale_image(image, 2.0), resize_image(image, (40, 40)))


@pytest.mark.parametrize("scale", [0.2, 0.25, 0.4, 0.5])
def test_a_checkerboard_that_is_shrunk_becomes_grey(scale):
    board = (np.indices((64, 64)).sum(axis=0) % 2).astype(np.float32)[None]
    shrunk = rescale_image(board, scale)[0]
    assert np.abs(shrunk[2:-2, 2:-2] - 0.5).max() < 0.06


def test_waves_the_smaller_image_cannot_show_do_not_come_back_as_slower_ones():
    # A quarter of the size shows periods of 8 px and more; 5 px would come back as 20.
    fine, coarse = (rescale_image(cosine((16, 160), period), 0.25) for period in (5, 40))
    assert np.ptp(fine[0, :, 3:-3]) < 0.15
    assert np.ptp(coarse[0, :, 3:-3]) > 0.9


@pytest.mark.parametrize(
    ("shape", "scale", "expected"),
    [((60, 80), 0.5, (30, 40)), ((3, 1000), 0.1, (1, 100)), ((1, 7), 3, (3, 21))],
)
def test_a_rescaled_image_has_at_least_one_row_and_column(shape, scale, expected):
    assert scaled_shape(shape, scale) == expected
    assert rescale_image(noise(2, *shape), scale).shape == (2, *expected)


@pytest.mark.parametrize(
    ("diameter", "scale"),
    [(10, 2.0), (40, 0.5), (1, 20.0), (10_000, 0.002), (25, 0.8), (16, 1.25), (None, 1.0)],
)
def test_objects_come_out_at_the_size_the_model_knows(diameter, scale):
    assert model_scale(KNOWN, diameter, SHAPE) == pytest.approx(scale)


@pytest.mark.parametrize(
    ("diameter", "is_left"), [(20, True), (21.9, True), (18.3, True), (22.1, False), (18.1, False)]
)
def test_a_tenth_more_or_less_is_left_as_it_is(diameter, is_left):
    assert (model_scale(KNOWN, diameter, SHAPE) == 1) == is_left


@pytest.mark.parametrize("diameter", [0, 0.99, -20, 10_001, float("nan"), float("inf")])
def test_a_diameter_out_of_its_bounds_is_named(diameter):
    with pytest.raises(InputError, match=rf"diameter is {diameter} px; it must be from 1 to 10,"):
        model_scale(KNOWN, diameter, SHAPE)


def test_a_model_that_knows_no_size_takes_no_diameter():
    assert model_scale(ModelConfig(), None, SHAPE) == 1
    with pytest.raises(InputError, match="does not know the size of its objects; leave diameter"):
        model_scale(ModelConfig(), 20, SHAPE)


def test_an_image_that_would_become_too_large_is_refused():
    """2**28 pixels may come out, no more; and shrinking is always possible."""
    assert model_scale(KNOWN, 5, (4096, 4096)) == 4
    with pytest.raises(InputError, match=r"of 5 px the image would be enlarged 4\.0 times, which"):
        model_scale(KNOWN, 5, (4096, 4097))
    assert model_scale(KNOWN, 40, (10**6, 10**6)) == 0.5
    assert rescale.MAX_RESCALED == 2**28


def test_sentences_end_with_a_full_stop():
    for config, diameter, shape in (
        (KNOWN, 0, SHAPE),
        (ModelConfig(), 9, SHAPE),
        (KNOWN, 1, (9999, 9999)),
    ):
        with pytest.raises(InputError) as error:
            model_scale(config, diameter, shape)
        assert str(error.value).endswith(".")


@pytest.mark.parametrize("diameter", [None, 20, 21])
def test_an_image_that_keeps_its_size_is_returned_untouched(diameter):
    image = np.arange(48, dtype=np.uint16).reshape(1, 6, 8)
    ranges = np.array([[3.0, 9.0]])
    same, left = to_model_size(image, KNOWN, diameter, ranges)
    assert same is image
    assert left is ranges
    assert to_model_size(image, KNOWN, diameter) == (image, None)


def test_a_rescaled_image_is_normalised_before_and_needs_no_more():
    image = np.random.default_rng(0).integers(0, 4000, (2, 40, 30)).astype(np.uint16)
    scaled, left = to_model_size(image, KNOWN, 40.0)
    assert (scaled.shape, scaled.dtype) == ((2, 20, 15), np.float32)
    np.testing.assert_array_equal(left, [[0, 1], [0, 1]])
    np.testing.assert_allclose(scaled, rescale_image(normalize(image), 0.5), atol=1e-6)


def test_a_part_is_normalised_by_the_ranges_of_the_whole():
    part = np.full((1, 30, 30), 25.0)
    scaled, left = to_model_size(part, KNOWN, 10.0, np.array([[0.0, 100.0]]))
    np.testing.assert_allclose(scaled, 0.25)
    np.testing.assert_array_equal(left, [[0, 1]])


def test_bright_specks_are_not_lost_to_the_normalisation_by_shrinking_first():
    """The percentiles are those of the image, not of the smaller one."""
    image = np.zeros((1, 100, 100))
    image[0, 40:50, 40:50] = 100  # its hundredth part: the range is 0 to 100
    scaled, _ = to_model_size(image, KNOWN, 200.0)  # the square is one pixel there
    assert scaled.max() < 0.8


@pytest.mark.parametrize(
    ("diameter", "expected"), [(None, 20), (20, 20), (40, 80), (10, 5), (1, 1), (30, 45)]
)
def test_the_smallest_object_grows_with_the_square_of_the_diameter(diameter, expected):
    assert usual_min_size(KNOWN, diameter) == expected


def test_the_smallest_object_of_a_model_that_knows_no_size_is_its_own():
    assert usual_min_size(ModelConfig(min_size=7), 100) == 7


@pytest.mark.parametrize(
    ("diameter", "shape", "expected"),
    [
        (None, SHAPE, None),
        (6.0, SHAPE, 6.0),
        (60.0, (10**5, 10**5), 60.0),
        (5.5, (4096, 4096), 5.5),  # 16 times as many pixels: not more than four times as wide
        (4.0, (4096, 4096), pytest.approx(5, rel=0.01)),
        (4.0, (10**5, 10**5), 20.0),  # it is too large as it is: it stays so
    ],
)
def test_a_measured_diameter_is_at_least_what_can_be_used(diameter, shape, expected):
    usable = usable_diameter(KNOWN, diameter, shape)
    assert usable == expected
    assert model_scale(KNOWN, usable, shape) <= 4  # and is not refused


def test_a_model_that_knows_no_size_has_no_use_for_a_diameter():
    assert usable_diameter(ModelConfig(), 9.0, SHAPE) is None
