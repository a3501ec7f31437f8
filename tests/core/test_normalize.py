import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.core.normalize import (
    HIGHEST,
    LOWEST,
    MAX_PIXELS,
    apply_range,
    intensity_range,
    normalize,
)

DTYPES = (bool, np.uint8, np.int8, np.uint16, np.int32, np.uint32, np.int64, np.uint64)
DTYPES += (np.float16, np.float32, np.float64)


def by_hand(channel, low, high):
    low, high = np.percentile(channel.astype(float), [low, high])
    return np.clip((channel.astype(float) - low) / (high - low), LOWEST, HIGHEST)


@pytest.mark.parametrize("percentiles", [(1.0, 99.8), (0.0, 100.0), (25.0, 75.0)])
def test_each_channel_is_mapped_by_its_own_percentiles(percentiles):
    rng = np.random.default_rng(0)
    image = np.stack([rng.integers(0, 60, (31, 47)), rng.integers(500, 65535, (31, 47))])
    out = normalize(image.astype(np.uint16), percentiles)
    for channel, result in zip(image, out, strict=True):
        np.testing.assert_allclose(result, by_hand(channel, *percentiles), atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_real_dtype_becomes_float32_alike(dtype):
    values = np.random.default_rng(1).integers(0, 2 if dtype is bool else 120, (1, 20, 30))
    out = normalize(values.astype(dtype))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out[0], by_hand(values[0], 1, 99.8), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_the_full_range_of_integers_does_not_overflow(dtype):
    limits = np.iinfo(dtype)
    row = np.linspace(limits.min, limits.max, 101).astype(dtype)
    out = normalize(np.tile(row, (1, 5, 1)), (0, 100))
    np.testing.assert_allclose(out[0, 0], np.linspace(0, 1, 101), atol=1e-2)
    assert (np.diff(out[0, 0]) > 0).all()


def test_small_contrast_on_a_large_offset_survives():
    image = 4_000_000_000 + np.arange(100, dtype=np.uint32).reshape(1, 10, 10)
    np.testing.assert_allclose(
        normalize(image, (0, 100)).ravel(), np.linspace(0, 1, 100), atol=1e-6
    )


def test_one_hot_pixel_neither_stretches_nor_exceeds_the_range():
    image = 1e-10 * np.random.default_rng(2).normal(size=(1, 64, 64))
    expected = normalize(image)
    image[0, 5, 5], image[0, 6, 6] = 1e305, -1e305
    out = normalize(image)
    assert (out[0, 5, 5], out[0, 6, 6]) == (HIGHEST, LOWEST)
    image[0, 5:7, 5:7] = 0
    np.testing.assert_allclose(out[:, 10:], expected[:, 10:], atol=0.05)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_constant_channel_becomes_zero(value):
    assert not normalize(np.full((2, 4, 5), value, np.uint8)).any()


def test_sparse_signal_is_mapped_from_its_extremes():
    image = np.zeros((1, 100, 100), np.uint8)
    image[0, 3, 4] = 200  # less than 0.2 % of the pixels
    out = normalize(image)
    assert out[0, 3, 4] == 1
    assert out.sum() == 1


def test_nan_and_infinity_are_left_out_and_become_the_lowest():
    image = np.random.default_rng(3).normal(10, 2, (1, 40, 40))
    clean = image.copy()
    image[0, 0, :3] = np.nan, np.inf, -np.inf
    out = normalize(image)
    low, high = np.percentile(clean.ravel()[3:], [1, 99.8])
    np.testing.assert_array_equal(out[0, 0, :3], 0)  # the lower percentile
    np.testing.assert_allclose(out[0, 1:], (clean[0, 1:] - low) / (high - low), atol=1e-6)


@pytest.mark.parametrize("fill", [np.nan, np.inf, -np.inf])
def test_a_channel_without_finite_values_becomes_zero(fill):
    assert not normalize(np.full((1, 3, 3), fill)).any()


@pytest.mark.parametrize("scale", [1e308, 1e30, 1e-30, 1e-307, 1e-320])
def test_extreme_magnitudes_stay_finite(scale):
    image = scale * np.linspace(-1, 1, 50).reshape(1, 5, 10)
    out = normalize(image)
    assert np.isfinite(out).all()
    assert (np.diff(out.ravel()) >= 0).all()
    assert out.max() == (0 if scale < 1e-310 else pytest.approx(1, abs=0.05))  # that is no signal


@pytest.mark.parametrize("dtype", [np.complex64, object, "U3"])
def test_what_is_not_a_real_number_is_refused(dtype):
    with pytest.raises(InputError, match="real numbers"):
        normalize(np.zeros((1, 2, 2)).astype(dtype))


def test_a_part_is_mapped_as_the_whole():
    image = np.random.default_rng(4).integers(0, 900, (2, 50, 60)).astype(np.int32)
    ranges = intensity_range(image)
    part = apply_range(image[:, 10:20, 5:50], ranges)
    np.testing.assert_array_equal(part, normalize(image)[:, 10:20, 5:50])


def test_a_large_image_is_sampled_and_close():
    image = np.random.default_rng(5).normal(size=(1, 3000, 1500)).astype(np.float32)
    assert image.size > MAX_PIXELS
    np.testing.assert_allclose(
        intensity_range(image)[0], np.percentile(image, [1, 99.8]), rtol=0.02
    )


def test_the_image_is_not_written_to():
    image = np.full((1, 4, 4), np.nan)
    image[0, 0] = 3
    image.flags.writeable = False
    normalize(image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(2, 300, 250), (2, 5, 150, 100)])
def test_a_large_image_is_mapped_by_a_table_to_the_same_bits(dtype, shape):
    """Images of few values; as float64 there are too many for a table."""
    image = np.random.default_rng(3).integers(0, 200, shape).astype(dtype)
    ranges = np.array([[3.3, 120.7], [0.0, 90.0]])
    mapped = apply_range(image, ranges)
    assert mapped.dtype == np.float32
    assert np.array_equal(mapped, apply_range(image.astype(np.float64), ranges))
