from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core.blocks import BlockSettings
from napari_unet.core.glimpse import labels_of_part, widened
from napari_unet.core.instances import PlaneObjects
from napari_unet.core.object_score import LOOKS, ObjectScore

SCORE = ObjectScore((*[0.1] * len(LOOKS), 0.3), 12.0)
PARTS = {
    "inside": np.s_[90:210, 40:180],
    "at two borders": np.s_[0:120, 140:280],
    "at the others": np.s_[150:300, 0:120],
}


def probability(shape=(300, 280)):
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), 3)
    return np.rint(255 / (1 + np.exp(-6 * noise / noise.std() + 3))).astype(np.uint8)


@pytest.mark.parametrize("scale", [1, 1.5, 0.6])
@pytest.mark.parametrize("score", [None, SCORE])
@pytest.mark.parametrize("where", PARTS)
def test_a_part_has_the_objects_of_the_whole(scale, score, where):
    seen = probability()
    shape = tuple(round(scale * side) for side in seen.shape)
    settings = BlockSettings(0.5, 30, 0.5, score, margin=16)
    objects = PlaneObjects(seen)
    whole = objects.labels(threshold=0.5, min_size=30, split=0.5, shape=shape, score=score)
    part = tuple(slice(round(scale * s.start), round(scale * s.stop)) for s in PARTS[where])
    found = labels_of_part(seen, part, settings, shape, objects.typical_areas)
    expected = whole[part]
    inner = ndimage.binary_erosion(np.ones(found.shape, bool), iterations=2)
    np.testing.assert_array_equal(found[inner] > 0, expected[inner] > 0)
    pairs = np.unique([found[inner], expected[inner]], axis=1)
    assert pairs.shape[1] == len(np.unique(pairs[0])) == len(np.unique(pairs[1])) > 10


def test_objects_that_are_cut_are_not_taken_for_small_ones():
    seen = np.zeros((60, 60), np.uint8)
    seen[10:20, 10:30] = 255
    settings = BlockSettings(0.5, 150, 0.0)
    found = labels_of_part(seen, np.s_[0:36, 0:24], settings, (120, 120))
    assert found[25, 23]
    smaller = labels_of_part(seen, np.s_[0:80, 0:80], replace(settings, min_size=900), (120, 120))
    assert not smaller.any()


@pytest.mark.parametrize(("side", "is_kept"), [(2, False), (4, True)])
def test_at_the_border_of_the_image_a_part_keeps_what_the_whole_keeps(side, is_kept):
    seen = np.zeros((60, 60), np.uint8)
    seen[0:side, 10 : 10 + side] = 255  # 16 or 64 pixels of the image; a quarter of 150 is 37
    settings = BlockSettings(0.5, 150, 0.0)
    part = labels_of_part(seen, np.s_[0:80, 0:80], settings, (120, 120))
    whole = PlaneObjects(seen).labels(threshold=0.5, min_size=150, shape=(120, 120))
    assert part.any() == whole.any() == is_kept


def test_a_part_is_widened_within_the_plane():
    assert widened(np.s_[10:100, 50:200], (120, 500)) == np.s_[0:120, 0:264]
