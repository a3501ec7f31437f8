"""What tests of journals share: a pair that is kept, and what a file says of it."""

import numpy as np

from napari_unet.session.compact import kept_planes
from napari_unet.session.image import Image
from napari_unet.session.journal import Journal
from napari_unet.session.pair import Pair

SHAPE = (3, 40, 50)


def noise(seed=0, shape=SHAPE):
    return np.random.default_rng(seed).integers(0, 255, shape, np.uint8)


def kept_pair(folder, name="cells", seed=0):
    """A pair of a stack, and its journal."""
    image = Image(name, noise(seed), "ZYX")
    pair = Pair(image, np.zeros(SHAPE, np.int32), np.zeros(SHAPE, np.uint8))
    journal = Journal(folder, image)
    pair.ledger.keep = journal.append
    return pair, journal


def stroke(pair, place, number, box=np.s_[5:9, 5:12]):
    pair.labels[place][box] = number
    pair.absorb((place,))


def arrays_in(path, shape=SHAPE):
    """Labels and checked area as the file has them."""
    labels, checked = np.zeros(shape, np.int32), np.zeros(shape, np.uint8)
    for plane in kept_planes(path):
        labels[plane.place], checked[plane.place] = plane.labels, plane.checked
    return labels, checked


def assert_kept(path, pair):
    labels, checked = arrays_in(path)
    np.testing.assert_array_equal(labels, pair.labels)
    np.testing.assert_array_equal(checked, pair.checked)
