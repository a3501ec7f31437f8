"""Tiles of volumes: they cover all, and what they read is what the network needs."""

import numpy as np
import pytest

from napari_unet.core.config import ModelConfig
from napari_unet.core.tiling import network_geometries
from napari_unet.core.volume_tiles import plan_volume, read_volume_tile

FLAT = network_geometries(ModelConfig("unet-3d", depth=2, anisotropy=2.0))
CUBIC = network_geometries(ModelConfig("unet-3d", depth=1))


@pytest.mark.parametrize("geometries", [FLAT, CUBIC])
@pytest.mark.parametrize("shape", [(33, 50, 70), (1, 16, 5), (3, 40, 33)])
@pytest.mark.parametrize("most", [10**9, 60_000, 1])
def test_tiles_cover_every_voxel_once(geometries, shape, most):
    covered = np.zeros(shape, int)
    for tile in plan_volume(shape, geometries, most):
        covered[tile.place] += 1
        assert all(a % g.grid == 0 for a, g in zip(tile.start, geometries, strict=True))
        assert all((b - a) % g.grid == 0 for (a, b), g in zip(tile.spans, geometries, strict=True))
    assert (covered == 1).all()


def test_they_read_no_more_than_is_allowed_where_that_can_be():
    one = plan_volume((40, 64, 64), CUBIC, 10**9)
    assert len(one) == 1 and one[0].voxels_read == 48 * 72 * 72
    for most in (one[0].voxels_read - 1, 100_000, 50_000):
        tiles = plan_volume((40, 64, 64), CUBIC, most)
        assert len(tiles) > 1 and max(tile.voxels_read for tile in tiles) <= most


def test_the_middle_comes_first():
    tiles = plan_volume((16, 48, 48), CUBIC, 1)
    assert len(tiles) == 9
    assert (tiles[0].start, tiles[0].stop) == ((0, 16, 16), (16, 32, 32))


def test_what_is_read_is_mirrored_beyond_the_borders():
    """Of one tile: two grids of border on each side, and the length filled up to the grid."""
    volume = np.random.default_rng(0).integers(0, 99, (2, 5, 6, 7))
    (tile,) = plan_volume((5, 6, 7), CUBIC, 10**9)
    pads = [(0, 0), *((4, -(-size // 2) * 2 - size + 4) for size in (5, 6, 7))]
    np.testing.assert_array_equal(read_volume_tile(volume, tile), np.pad(volume, pads, "reflect"))


def test_along_z_the_grid_and_the_halo_are_those_of_fewer_poolings():
    z, y, x = FLAT
    assert (z.grid, y.grid, x.grid) == (2, 4, 4)
    assert z.halo < y.halo == x.halo
