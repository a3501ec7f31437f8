import numpy as np
import pytest
from scipy import ndimage

from core.test_blocks import assert_same_objects
from napari_unet.core.draw_labels import Cut, Grids, draw_labels
from napari_unet.core.instances import components, probability_to_labels


def scene(shape):
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), 3)
    probability = (255 / (1 + np.exp(-6 * noise / noise.std()))).astype(np.uint8)
    labels = components(probability >= 150)
    is_upper = np.arange(labels.max() + 1) % 2 == 1  # every second one
    return labels, probability, Cut(150 / 255, 180 / 255, is_upper)


@pytest.mark.parametrize("image", [(61, 70), (90, 101), (177, 203), (60, 400)])
def test_parts_are_those_of_the_whole(image):
    labels, probability, cut = scene((60, 70))
    grids = Grids(labels.shape, image)
    whole = draw_labels(labels, probability, cut, grids, (slice(0, image[0]), slice(0, image[1])))
    assert len(np.unique(whole)) > 10
    for y in range(0, image[0], 25):
        for x in range(0, image[1], 31):
            part = slice(y, min(y + 25, image[0])), slice(x, min(x + 31, image[1]))
            seen = grids.seen(part)
            drawn = draw_labels(labels[seen], probability[seen], cut, grids, part)
            np.testing.assert_array_equal(drawn, whole[part])


@pytest.mark.parametrize("step", [3, 5])
def test_on_a_coarser_grid_each_pixel_takes_the_label_at_its_centre(step):
    _, probability, _ = scene((60, 75))
    drawn = probability_to_labels(
        probability, threshold=150 / 255, min_size=0, shape=(60 // step, 75 // step)
    )
    whole = probability_to_labels(probability, threshold=150 / 255, min_size=0)
    expected = whole[step // 2 :: step, step // 2 :: step]
    assert_same_objects(drawn, expected)
    assert len(np.unique(drawn)) > 5


@pytest.mark.parametrize("image", [(41, 47), (97, 120)])
def test_outlines_follow_the_probability_between_pixels(image):
    y, x = np.mgrid[:60, :70]
    probability = 1 / (1 + np.exp(np.hypot(y - 30, x - 33) / 2 - 10)).astype(np.float32)
    drawn = probability_to_labels(probability, threshold=0.5, min_size=0, shape=image)
    centres = [
        (np.arange(new) + 0.5) * old / new - 0.5
        for new, old in zip(image, probability.shape, strict=True)
    ]
    between = ndimage.map_coordinates(probability, np.meshgrid(*centres, indexing="ij"), order=1)
    sure = np.abs(between - 0.5) > 1e-3
    np.testing.assert_array_equal(drawn[sure] > 0, between[sure] >= 0.5)
    nearest = probability[np.ix_(*(np.round(c).astype(int) for c in centres))] >= 0.5
    assert (nearest != (between >= 0.5)).any()  # else it would say nothing


def test_two_that_touch_obliquely_are_drawn_whole_without_holes_between_them():
    y, x = np.mgrid[:40, :40]
    across = (x - 20 - 0.37 * (y - 20)) * 0.94  # to the line between them
    disc = 1 / (1 + np.exp((np.hypot(y - 20, x - 20) - 15) * 2))
    probability = (disc * (1 - 0.75 * np.exp(-((across / 0.8) ** 2)))).astype(np.float32)
    drawn = probability_to_labels(probability, min_size=20, split=0.5, shape=(101, 101))
    assert drawn.max() == 2
    for one in (1, 2):
        assert ndimage.label(drawn == one)[1] == 1
    holes = ndimage.label(drawn == 0)[1] - 1
    assert holes == 0


@pytest.mark.parametrize("corner", [False, True])
def test_a_pixel_between_two_objects_goes_to_the_one_with_more_of_it(corner):
    labels = np.repeat([[1, 1, 2, 2]], 4, axis=0).astype(np.int32)
    if corner:
        labels = np.maximum(labels, labels.T)
    grids, cut = Grids((4, 4), (12, 12)), Cut(0.5, None, np.zeros(3, bool))
    whole = slice(0, 12), slice(0, 12)
    drawn = draw_labels(labels, np.ones((4, 4), np.float32), cut, grids, whole)
    expected = np.kron(labels, np.ones((3, 3), np.int32))
    if corner:
        expected[5, 5] = 2  # 1 has 4 of 9 of it, 2 the other three corners
    np.testing.assert_array_equal(drawn, expected)
