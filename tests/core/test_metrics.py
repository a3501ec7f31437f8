from dataclasses import astuple

import numpy as np
import pytest
from skimage.metrics import adapted_rand_error, hausdorff_distance, variation_of_information

from napari_unet.core.errors import InputError
from napari_unet.core.metrics import average_precision, match_objects, pool, score


def squares(*boxes):
    labels = np.zeros((12, 12), np.int32)
    for i, box in enumerate(boxes, 1):
        labels[box] = i
    return labels


TRUTH = squares(np.s_[0:4, 0:4], np.s_[6:10, 6:10])
SHIFTED = squares(np.s_[0:4, 1:5], np.s_[6:10, 6:10])  # IoU 12/20 and 1


def test_scores_by_hand():
    scores = score(TRUTH, SHIFTED)
    assert scores.average_precision[0.5] == 1
    assert scores.average_precision[0.6] == 1
    assert scores.average_precision[0.65] == pytest.approx(1 / 3)
    assert scores.panoptic_quality == pytest.approx(0.8)
    assert scores.dice == pytest.approx(2 * 28 / 64)
    assert scores.iou == pytest.approx(28 / 36)
    assert scores.pixel_error == pytest.approx(8 / 144)
    assert scores.hausdorff == 1


def test_missed_and_extra_objects_by_hand():
    found = match_objects(TRUTH, squares(np.s_[0:4, 0:4], np.s_[10:12, 0:2]))
    assert (found.truth, found.missed, found.extra) == ([1], [2], [2])
    assert average_precision(TRUTH, squares(np.s_[0:4, 0:4], np.s_[10:12, 0:2])) == (1 / 3,)


def test_half_an_object_is_matched_once():
    halves = squares(np.s_[0:4, 0:2], np.s_[0:4, 2:4])
    found = match_objects(squares(np.s_[0:4, 0:4]), halves, 0.5)
    assert len(found.truth) == 1
    assert len(found.extra) == 1


def test_most_pairs_win_at_low_thresholds():
    truth, predicted = np.zeros((2, 1, 10), int)
    truth[0, :6], truth[0, 6:] = 1, 2
    predicted[0, 2:8], predicted[0, :2] = 1, 2
    # pairs: (1,1) 4/8, (1,2) 2/6, (2,1) 2/8; the best single pair would leave one alone
    assert len(match_objects(truth, predicted, 0.2).truth) == 2


def test_empty_images_are_defined():
    nothing = np.zeros_like(TRUTH)
    both, missed, extra = score(nothing, nothing), score(TRUTH, nothing), score(nothing, TRUTH)
    assert both.average_precision[0.5] == both.dice == both.panoptic_quality == 1
    assert both.hausdorff == 0
    for one in (missed, extra):
        assert one.average_precision[0.5] == one.dice == one.boundary_f1 == 0
        assert one.hausdorff == np.inf


def test_regions_and_distances_agree_with_scikit_image():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 5, (2, 20, 30))
    scores = score(truth, predicted)
    alone = predicted.copy()
    alone[predicted == 0] = 100 + np.arange((predicted == 0).sum())
    expected = 1 - adapted_rand_error(truth, alone, ignore_labels=(0,))[0]
    assert scores.foreground_rand == pytest.approx(expected)
    bits = variation_of_information(truth, predicted)
    assert (scores.split_information, scores.merge_information) == pytest.approx(tuple(bits))
    frame, other = np.zeros((2, 20, 20), int)
    frame[3:4, 3:9], other[10:11, 2:15] = 1, 1  # one pixel thin: all is surface
    assert score(frame, other).hausdorff == pytest.approx(hausdorff_distance(frame, other))


def test_numbering_does_not_matter():
    names = np.array([0, 2**40, 7])
    plain, renamed = score(TRUTH, SHIFTED), score(names[TRUTH], SHIFTED)
    assert astuple(renamed)[1:] == pytest.approx(astuple(plain)[1:])
    assert renamed.found == plain.found


def test_pooling_adds_counts():
    together = pool([score(TRUTH, TRUTH), score(TRUTH, np.zeros_like(TRUTH))])
    assert together.average_precision[0.5] == 0.5
    assert together.recall == 0.5
    assert together.precision == 1


def test_shapes_must_agree():
    with pytest.raises(InputError, match="same shape"):
        score(TRUTH, TRUTH[:5])


def test_aggregated_jaccard_by_hand():
    # 1 goes with the shifted one, 12 of 20; 2 is found, 16 of 16; a false one adds its 4 pixels
    found = squares(np.s_[0:4, 1:5], np.s_[6:10, 6:10], np.s_[0:2, 10:12])
    assert score(TRUTH, found).aggregated_jaccard == pytest.approx((12 + 16) / (20 + 16 + 4))
    nothing = np.zeros_like(TRUTH)
    assert score(TRUTH, nothing).aggregated_jaccard == 0
    assert score(nothing, nothing).aggregated_jaccard == 1


def test_pixels_and_mean_iou_agree_with_counting():
    rng = np.random.default_rng(4)
    truth, predicted = rng.integers(0, 3, (2, 16, 16))
    scores = score(truth, predicted)
    one, other = truth > 0, predicted > 0
    ious = [(a & b).sum() / (a | b).sum() for a, b in ((one, other), (~one, ~other))]
    assert scores.mean_iou == pytest.approx(np.mean(ious))
    assert scores.pixel_accuracy == pytest.approx((one == other).mean())
    assert scores.variation_of_information == pytest.approx(
        sum(variation_of_information(truth, predicted))
    )


def test_distances_agree_with_those_between_all_pairs_of_surface_pixels():
    rng = np.random.default_rng(5)
    thin = [np.zeros((30, 30), int) for _ in range(2)]
    for labels in thin:
        labels[tuple(rng.integers(0, 30, (2, 40)))] = 1
    far = [np.argwhere(labels) for labels in thin]
    away = np.linalg.norm(far[0][:, None] - far[1][None], axis=-1)
    ways = away.min(axis=1), away.min(axis=0)
    scores = score(*thin)  # so few pixels that each is one of the surface
    assert scores.hausdorff_95 == pytest.approx(max(np.percentile(way, 95) for way in ways))
    assert scores.surface_distance == pytest.approx(np.concatenate(ways).mean())
    assert scores.hausdorff == pytest.approx(max(way.max() for way in ways))
