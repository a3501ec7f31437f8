import numpy as np
import pytest
from skimage.metrics import contingency_table

from napari_unet.core.class_metrics import pool_classes, score_classes
from napari_unet.core.errors import InputError

TRUTH = np.array([[0, 0, 1, 1], [0, 2, 2, 2]])
FOUND = np.array([[0, 1, 1, 1], [0, 2, 2, 0]])


def test_scores_by_hand():
    scores = score_classes(TRUTH, FOUND, 3)
    assert scores.iou == pytest.approx([2 / 4, 2 / 3, 2 / 3])
    assert scores.dice == pytest.approx([4 / 6, 4 / 5, 4 / 5])
    assert scores.mean_iou == pytest.approx((2 / 4 + 2 / 3 + 2 / 3) / 3)
    assert scores.pixel_accuracy == pytest.approx(6 / 8)


def test_counts_are_those_of_scikit_image():
    truth, found = np.random.default_rng(0).integers(0, 4, (2, 30, 20))
    theirs = contingency_table(truth, found).toarray()
    assert (score_classes(truth, found, 4).counts == theirs).all()


def test_a_class_that_never_occurs_does_not_count():
    assert np.isnan(score_classes(TRUTH, FOUND, 4).iou[3])
    assert score_classes(TRUTH, FOUND, 4).mean_iou == score_classes(TRUTH, FOUND, 3).mean_iou


def test_pooling_adds_pixels_and_strange_classes_are_refused():
    one = score_classes(TRUTH, FOUND, 3)
    assert pool_classes([one, one]).mean_iou == one.mean_iou
    with pytest.raises(InputError, match="class 2"):
        score_classes(TRUTH, FOUND, 2)
    with pytest.raises(InputError, match="same shape"):
        score_classes(TRUTH, FOUND[:1], 3)
