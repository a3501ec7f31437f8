"""Drawn nuclei of many looks, for what is rehearsed."""

import numpy as np
import pytest

from napari_unet.core.drawn import Look, nuclei, varied_nuclei


def test_the_same_seed_gives_the_same_look_and_another_another():
    images = [varied_nuclei((64, 64), seed)[0] for seed in (3, 3, 4)]
    assert np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])


def test_looks_differ_in_how_many_there_are_and_how_much_light():
    scenes = [varied_nuclei((96, 96), seed) for seed in range(8)]
    counts = [truth.max() for _, truth in scenes]
    light = [float(np.median(image[truth > 0])) for image, truth in scenes if truth.any()]
    assert max(counts) > 2 * min(counts)
    assert max(light) > 3 * min(light)


def test_more_light_is_brighter_and_nothing_else_moves():
    (dim, truth), (bright, same) = (
        nuclei((64, 64), 1, look=Look(light=light)) for light in (1.0, 5.0)
    )
    assert np.array_equal(truth, same)
    assert float(bright.mean()) - 100 == pytest.approx(5 * (float(dim.mean()) - 100), rel=0.05)


def test_a_ground_without_light_is_dark():
    image, truth = nuclei((64, 64), 1, look=Look(ground=0.0, density=0.3))
    away = np.s_[truth == 0]
    assert np.median(image[away]) < np.median(nuclei((64, 64), 1, look=Look(density=0.3))[0][away])
