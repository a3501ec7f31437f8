"""Depths are those of the general transform, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core import depth
from napari_unet.core.depth import depth_of


def exact(foreground):
    return ndimage.distance_transform_edt(foreground).astype(np.float32)


def blobs(shape, grain, share, seed):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), grain)
    return noise > np.quantile(noise, 1 - share)


@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (60, 1), (64, 65), (130, 40)])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_depths_are_exact(shape, share):
    for seed in range(4):
        foreground = blobs(shape, 1 + 2 * seed, share, seed)
        foreground[0, 0] = False
        np.testing.assert_array_equal(depth_of(foreground), exact(foreground))


@pytest.mark.parametrize("side", [20, 150, 300])
def test_what_is_deeper_than_a_few_steps_is_exact_too(side):
    foreground = np.pad(np.ones((side, side), bool), 3)
    foreground[side // 2, side // 3] = False
    np.testing.assert_array_equal(depth_of(foreground), exact(foreground))


@pytest.mark.parametrize("radius", [9, 40, 80])
@pytest.mark.parametrize("column", [0, 100, 899])
def test_a_few_deep_pixels_of_a_large_plane_are_exact(radius, column):
    y, x = np.mgrid[:500, :900]
    foreground = (y + x) % 17 < 3
    foreground |= np.hypot(y - 250, x - column) < radius
    foreground[100:103] = foreground[:, 400:403] = False
    np.testing.assert_array_equal(depth_of(foreground), exact(foreground))


def test_thin_objects_need_no_general_transform(monkeypatch):
    monkeypatch.setattr(depth.ndimage, "distance_transform_edt", None)
    foreground = np.pad(np.ones((40, 300), bool), 5)
    assert depth_of(foreground).max() == 20


def test_an_empty_plane_has_no_depth():
    assert not depth_of(np.zeros((5, 7), bool)).any()
