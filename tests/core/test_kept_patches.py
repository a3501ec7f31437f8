"""Patches of classes kept aside: which, and how models are scored on them."""

from dataclasses import replace

import numpy as np
import pytest

from napari_unet.core import kept_patches as kept_patches_module
from napari_unet.core import with_classes
from napari_unet.core.example import Example
from napari_unet.core.kept_patches import (
    FEWEST,
    all_patches,
    count_patches,
    keep_patches_aside,
)
from small_scenes import small_model

SHAPE = (128, 160)  # 20 patches


def whole(seed=0):
    labels = np.random.default_rng(seed).integers(0, 3, SHAPE).astype(np.int32)
    return Example(labels.astype(np.float32), labels, semantic=True)


@pytest.fixture
def finds(monkeypatch):
    """Let the network find classes as a function makes them of the image."""

    def finds(make):
        def predict(image_cyx, model, **_):
            return np.moveaxis(np.eye(3)[make(image_cyx[0].astype(int))], -1, 0)

        monkeypatch.setattr(kept_patches_module, "predict_plane", predict)

    return finds


def model():
    return with_classes(small_model(), ["a", "b"])


def test_a_fifth_is_kept_aside_and_the_rest_is_learnt():
    examples = [whole(), whole(1)]
    taught, aside = keep_patches_aside(examples, seed=3)
    assert aside.cells == 8
    left = sum(one.mask.sum() for one in taught)
    kept = sum(region.mask.sum() for region in aside.regions)
    assert left == 32 * 32 * 32 and kept == 8 * 32 * 32
    assert all(one.labels is before.labels for one, before in zip(taught, examples, strict=True))


def test_few_patches_are_all_learnt():
    checked = np.zeros(SHAPE, bool)
    checked[:32, :] = checked[32:64, : 32 * (FEWEST - 6)] = True  # 5 and 4
    few = replace(whole(), checked=checked)
    assert count_patches(few) == 9
    taught, aside = keep_patches_aside([few])
    assert aside is None and taught == [few]
    assert all_patches([few]).cells == 9


def test_a_few_pixels_are_no_patch():
    checked = np.zeros(SHAPE, bool)
    checked[5, 5:12] = True
    assert count_patches(replace(whole(), checked=checked)) == 0
    assert all_patches([replace(whole(), checked=checked)]) is None
    checked[5, 12] = True
    assert count_patches(replace(whole(), checked=checked)) == 1


def test_the_score_is_the_mean_iou_by_hand(finds):
    checked = np.zeros(SHAPE, bool)
    checked[:4, :30] = True
    one = replace(whole(), checked=checked)
    labels = one.labels
    labels[:4, :10], labels[:4, 10:20], labels[:4, 20:30] = 0, 1, 2
    one = replace(one, image=labels.astype(np.float32))
    cells = all_patches([one])
    finds(lambda classes: classes)
    assert cells.mark(model()).score == 1
    assert cells.mark(model()).loss == pytest.approx(0, abs=1e-6)
    finds(lambda classes: np.where(classes == 2, 1, classes))  # 40 pixels each
    mark = cells.mark(model())
    assert mark.score == pytest.approx((1 + 40 / 80 + 0) / 3)
    assert mark.loss == pytest.approx(1 / 3)
    labels[:4, 20:30] = 1  # a class that does not occur does not count
    one = replace(one, image=np.where(labels == 1, 1.0, 0.0).astype(np.float32), labels=labels)
    finds(lambda classes: classes)
    assert all_patches([one]).mark(model()).score == 1
