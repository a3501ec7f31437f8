import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.core.example import Example, to_cyx

LABELS = np.zeros((8, 9), np.uint16)


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((8, 9), None, (1, 8, 9)),
        ((2, 8, 9), None, (2, 8, 9)),
        ((8, 9, 3), None, (3, 8, 9)),
        ((8, 9), "YX", (1, 8, 9)),
        ((9, 8), "XY", (1, 8, 9)),
        ((12, 8, 9), "CYX", (12, 8, 9)),
        ((8, 4, 9), "YCX", (4, 8, 9)),
        ((8, 9, 3), "yxc", (3, 8, 9)),
    ],
)
def test_channels_come_first(shape, axes, expected):
    assert Example(np.zeros(shape), LABELS, axes=axes).image_cyx.shape == expected


def test_the_image_is_viewed_not_copied():
    image = np.arange(72).reshape(8, 9)
    assert np.shares_memory(Example(image, LABELS).image_cyx, image)


def test_pixels_stay_in_their_place():
    image = np.random.default_rng(0).random((5, 6, 3))
    np.testing.assert_array_equal(to_cyx(image, "YXC")[1], image[..., 1])


def test_without_a_checked_area_all_is_checked():
    assert Example(np.zeros((8, 9)), LABELS).mask.all()


def test_the_checked_area_is_kept():
    checked = np.zeros((8, 9), bool)
    checked[2:4] = True
    mask = Example(np.zeros((8, 9)), LABELS, checked).mask
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, checked)


@pytest.mark.parametrize(
    ("image", "labels", "checked", "axes", "message"),
    [
        ((8, 9), np.zeros((1, 2, 8, 9), int), None, None, "one plane"),
        ((8, 9), np.zeros((8, 9)), None, None, "float64; they must be whole numbers"),
        ((8, 9), np.zeros((8, 9), bool), None, None, "whole numbers"),
        ((8, 9), LABELS, np.ones((9, 8), bool), None, "checked area has shape"),
        ((9, 8), LABELS, None, None, "same pixels"),
        ((8, 9), LABELS, None, "CYX", "do not fit"),
        ((8, 9), LABELS, None, "ZY", "do not fit"),
        ((2, 8, 9), LABELS, None, "ZYX", "do not fit"),
        ((1, 2, 8, 9), LABELS, None, None, "name its axes"),
        ((0, 9), np.zeros((0, 9), int), None, None, "no pixels"),
        ((8, 9), LABELS.astype(int) - 1, None, None, "negative"),
    ],
)
def test_what_does_not_fit_together_is_refused(image, labels, checked, axes, message):
    with pytest.raises(InputError, match=message) as error:
        Example(np.zeros(image), labels, checked, axes)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize("diameter", [None, 1, 20.5, 10_000])
def test_an_example_may_name_the_size_of_its_objects(diameter):
    assert Example(np.zeros((8, 9)), LABELS, diameter=diameter).diameter == diameter


@pytest.mark.parametrize("diameter", [0, 0.9, -20, 10_001, float("nan"), float("inf")])
def test_an_impossible_size_of_objects_is_refused(diameter):
    with pytest.raises(InputError, match=rf"diameter is {diameter} px; it must be from 1 to 10,0"):
        Example(np.zeros((8, 9)), LABELS, diameter=diameter)
