import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core import drawn
from napari_unet.core.blocks import (
    BlockSettings,
    blocks_of,
    join_blocks,
    label_block,
    label_blocks,
)
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.library import find_model
from napari_unet.core.model_file import load_model
from napari_unet.core.targets import labels_to_classes


def blobs(shape=(200, 260), seed=0, sigma=4.0):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return (255 / (1 + np.exp(-6 * noise / noise.std()))).astype(np.uint8)


def in_memory(probability, settings):
    return probability_to_labels(
        probability,
        threshold=settings.threshold,
        min_size=settings.min_size,
        split=settings.split,
        score=settings.score,
    )


def in_blocks(probability, settings):
    out = np.full(probability.shape, -1, np.int32)
    count = label_blocks(probability, out, settings)
    assert set(np.unique(out)) - {0} == set(range(1, count + 1))
    return out


def assert_same_objects(one, other):
    """Equal up to numbering."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    assert len(pairs[0]) == len(np.unique(one)) == len(np.unique(other))
    np.testing.assert_array_equal(one > 0, other > 0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("block", "margin"), [(64, 8), (50, 32), (300, 8)])
@pytest.mark.parametrize("split", [0.0, 0.5])
def test_objects_are_those_of_the_whole_image(seed, block, margin, split):
    probability = blobs(seed=seed)
    settings = BlockSettings(0.75, 12, split, block=block, margin=margin, most_margin=512)
    whole = in_memory(probability, settings)
    assert whole.max() > 10
    assert_same_objects(in_blocks(probability, settings), whole)


def test_objects_judged_by_their_looks_are_those_of_the_whole_image():
    score = load_model(find_model("nuclei-fluorescence")).config.score
    classes = labels_to_classes(drawn.nuclei((220, 240), seed=3)[1])
    probability = (ndimage.gaussian_filter(255.0 * classes, 1.5)).astype(np.uint8)
    settings = BlockSettings(0.4, 30, 0.5, score, block=70, margin=16, most_margin=256)
    whole = in_memory(probability, settings)
    assert whole.max() > 10
    assert_same_objects(in_blocks(probability, settings), whole)


def test_blocks_are_joined_in_whatever_order_they_were_made():
    probability = blobs(seed=1)
    settings = BlockSettings(0.75, 12, block=50, margin=16, most_margin=512)
    cores = list(blocks_of(probability.shape, 50))
    out = np.zeros(probability.shape, np.int32)
    made = [label_block(probability, core, settings) for core in cores]
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(cores))
        numbers = join_blocks([made[index][1] for index in order])
        for index, number in zip(order, numbers, strict=True):
            out[cores[index]] = number[made[index][0]]
        assert_same_objects(out, in_memory(probability, settings))


def test_an_object_over_many_blocks_is_one_even_if_no_margin_holds_it():
    probability = np.zeros((160, 160), np.uint8)
    probability[80:84] = probability[:, 20:24] = probability[:, 130:134] = 255
    probability[10:14, 60:100] = 255
    settings = BlockSettings(block=32, margin=4, most_margin=8, min_size=1)
    out = in_blocks(probability, settings)
    assert out.max() == 2
    np.testing.assert_array_equal(out > 0, probability > 0)


def test_objects_that_touch_at_the_corner_of_four_blocks_are_one():
    probability = np.zeros((64, 64), np.uint8)
    probability[20:32, 20:32] = probability[32:40, 32:40] = 255
    settings = BlockSettings(block=32, margin=2, most_margin=2, min_size=1)
    assert in_blocks(probability, settings).max() == 1


def test_neighbours_across_a_seam_stay_two():
    probability = np.zeros((40, 64), np.uint8)
    probability[10:30, 20:31] = probability[10:30, 34:50] = 255
    settings = BlockSettings(block=32, margin=16, min_size=1)
    assert in_blocks(probability, settings).max() == 2


@pytest.mark.parametrize("shape", [(1, 1), (30, 1), (33, 65)])
def test_an_image_without_objects_has_none(shape):
    out = in_blocks(np.zeros(shape, np.uint8), BlockSettings(block=32, margin=4))
    assert not out.any()


def test_no_more_than_a_block_with_its_margin_is_read_at_a_time():
    class Parts:
        """Notes how much is read and written at a time."""

        def __init__(self, array):
            self.array, self.shape, self.most = array, array.shape, 0

        def __getitem__(self, index):
            part = self.array[index]
            self.most = max(self.most, part.size)
            return part

        def __setitem__(self, index, value):
            self.most = max(self.most, np.size(value))
            self.array[index] = value

    probability = np.zeros((300, 300), np.uint8)
    probability[::20, ::20] = 255
    read, written = Parts(probability), Parts(np.zeros((300, 300), np.int32))
    settings = BlockSettings(block=50, margin=10, min_size=1)
    assert label_blocks(read, written, settings) == 225
    assert read.most <= 70 * 70 and written.most <= 50 * 50
