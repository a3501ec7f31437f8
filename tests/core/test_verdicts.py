import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.core.evaluation import evaluate, measures
from napari_unet.core.metrics import match_objects
from napari_unet.core.verdicts import Verdict, compare_objects


def scene():
    """One of each: a hit, a miss, a false one, a split one, and two that are merged."""
    truth, found = np.zeros((2, 40, 40), np.int32)
    truth[2:8, 2:8], found[2:8, 3:8] = 11, 1  # IoU 30 / 36
    truth[2:8, 20:26] = 12
    found[2:6, 30:36] = 3
    truth[12:20, 2:18] = 13
    found[12:20, 2:9], found[12:20, 10:18] = 4, 5
    truth[25:35, 2:10], truth[25:35, 10:18] = 14, 15
    found[25:35, 2:18] = 6
    return truth, found


def rows(objects):
    return {
        (Verdict(verdict).name, int(truth), int(found))
        for verdict, truth, found in zip(
            objects.verdict, objects.truth, objects.prediction, strict=True
        )
    }


def test_each_object_has_its_verdict_by_hand():
    compared = compare_objects(*scene(), iou=0.6)
    assert rows(compared.objects) == {
        ("HIT", 11, 1),
        ("MISSED", 12, 0),
        ("FALSE", 0, 3),
        ("SPLIT", 13, 5),
        ("SPLIT", 13, 4),
        ("MERGED", 14, 6),
        ("MERGED", 15, 6),
    }
    assert len(compared.objects) == 9  # both parts and what they are parts of, all that is merged
    hit = compared.objects.verdict == Verdict.HIT
    assert compared.objects.iou[hit] == pytest.approx([30 / 36])
    assert compared.objects.center[hit] == pytest.approx(np.array([[4.5, 4.5]]))
    assert compared.objects.pixels[hit] == [36]


def test_the_map_shows_what_is_found_and_true_objects_that_are_not():
    truth, found = scene()
    painted = compare_objects(truth, found, iou=0.6).map
    at = {name: painted[place] for name, place in PLACES.items()}
    assert at == {
        "hit": Verdict.HIT,
        "edge of a hit": 0,
        "missed": Verdict.MISSED,
        "false": Verdict.FALSE,
        "part": Verdict.SPLIT,
        "between the parts": Verdict.SPLIT,
        "merged": Verdict.MERGED,
        "ground": 0,
    }


PLACES = {
    "hit": (4, 5),
    "edge of a hit": (4, 2),
    "missed": (4, 22),
    "false": (4, 32),
    "part": (14, 4),
    "between the parts": (14, 9),
    "merged": (30, 4),
    "ground": (38, 38),
}


def test_hits_misses_and_false_ones_are_those_of_matching():
    rng = np.random.default_rng(1)
    truth, found = rng.integers(0, 9, (2, 12, 12)).repeat(3, 1).repeat(3, 2)
    compared, matches = compare_objects(truth, found, 0.3).objects, match_objects(truth, found, 0.3)
    hits = compared.verdict == Verdict.HIT
    assert hits.sum() == len(matches.truth)
    assert set(compared.truth[hits]) == set(matches.truth)
    lost = set(compared.truth[~hits]) - {0}
    assert lost <= set(matches.missed) | set(matches.truth)
    assert len(compared) == len(matches.truth) + len(matches.missed) + len(matches.extra)


def test_nothing_to_compare_is_an_empty_list():
    compared = compare_objects(np.zeros((5, 6), int), np.zeros((5, 6), int))
    assert len(compared.objects) == 0
    assert compared.objects.center.shape == (0, 2)
    assert not compared.map.any()


def test_planes_of_a_stack_are_compared_one_by_one():
    truth, found = scene()
    seen = []
    stack = evaluate(
        np.stack([truth, truth]),
        np.stack([found, truth]),
        iou=0.6,
        progress=lambda *done: seen.append(done),
    )
    assert seen == [(1, 2), (2, 2)]
    assert stack.scores.n_truth == 10  # the same number on two planes is two objects
    assert stack.objects.center.shape[1] == 3
    in_second = stack.objects.center[:, 0] == 1
    assert (stack.objects.verdict[in_second] == Verdict.HIT).all()
    assert stack.map.shape == (2, 40, 40)
    assert evaluate(np.stack([truth] * 2), np.stack([truth] * 2), volume=True).scores.n_truth == 5


def test_columns_name_verdicts_and_axes():
    columns = compare_objects(*scene()).objects.columns("YX")
    assert list(columns) == ["verdict", "truth", "prediction", "iou", "pixels", "y", "x"]
    assert set(columns["verdict"]) == {"hit", "missed", "false", "split", "merged"}


def test_measures_have_a_name_each_and_shapes_must_agree():
    truth, found = scene()
    named = measures(evaluate(truth, found).scores)
    assert {"PQ", "AJI", "warping error", "mean IoU", "Hausdorff distance, 95 %"} <= set(named)
    with pytest.raises(InputError, match="same shape"):
        evaluate(truth, found[:9])
    with pytest.raises(InputError, match="no scores"):
        evaluate(np.zeros((0, 5, 5), int), np.zeros((0, 5, 5), int))
