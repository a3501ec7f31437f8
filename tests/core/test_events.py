import pickle

import numpy as np
import pytest

from napari_unet.core.events import KeptAsideScore, TeachSummary, TileResult, TrainProgress


def tile(values):
    return TileResult(3, 4, np.array([[values]], np.float32), 1, 5)


def test_quantising_rounds_to_the_nearest_of_256_steps():
    small = tile([0.0, 0.4 / 255, 0.6 / 255, 0.25, 0.999, 1.0]).quantised()
    np.testing.assert_array_equal(small.probability[0, 0], [0, 0, 1, 64, 255, 255])
    assert small.probability.dtype == np.uint8
    assert (small.y, small.x, small.index, small.count) == (3, 4, 1, 5)


def test_quantising_errs_by_half_a_step_at_most():
    exact = tile(np.random.default_rng(0).random(1000))
    back = exact.quantised().probability / 255
    assert np.abs(back - exact.probability).max() <= 0.5 / 255 + 1e-6


def test_quantising_twice_changes_nothing():
    once = tile([0.1]).quantised()
    assert once.quantised() is once


def summary(**changes):
    values = {
        "before": 0.52,
        "after": 0.84,
        "cells_taught": 12,
        "cells_kept_aside": 9,
        "improved": True,
        "seconds": 30.0,
        "steps": 100,
    }
    return TeachSummary(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {},
            "Learnt from 12 checked cells; on 9 corrected cells kept aside: "
            "before 0.52, after 0.84.",
        ),
        (
            {"cells_taught": 1, "cells_kept_aside": 1},
            "Learnt from 1 checked cell; on 1 corrected cell kept aside: before 0.52, after 0.84.",
        ),
        (
            {"after": 0.4, "improved": False},
            "Teaching did not help on 9 corrected cells kept aside (before 0.52, after 0.40), "
            "so the model before stays; check a few more cells and teach again.",
        ),
        (
            {"before": 0.2, "after": 0.1, "improved": False, "rehearsed": True},
            "Teaching did not help on 9 corrected cells kept aside (before 0.20, after 0.10), so "
            "the model before stays; check a few more cells, or move Keep to the left, and teach "
            "again.",
        ),
        (
            {"before": 0.2, "after": 0.4, "rehearsed": True},
            "Learnt from 12 checked cells; on 9 corrected cells kept aside: "
            "before 0.20, after 0.40; move Keep to the left to learn more freely.",
        ),
        (
            {"before": 0.3, "after": 0.29, "rehearsed": True},
            "Learnt from 12 checked cells; on 9 corrected cells kept aside: before 0.30, after "
            "0.29 but closer; teach again for longer and move Keep to the left to learn more "
            "freely.",
        ),
        (
            {"rehearsed": True},
            "Learnt from 12 checked cells; on 9 corrected cells kept aside: "
            "before 0.52, after 0.84.",
        ),
        (
            {"before": None, "after": None, "cells_kept_aside": 0, "cells_taught": 2},
            "Learnt from 2 checked cells; too few were checked to keep any aside and test on them.",
        ),
        (
            {"before": None, "after": None, "cells_kept_aside": 0, "cells_taught": 0},
            "Learnt from checked background alone; too few were checked to keep any aside and test "
            "on them.",
        ),
    ],
)
def test_the_end_of_teaching_is_one_plain_sentence(changes, sentence):
    assert summary(**changes).sentence == sentence


@pytest.mark.parametrize(
    "event", [TrainProgress(1, 0.5, 0.1, 0.7), KeptAsideScore(1, 0.5, 0.8, 9), summary()]
)
def test_events_travel_between_processes(event):
    assert pickle.loads(pickle.dumps(event)) == event


def test_tiles_travel_between_processes():
    back = pickle.loads(pickle.dumps(tile([0.5]).quantised()))
    np.testing.assert_array_equal(back.probability, [[[128]]])
