"""Planes are read as (C, Y, X) from whatever holds them."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.session.image import Image

SIZES = {"T": 2, "C": 3, "Z": 4, "Y": 5, "X": 6}


def numbered(axes):
    """An array in which each value tells where it is: the digits are its indices."""
    grids = np.indices([SIZES[axis] for axis in axes])
    value = sum(grid * 10 ** "XYCZT".index(axis) for grid, axis in zip(grids, axes, strict=True))
    return value.astype(np.int32)


@pytest.mark.parametrize("lazy", [False, True], ids=["numpy", "dask"])
@pytest.mark.parametrize(
    ("axes", "place", "value"),
    [
        ("YX", (), 0),
        ("XY", (), 0),
        ("YXC", (), 0),
        ("CYX", (), 0),
        ("YCX", (), 0),
        ("ZYX", (3,), 3000),
        ("TCYX", (1,), 10000),
        ("TZYX", (1, 2), 12000),
        ("CZTYX", (2, 1), 12000),
        ("ZYXTC", (2, 1), 12000),
    ],
)
def test_a_plane_is_found_by_its_place(axes, place, value, lazy):
    data = numbered(axes)
    data = dask.array.from_array(data, chunks=2) if lazy else data
    image = Image("digits", data, axes, (2, 0))
    plane = image.read_plane(place)
    assert type(plane) is np.ndarray
    expected = value + numbered("CYX")[[2, 0]] if "C" in axes else value + numbered("YX")[None]
    np.testing.assert_array_equal(plane, expected)
    assert image.stack_shape == tuple(SIZES[axis] for axis in axes if axis not in "CYX")
    assert image.plane_shape == (5, 6)
    assert image.shape == (*image.stack_shape, 5, 6)
    assert image.channel_count == (3 if "C" in axes else 1)


def test_places_are_all_planes_of_a_stack_in_order():
    assert list(Image("i", numbered("TZYX"), "TZYX").places()) == [
        (t, z) for t in range(2) for z in range(4)
    ]
    assert list(Image("i", numbered("CYX"), "CYX").places()) == [()]


def test_no_channel_chosen_is_their_mean():
    data = np.array([[[0, 10]], [[250, 20]], [[254, 33]]], np.uint8)
    plane = Image("i", data, "CYX", ()).read_plane(())
    np.testing.assert_array_equal(plane, np.float32([[[168, 21]]]))
    assert plane.dtype == np.float32


def test_only_the_plane_is_read_from_a_lazy_array():
    class Spy:
        shape, dtype = (100, 3, 5, 6), np.dtype(np.uint8)

        def __init__(self):
            self.indices = []

        def __getitem__(self, index):
            self.indices.append(index)
            return np.zeros((3, 5, 6), np.uint8)

    spy = Spy()
    image = Image("i", spy, "TCYX", (1,))
    assert spy.indices == []
    assert image.read_plane((42,)).shape == (1, 5, 6)
    whole = slice(None)
    assert spy.indices == [(42, whole, whole, whole)]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("disk is gone.\nmore of it"), "disk is gone"),
        (MemoryError(), "MemoryError"),
        (KeyError("chunk"), "'chunk'"),
    ],
)
def test_a_lazy_array_that_fails_becomes_a_sentence(error, reason):
    def fail():
        raise error

    block = dask.array.from_delayed(dask.delayed(fail)(), (5, 6), np.uint8)
    with pytest.raises(InputError) as caught:
        Image("plate 3", block, "YX").read_plane(())
    assert str(caught.value) == (
        f"plate 3 could not be read ({reason}); check its file and open it again."
    )


@pytest.mark.parametrize("axes", ["Y", "ZY", "CYX", "YY", "YXX", "CCYX", "CYXC"])
def test_axes_that_do_not_fit_are_refused(axes):
    shape = (3,) * (len(axes) if axes != "CYX" else 2)
    with pytest.raises(InputError, match="do not fit shape"):
        Image("i", np.zeros(shape), axes)


@pytest.mark.parametrize("channels", [(3,), (0, 5), (-1,)])
def test_channels_that_are_not_there_are_refused(channels):
    with pytest.raises(InputError, match="cells has 3 channels"):
        Image("cells", np.zeros((3, 8, 8)), "CYX", channels)
    Image("cells", np.zeros((8, 8)), "YX", channels)  # has no axis to choose from


def test_an_image_without_pixels_can_be_read():
    assert Image("i", np.zeros((0, 6)), "YX").read_plane(()).shape == (1, 0, 6)
    assert list(Image("i", np.zeros((0, 5, 6)), "ZYX").places()) == []
