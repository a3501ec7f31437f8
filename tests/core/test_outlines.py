"""Outlines along pixel edges: traced, they fill exactly what they were traced from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.draw import polygon2mask

from napari_unet.core.errors import InputError
from napari_unet.core.outlines import fill, trace

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9))


def drawn(text: str) -> np.ndarray:
    return np.array([[one == "#" for one in row] for row in text.split()])


def refilled(mask: np.ndarray) -> np.ndarray:
    out = np.zeros(mask.shape, int)
    for polygon in trace(mask):
        box, inside = fill(polygon, mask.shape)
        out[box] += inside
    return out


def signed_area(ring: np.ndarray) -> float:
    x, y = ring.T
    return 0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1))


def test_a_square_has_its_four_corners():
    ((ring,),) = trace(drawn("... .## .##"))
    assert sorted(map(tuple, ring)) == [(1, 1), (1, 3), (3, 1), (3, 3)]


def test_a_hole_is_a_second_ring_that_runs_the_other_way():
    ((outer, hole),) = trace(drawn("##### #...# #.#.# #...# #####".replace(".#.", "...")))
    assert signed_area(outer) == 25
    assert signed_area(hole) == -9


def test_pixels_that_touch_by_a_corner_are_two_polygons():
    assert len(trace(drawn("#. .#"))) == 2


def test_a_hole_that_touches_the_outside_by_a_corner_stays_a_hole():
    ((outer, hole),) = trace(drawn("###. #.## ####")[:, :4])
    assert {len(outer), len(hole)} == {6, 4}


def test_an_island_in_a_hole_is_a_polygon_of_its_own():
    polygons = trace(drawn("##### #...# #.#.# #...# #####"))
    assert sorted(len(polygon) for polygon in polygons) == [1, 2]


@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_filling_the_outline_gives_the_mask_back(mask):
    assert np.array_equal(refilled(mask), mask)


@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_no_ring_meets_a_corner_twice(mask):
    for polygon in trace(mask):
        for ring in polygon:
            assert len(set(map(tuple, ring))) == len(ring)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-40, 140)] * 2), min_size=3, max_size=8), st.data())
def test_filling_agrees_with_scikit_image(corners, data):
    shape = data.draw(st.tuples(*[st.integers(1, 30)] * 2))
    # no centre lies on an edge: upright, level or diagonal
    ring = np.array(corners) / 4 + (0.1237, 0.0719)
    box, inside = fill([ring], shape)
    out = np.zeros(shape, bool)
    out[box] = inside
    assert np.array_equal(out, polygon2mask(shape, ring[:, ::-1] - 0.5))


def test_a_triangle_is_filled_by_pixel_centres():
    _, inside = fill([np.array([[0, 0], [4, 0], [0, 4]])], (4, 4))
    # centres (x + .5, y + .5) with x + y + 1 < 4; one on the slope lies to the right of it
    assert inside.sum(axis=1).tolist() == [3, 2, 1, 0]


def test_outlines_that_lie_outside_fill_nothing():
    _, inside = fill([np.array([[-9, -9], [-5, -9], [-5, -2]])], (4, 4))
    assert inside.sum() == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300, -1e10])
def test_outlines_that_lead_nowhere_are_refused(bad):
    with pytest.raises(InputError, match="far out of any image"):
        fill([np.array([[0, 0], [4, 0], [bad, 4]])], (4, 4))


def test_an_outline_that_would_fill_the_memory_is_refused():
    zigzag = np.zeros((60_000, 2))
    zigzag[1::2, 1] = 1000
    with pytest.raises(InputError, match="too many corners"):
        fill([zigzag], (1000, 10))
