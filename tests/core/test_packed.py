"""Planes as runs: nothing is lost, and what is damaged is refused."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_unet.core.packed import Packed, pack, runs_of, unpack


@given(
    st.sampled_from([np.uint8, np.int16, np.int32, np.int64, ">i4"]).flatmap(
        lambda dtype: arrays(
            dtype, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3)
        )
    )
)
def test_any_plane_comes_back(plane):
    back = unpack(pack(plane))
    np.testing.assert_array_equal(back, plane)
    assert back.dtype.itemsize == plane.dtype.itemsize


@pytest.mark.parametrize("value", [np.iinfo(np.int32).max, -5, 0])
def test_every_number_fits(value):
    assert (unpack(pack(np.full((3, 4), value, np.int32))) == value).all()


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
def test_a_plane_without_pixels_is_packed(shape):
    assert unpack(pack(np.zeros(shape, np.int32))).shape == shape


def test_runs_end_where_a_pixel_differs_from_the_next():
    ends, values = runs_of(np.array([[5, 5, 0], [0, 2, 2]]))
    assert ends.tolist() == [2, 4, 6] and values.tolist() == [5, 0, 2]


def test_an_empty_plane_takes_next_to_nothing():
    assert len(pack(np.zeros((2048, 2048), np.int32)).data) < 50


@pytest.mark.parametrize(
    "harm",
    [
        lambda packed: replace(packed, data=packed.data[:-6]),
        lambda packed: replace(packed, data=b"no zlib"),
        lambda packed: replace(packed, data=zlib.compress(b"abc")),
        lambda packed: replace(packed, shape=(4, 6)),
        lambda packed: replace(packed, shape=(-4, -5)),
        lambda packed: replace(packed, dtype="<f4"),
        lambda packed: replace(packed, dtype="O"),
        lambda packed: replace(packed, dtype="nonsense"),
    ],
)
def test_damaged_bytes_are_refused(harm):
    packed = pack(np.arange(20, dtype=np.int32).reshape(4, 5))
    with pytest.raises(ValueError):
        unpack(harm(packed))


def test_bytes_that_claim_to_be_huge_do_not_fill_the_memory():
    bomb = Packed((2, 2), "<i4", zlib.compress(bytes(10**7), 9))
    with pytest.raises(ValueError):
        unpack(bomb)
