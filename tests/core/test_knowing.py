"""A model knows a kind of image where most of what it finds looks like true objects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core import drawn
from napari_unet.core.example import Example
from napari_unet.core.knowing import what_is_known, with_believed
from napari_unet.core.model_file import load_model


@pytest.fixture(scope="module")
def model():
    return load_model("nuclei-fluorescence")


def scene(*, negative=False, checked=None):
    image, labels = drawn.varied_nuclei((320, 320), 3)
    mask = np.zeros(labels.shape, np.uint8)
    mask[:40, :40] = 1
    image = image.max() - image if negative else image
    return Example(image, labels, mask if checked is None else checked, "YX", 24.0)


def test_bright_nuclei_are_known_whatever_was_corrected_of_them(model):
    wrong = replace(scene(), labels=np.zeros((320, 320), np.int32))
    assert what_is_known(model, [scene()], precision="float32").is_known
    assert what_is_known(model, [wrong], precision="float32").is_known


def test_their_negative_is_not_known(model):
    assert not what_is_known(model, [scene(negative=True)], precision="float32").is_known


def test_of_few_objects_nothing_is_said(model):
    image, labels = drawn.varied_nuclei((320, 320), 3)
    few = Example(image[:48, :48], labels[:48, :48], np.ones((48, 48), np.uint8), "YX", 24.0)
    assert not what_is_known(model, [few], precision="float32").is_known


def test_a_model_that_has_no_score_of_objects_is_not_believed(model):
    plain = replace(model, config=replace(model.config, object_score=()))
    assert not what_is_known(plain, [scene()], precision="float32").is_known


def test_what_is_near_the_checked_area_counts(model):
    """Nuclei to the left, noise far to the right: it depends on where somebody has corrected."""
    bright, labels = drawn.varied_nuclei((320, 320), 3)
    noise = np.random.default_rng(0).normal(float(np.median(bright)), 1e-3, (320, 900))
    image = np.hstack([bright, noise]).astype(np.float32)
    wide = np.hstack([labels, np.zeros((320, 900), np.int32)])
    for column, known in ((0, True), (1180, False)):
        mask = np.zeros(wide.shape, np.uint8)
        mask[:20, column : column + 20] = 1
        assert what_is_known(model, [Example(image, wide, mask, "YX", 24.0)]).is_known == known


def test_what_looks_right_counts_as_checked_beside_what_was_corrected(model):
    """A nucleus of which somebody has erased a part is not believed any more."""
    image, truth = drawn.varied_nuclei((320, 320), 3)
    y, x = (int(side.mean()) for side in np.nonzero(truth == 5))
    checked = np.zeros(truth.shape, bool)
    checked[y - 6 : y + 7, x - 6 : x + 7] = True
    own = Example(image, np.zeros(truth.shape, np.int32), checked, "YX", 24.0)
    known = what_is_known(model, [own], precision="float32")
    (joined,) = with_believed([own], known)
    assert not joined.labels[checked].any() and joined.mask[checked].all()
    assert not known.believed[0].mask[checked].any()
    assert not joined.mask[(truth == 5) & ~checked].all()  # what was cut is nobody's
    others = joined.mask & (truth != 5)
    agreed = (joined.labels[others] > 0) == (truth[others] > 0)
    assert others.mean() > 0.5 and agreed.mean() > 0.97


def test_of_a_kind_that_is_not_known_nothing_is_believed(model):
    dark = scene(negative=True)
    known = what_is_known(model, [dark], precision="float32")
    assert known.believed == () and with_believed([dark], known) == [dark]


def wider(labels, pixels):
    """Draw labels wider, or tighter by less than 0 pixels."""
    if pixels < 0:
        inner = ndimage.binary_erosion(labels > 0, iterations=-pixels)
        return np.where(inner, labels, 0)
    return ndimage.grey_dilation(labels, size=1 + 2 * pixels)


@pytest.mark.parametrize(("pixels", "low", "high"), [(0, 1, 1), (2, 1.2, 1.7), (-3, 0.4, 0.8)])
def test_outlines_are_believed_where_they_were_drawn_on_the_cells_that_were_found(
    model, pixels, low, high
):
    """Four nuclei are drawn wider or tighter than the model does: then so are the others."""
    image, truth = drawn.varied_nuclei((320, 320), 3)
    few = np.where(np.isin(truth, (4, 5, 6, 7)), truth, 0)
    labels, checked = wider(few, pixels), wider(few, 4) > 0
    own = Example(image, labels, checked, "YX", 24.0)
    (believed,) = what_is_known(model, [own], precision="float32").believed
    nothing = [replace(own, checked=np.zeros_like(checked))]
    (plain,) = what_is_known(
        model, [replace(own, labels=few)], taught=nothing, precision="float32"
    ).believed
    there = ~checked & (plain.labels > 0)
    grown = np.count_nonzero(believed.labels[~checked]) / np.count_nonzero(there)
    assert low <= grown <= high
    if pixels == 0:
        np.testing.assert_array_equal(believed.labels, plain.labels)
        np.testing.assert_array_equal(believed.mask, plain.mask)
    if pixels < 0:  # what was cut off is ground that is learnt, with what lies beside it
        likely = (plain.labels > 0) & plain.mask
        beside = wider(likely.astype(np.uint8), 1) > 0
        beside &= ~checked & (plain.labels == 0)
        assert not believed.labels[beside].any()
        assert believed.mask[beside].mean() > 0.9 > 0.5 > plain.mask[beside].mean()


def test_few_objects_are_believed_where_their_outlines_are_confirmed(model):
    """Four nuclei alone say nothing; three of them were checked, and drawn as they were found."""
    image, truth = drawn.varied_nuclei((320, 320), 3)
    numbers = [4, 5, 6, 7]
    lonely = np.where(np.isin(truth, numbers), image, np.median(image[truth == 0]))
    lonely = ndimage.gaussian_filter(lonely.astype(np.float32), 1)
    labels = np.where(np.isin(truth, numbers), truth, 0)
    for checked, known in ((1, False), (3, True)):
        mask = wider(np.isin(truth, numbers[:checked]).astype(np.uint8), 3) > 0
        own = Example(lonely, labels, mask, "YX", 24.0)
        assert what_is_known(model, [own], precision="float32").is_known == known


def test_nuclei_fused_in_pairs_look_right_and_are_not_believed(model):
    """Each looks like a nucleus; the checked ones say that each is two."""
    image, truth = drawn.varied_nuclei((320, 320), 3)
    halves = truth.copy()
    for number in range(1, truth.max() + 1):
        columns = np.nonzero(truth == number)[1]
        if len(columns):
            beyond = (truth == number) & (np.arange(320) > np.median(columns))
            halves[beyond] = number + 1000
    for count, known in ((2, True), (6, False)):
        few = np.isin(halves % 1000, np.arange(1, count + 1))
        cut = Example(
            image, np.where(few, halves, 0), wider(few.astype(np.uint8), 2) > 0, "YX", 24.0
        )
        assert what_is_known(model, [cut], precision="float32").is_known == known


def test_a_model_that_is_wrong_about_all_that_is_checked_is_not_believed(model):
    """What it finds was erased, and a cell drawn on what it takes for ground."""
    image, truth = drawn.varied_nuclei((320, 320), 3)
    cells = np.zeros(truth.shape, bool)
    cells[100:130, 100:130] = True
    ground = truth == 0
    labels = np.where(cells & ground, 1, 0).astype(np.int32)
    checked = wider((truth > 0).astype(np.uint8), 0) > 0
    checked |= cells
    assert not what_is_known(
        model, [Example(image, labels, checked, "YX", 24.0)], precision="float32"
    ).is_known
