"""What is worth a look comes first; what is checked or sure does not come."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.core.uncertainty import (
    MISSED,
    ODD_SHAPE,
    TOO_LARGE,
    TOO_SMALL,
    UNSURE,
    WORTH_LOOKING,
    rank_doubts,
)

SIDE, STEP, RADIUS = 200, 40, 10


def discs(radii=None):
    """Labels of 25 discs on a grid; one may have another radius."""
    labels = np.zeros((SIDE, SIDE), np.int32)
    y, x = np.mgrid[:SIDE, :SIDE]
    for number in range(1, 26):
        row, column = divmod(number - 1, 5)
        radius = (radii or {}).get(number, RADIUS + 0.3 * (number % 3))
        away = np.hypot(y - row * STEP - 20, x - column * STEP - 20)
        labels[away <= radius] = number
    return labels


def sure(labels):
    return np.where(labels > 0, 0.99, 0.01).astype(np.float32)


def worth(doubts):
    return [doubt for doubt in doubts if doubt.score >= WORTH_LOOKING]


def test_what_is_sure_and_alike_is_not_worth_a_look():
    labels = discs()
    assert worth(rank_doubts(labels, sure(labels))) == []


def test_an_unsure_object_comes_first():
    labels = discs()
    belief = sure(labels)
    belief[labels == 7] = 0.6
    belief[labels == 9] = 0.9
    first, second, third, *_ = rank_doubts(labels, belief)
    assert (first.number, first.reason) == (7, UNSURE)
    assert first.score == pytest.approx(1 / (1 + np.exp(5.6 - 19 * 0.4)), abs=0.1)
    assert second.number == 9 and third.score < second.score < WORTH_LOOKING
    assert first.center == (60, 60)
    rows, columns = np.nonzero(labels == 7)
    assert first.box == (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))


def test_bytes_are_probabilities_too():
    labels = discs()
    belief = sure(labels)
    belief[labels == 7] = 0.6
    as_bytes = np.rint(255 * belief).astype(np.uint8)
    first, same = rank_doubts(labels, as_bytes)[0], rank_doubts(labels, belief)[0]
    assert first.number == 7 and first.score == pytest.approx(same.score, abs=0.02)


@pytest.mark.parametrize(("radius", "reason"), [(3, TOO_SMALL), (18, TOO_LARGE)])
def test_an_odd_size_stands_out(radius, reason):
    labels = discs({13: radius})
    first, second, *_ = rank_doubts(labels, sure(labels))
    assert (first.number, first.reason) == (13, reason)
    assert first.score > 5 * second.score


def test_two_in_one_stand_out_by_their_shape():
    labels = discs()
    labels[(labels == 12) | (labels == 13)] = 12
    labels[98:102, 60:100] = 12  # a bridge
    assert rank_doubts(labels, sure(labels))[0].number == 12
    alone = discs()
    alone[alone == 12] = 0
    alone[96:104, 40:80] = 12  # long, of the area of the others
    first, second, *_ = rank_doubts(alone, sure(alone))
    assert (first.number, first.reason) == (12, ODD_SHAPE)
    assert first.score > 5 * second.score


def test_of_few_objects_none_is_odd():
    labels = np.where(np.isin(discs({13: 18}), [12, 13, 14]), discs({13: 18}), 0)
    scores = {doubt.score for doubt in rank_doubts(labels, sure(labels))}
    assert max(scores) - min(scores) < 1e-6


def test_what_was_nearly_found_is_named():
    labels = discs()
    belief = sure(labels)
    belief[labels == 7] = 0.45
    labels[labels == 7] = 0
    (doubt,) = worth(rank_doubts(labels, belief, min_size=40))
    assert (doubt.number, doubt.reason) == (0, MISSED)
    assert doubt.score == pytest.approx(1 / (1 + np.exp(4.3 - 9.3 * 0.45)))
    assert doubt.center == (60, 60)
    (farther,) = (d for d in rank_doubts(labels, belief, threshold=0.9) if d.number == 0)
    assert farther.score == pytest.approx(1 / (1 + np.exp(4.3 - 9.3 * 0.25)))
    assert all(doubt.number for doubt in rank_doubts(labels, belief, min_size=2000))


def test_the_rim_of_an_object_is_nothing_missed():
    labels = discs()
    belief = sure(labels)
    y, x = np.mgrid[:SIDE, :SIDE]
    near = np.hypot(y - 60, x - 60) <= RADIUS + 1.5
    belief[near & (labels == 0)] = 0.45
    assert all(doubt.number for doubt in rank_doubts(labels, belief, min_size=10))


def test_what_is_checked_is_not_doubted():
    labels = discs()
    belief = sure(labels)
    belief[labels == 7] = 0.6
    belief[labels == 8] = 0.45
    labels[labels == 8] = 0
    doubted = {doubt.center for doubt in worth(rank_doubts(labels, belief))}
    assert doubted == {(60, 60), (60, 100)}
    checked = np.zeros(labels.shape, np.uint8)
    checked[40:80, 40:120] = 1
    assert worth(rank_doubts(labels, belief, checked=checked)) == []


def test_nothing_there_is_nothing_to_doubt():
    nothing = np.zeros((30, 40), np.int32)
    assert rank_doubts(nothing, np.zeros((30, 40), np.float32)) == []


def test_labels_of_any_numbers_keep_them():
    labels = discs().astype(np.int64)
    belief = sure(labels)
    belief[labels == 7] = 0.6
    labels[labels == 7] = 10**12
    assert rank_doubts(labels, belief)[0].number == 10**12


def test_other_shapes_are_refused():
    with pytest.raises(InputError, match="must be equal"):
        rank_doubts(discs(), np.zeros((3, 3), np.float32))
