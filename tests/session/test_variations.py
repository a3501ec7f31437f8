"""Variants of a patch come from the worker, and the texts are those that training reads."""

import time

import numpy as np
import pytest

from napari_unet.core.train_settings import TRAIN_SETTINGS
from napari_unet.engine.runner import InlineRunner
from napari_unet.session.image import Image
from napari_unet.session.session import Session
from napari_unet.session.variations import Variations, as_text, mosaic


@pytest.fixture
def variations():
    session = Session(InlineRunner())
    yield Variations(session)
    session.close()


def answer(variations):
    """Pump until something has come."""
    done, failed = [], []
    variations.done.connect(done.append)
    variations.failed.connect(failed.append)
    end = time.monotonic() + 60
    while variations.busy:
        assert time.monotonic() < end
        variations.pump()
        time.sleep(0.001)
    return done, failed


def scene():
    data = np.random.default_rng(0).random((2, 200, 210))
    return Image("noise", data, "CYX", (0, 1))


def test_the_patch_comes_first_and_the_same_seed_draws_the_same(variations):
    image = scene()
    found = []
    for seed in (0, 0, 1):
        variations.start(image, (), (100.0, 100.0), "noise=0.3", seed)
        (patches,), _ = answer(variations)
        found.append(patches)
    assert found[0].shape == (6, 2, 160, 160)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0][0], found[2][0])  # as it is, whatever is drawn
    assert not np.array_equal(found[0][1], found[2][1])


def test_nothing_varied_is_the_patch_itself(variations):
    still = "rotate=no,flip=no,scale=1-1,elastic_sigma=0,brightness=0,contrast=1-1,gamma=1-1"
    variations.start(scene(), (), (100.0, 100.0), still + ",noise=0,blur=0,shade=0", 0)
    (patches,), _ = answer(variations)
    assert np.allclose(patches, patches[0], atol=1e-5)


def test_objects_vary_where_their_labels_are_given(variations):
    still = "rotate=no,flip=no,scale=1-1,elastic_sigma=0,brightness=0,contrast=1-1,gamma=1-1"
    settings = still + ",noise=0,blur=0,shade=0,rim=0.9"
    labels = np.zeros((200, 210), np.int32)
    labels[80:120, 80:120] = 7
    data = np.where(labels > 0, 200, 10).astype(np.uint8)
    image = Image("square", data, "YX", ())
    variations.start(image, (), (100.0, 100.0), settings, 0, labels)
    labels[:] = 0  # what the user does meanwhile does not matter
    (patches,), _ = answer(variations)
    middle, corner = patches[:, 0, 80, 80], patches[:, 0, 61, 61]
    assert np.allclose(middle, middle[0], atol=0.02)
    assert corner[1:].min() < corner[0] - 0.2
    variations.start(image, (), (100.0, 100.0), settings, 0)
    (patches,), _ = answer(variations)
    assert np.allclose(patches, patches[0], atol=1e-5)


def test_what_cannot_be_read_is_a_sentence(variations):
    variations.start(scene(), (), (10.0, 10.0), "nois=1", 0)
    _, failed = answer(variations)
    assert "not known" in failed[0]


def test_texts_are_those_that_training_reads():
    text = as_text({"flip": False, "noise": 0.25, "scale": 1.25})
    assert text == "flip=no,noise=0.25,scale=0.8-1.25"
    changed = TRAIN_SETTINGS.augment.changed(text)
    assert (changed.flip, changed.noise, changed.scale) == (False, 0.25, (0.8, 1.25))


def test_patches_lie_side_by_side_in_rows():
    patches = np.stack([np.full((2, 4, 5), level) for level in (-0.1, 0.55, 1.2)])
    grey = mosaic(patches.astype(np.float32), 2)
    assert grey.shape == (8, 10)
    assert grey[0, 0] == 0 and grey[0, 5] == 128 and grey[4, 0] == 255
    assert not grey[4:, 5:].any()
