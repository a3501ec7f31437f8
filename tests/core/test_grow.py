import numpy as np
import pytest
from scipy import ndimage
from skimage.data import binary_blobs

from napari_unet.core.grow import grow_where
from napari_unet.core.instances import components


@pytest.fixture
def labels():
    return components(binary_blobs(90, blob_size_fraction=0.1, volume_fraction=0.2, rng=0))


def test_only_some_grow_and_only_where_it_is_likely_enough():
    labels = np.array([[0, 0, 0, 0, 0], [0, 1, 0, 0, 2], [0, 0, 0, 0, 0]], np.int32)
    probability = np.full(labels.shape, 0.9, np.float32)
    probability[0, 3] = probability[1, 0] = probability[2, 1] = 0.5
    grow_where(labels, probability, 0.6, np.array([False, True, False]))
    assert labels.tolist() == [[0, 1, 0, 0, 0], [0, 1, 1, 0, 2], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize("least", [0, 2**30])
def test_the_same_in_two_threads(labels, least, monkeypatch):
    monkeypatch.setattr("napari_unet.core.threads.LEAST", least)
    probability = np.random.default_rng(0).random(labels.shape).astype(np.float32)
    may_grow = np.arange(labels.max() + 1) % 2 == 1
    cross = ndimage.generate_binary_structure(2, 1)
    around = ndimage.grey_dilation(np.where(may_grow[labels], labels, 0), footprint=cross)
    expected = np.where((labels == 0) & (probability >= 0.4), around, labels)
    assert (expected != labels).sum() > 50
    grow_where(labels, probability, 0.4, may_grow)
    np.testing.assert_array_equal(labels, expected)
