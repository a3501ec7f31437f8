"""Undo and redo of a pair: labels and checked area, over strokes, slices and tools."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from napari_unet.core.lay_around import count_checked
from napari_unet.session.class_pair import BACKGROUND, ClassPair
from napari_unet.session.pair import ObjectSettings
from session.fakes import ALL_SIZES, image_of, pair_of, pump_until, tile_of

FIRST, SECOND = np.s_[2:6, 2:6], np.s_[12:16, 12:16]
STROKE = np.s_[9:11, 3:8]


def state(pair):
    return pair.labels.copy(), pair.checked.copy()


def assert_state(pair, expected):
    for now, then in zip(state(pair), expected, strict=True):
        np.testing.assert_array_equal(now, then)


def stroke(pair, where, number, place=()):
    pair.labels[place][where] = number
    assert pair.absorb(place) is not None


def segmented(pair, *boxes, place=()):
    pair.place_tile(place, tile_of(pair.image.plane_shape, *boxes))
    assert pair.accept(place, pair.propose(place, ALL_SIZES))


@pytest.mark.parametrize(
    "act",
    [
        lambda pair: stroke(pair, STROKE, 5),
        lambda pair: stroke(pair, FIRST, 0),
        lambda pair: pair.looks_right((), [2]),
        lambda pair: pair.check_box((), STROKE),
        lambda pair: pair.check_background((), np.s_[0:20, 0:20]),
        lambda pair: pair.uncheck(()),
        lambda pair: segmented(pair, np.s_[1:8, 1:8]),
        lambda pair: (np.copyto(pair.checked[STROKE], 1), pair.checked_was_edited(())),
        lambda pair: pair.restore({(): (np.full((20, 20), 3), np.ones((20, 20), np.uint8))}),
    ],
    ids=[
        "paint",
        "erase",
        "right",
        "box",
        "background",
        "uncheck",
        "segment",
        "checked",
        "restore",
    ],
)
def test_every_act_is_one_step_of_labels_and_checked_area(act):
    pair = pair_of()
    segmented(pair, FIRST, SECOND)
    pair.looks_right((), [1])
    before = state(pair)
    act(pair)
    after = state(pair)
    assert any((one != other).any() for one, other in zip(before, after, strict=True))
    edits = pair.edits
    assert pair.undo()
    assert_state(pair, before)
    assert pair.edits > edits  # what was proposed meanwhile is stale
    assert pair.redo()
    assert_state(pair, after)


def test_undo_goes_over_slices():
    pair = pair_of((3, 20, 20), "ZYX")
    empty = state(pair)
    stroke(pair, STROKE, 5, (0,))
    first = state(pair)
    stroke(pair, FIRST, 6, (2,))
    [done] = pair.undo()
    assert done.place == (2,)
    assert_state(pair, first)
    [done] = pair.undo()
    assert done.place == (0,)
    assert_state(pair, empty)
    assert pair.undo() == [] and not pair.has_checked and pair.checked_cells == 0


def test_what_is_joined_is_undone_together():
    pair = pair_of((3, 20, 20), "ZYX")
    empty = state(pair)
    with pair.one_step():
        for place in pair.image.places():
            stroke(pair, STROKE, 5, place)
    assert len(pair.undo()) == 3
    assert_state(pair, empty)


def test_a_stroke_that_nobody_has_noticed_is_the_last_step():
    pair = pair_of()
    stroke(pair, FIRST, 5)
    before = state(pair)
    pair.labels[STROKE] = 6
    assert pair.redo() == []
    pair.undo()
    assert_state(pair, before)


def test_segmenting_again_is_one_step_that_brings_back_what_was_there():
    pair = pair_of()
    pair.remade_by = 1
    segmented(pair, FIRST, SECOND)
    stroke(pair, STROKE, 9)
    before = state(pair)
    pair.remade_by = 2
    for end in (14, 16, 18):  # tile after tile
        segmented(pair, np.s_[12:end, 12:end])
    assert (pair.labels[STROKE] == 9).all()
    pair.undo()
    assert_state(pair, before)


def test_a_slider_is_one_step_however_far_it_moves():
    pair = pair_of()
    segmented(pair, FIRST, SECOND)
    before = state(pair)
    pair.remade_by = "objects"
    for min_size in (1, 5, 10, 17, 40):
        assert pair.accept((), pair.propose((), ObjectSettings(min_size=min_size)))
    assert not pair.labels.any()
    pair.undo()
    assert_state(pair, before)


def test_each_press_of_segment_is_a_step_and_all_moves_of_a_slider_are_one(session, runner):
    pair = pair_of()
    keys = []
    for _ in range(2):
        session.segment(pair, [()])
        keys.append(pair.remade_by)
        session.stop()
        pump_until(session, lambda: not session.busy)
    pair.place_tile((), tile_of((20, 20), FIRST))
    for threshold in (0.4, 0.6):
        session.set_objects(ObjectSettings(threshold, 1), pair, ())
        keys.append(pair.remade_by)
    pump_until(session, lambda: session.settled)
    assert len(set(keys)) == 3 and keys[2] == keys[3] and None not in keys
    assert pair.labels.any() and len(pair.undo()) == 1


def test_labels_that_stay_as_they_are_are_no_step():
    pair = pair_of()
    segmented(pair, FIRST)
    pair.looks_right((), [1])
    pair.undo()
    assert pair.history.can_redo
    segmented(pair, FIRST)
    assert pair.history.can_redo


def test_what_live_teaching_makes_goes_with_the_stroke_before():
    pair = pair_of()
    segmented(pair, FIRST)
    before = state(pair)
    stroke(pair, STROKE, 9)
    pair.remade_by = None
    segmented(pair, SECOND)
    pair.undo()
    assert_state(pair, before)


def test_two_proposals_made_of_one_state_are_both_taken_back():
    pair = pair_of()
    before = state(pair)
    pair.place_tile((), tile_of((20, 20), FIRST))
    first = pair.propose((), ALL_SIZES)
    pair.place_tile((), tile_of((20, 20), SECOND))
    second = pair.propose((), ALL_SIZES)
    for proposal, key in ((first, 1), (second, 2)):
        pair.remade_by = key
        assert pair.accept((), proposal)
    between = np.zeros((20, 20), np.int32)
    between[FIRST] = 1
    pair.undo()
    np.testing.assert_array_equal(pair.labels, between)
    pair.undo()
    assert_state(pair, before)


def test_a_proposal_of_what_was_there_before_another_is_written():
    pair = pair_of()
    pair.place_tile((), tile_of((20, 20)))
    nothing = pair.propose((), ALL_SIZES)
    segmented(pair, FIRST)
    assert pair.accept((), nothing)
    assert not pair.labels.any()


def test_labels_that_were_opened_are_no_step():
    labels = np.zeros((20, 20), np.int32)
    labels[FIRST] = 4
    pair = pair_of(labels=labels)
    pair.begin()
    assert pair.checked[FIRST].all()
    assert not pair.history.can_undo and pair.history.strokes == 0


def test_old_pixels_are_not_played_onto_another_array():
    pair = pair_of()
    stroke(pair, FIRST, 5)
    other = np.zeros((20, 20), np.int32)
    other[SECOND] = 8
    pair.go_on_with(other)
    assert pair.undo() == [] and pair.redo() == []
    np.testing.assert_array_equal(pair.labels, other)
    stroke(pair, STROKE, 6)
    pair.undo()
    np.testing.assert_array_equal(pair.labels, other)


def test_pixels_changed_behind_its_back_are_not_overwritten():
    pair = pair_of((2, 20, 20), "ZYX")
    with pair.one_step():
        for place in ((0,), (1,)):
            stroke(pair, FIRST, 5, place)
    pair.ledger.labels[0][2, 2] = pair.labels[0][2, 2] = 77  # known, but not in the history
    pair.undo()
    assert pair.labels[0][2, 2] == 77 and pair.labels.sum() == 77


def test_a_number_that_was_undone_is_not_given_again():
    pair = pair_of()
    number = pair.next_number()
    stroke(pair, FIRST, number)
    pair.undo()
    assert pair.next_number() > number


def test_classes_are_undone_with_what_was_checked():
    image = image_of((20, 20))
    pair = ClassPair(
        image, np.zeros((20, 20), np.int32), np.zeros((20, 20), np.uint8), names=["a", "b"]
    )
    stroke(pair, FIRST, 1)
    before = state(pair)
    stroke(pair, np.s_[4:9, 4:9], BACKGROUND)
    assert not pair.labels[4:6, 4:6].any()
    pair.undo()
    assert_state(pair, before)
    pair.undo()
    assert not pair.labels.any() and not pair.checked.any()


class UndoMachine(RuleBasedStateMachine):
    """Any acts in any order; the model keeps whole copies of each state."""

    def __init__(self):
        super().__init__()
        self.pair = pair_of((2, 20, 20), "ZYX")
        self.done, self.undone = [state(self.pair)], []

    def _did(self):
        if any((a != b).any() for a, b in zip(state(self.pair), self.done[-1], strict=True)):
            self.done.append(state(self.pair))
            self.undone = []

    @rule(
        plane=st.integers(0, 1), y=st.integers(0, 18), x=st.integers(0, 18),
        size=st.integers(1, 8), number=st.integers(0, 4), in_box=st.booleans(),
    )  # fmt: skip
    def paint(self, plane, y, x, size, number, in_box):
        box = slice(y, min(20, y + size)), slice(x, min(20, x + size))
        self.pair.labels[plane][box] = number
        self.pair.absorb((plane,), box if in_box else None)
        self._did()

    @rule(plane=st.integers(0, 1), number=st.integers(1, 4))
    def right(self, plane, number):
        self.pair.looks_right((plane,), [number])
        self._did()

    @rule(plane=st.integers(0, 1))
    def uncheck(self, plane):
        self.pair.uncheck((plane,))
        self._did()

    @rule(plane=st.integers(0, 1), y=st.integers(0, 12), x=st.integers(0, 12), run=st.integers())
    def segment(self, plane, y, x, run):
        self.pair.remade_by = "segment", len(self.done), run
        segmented(self.pair, np.s_[y : y + 6, x : x + 6], place=(plane,))
        self._did()

    @rule(number=st.integers(0, 4))
    def paint_through(self, number):
        with self.pair.one_step():
            for plane in range(2):
                self.pair.labels[plane][5:9, 5:9] = number
                self.pair.absorb((plane,))
        self._did()

    @precondition(lambda self: len(self.done) > 1)
    @rule()
    def undo(self):
        self.pair.undo()
        self.undone.append(self.done.pop())

    @precondition(lambda self: self.undone)
    @rule()
    def redo(self):
        self.pair.redo()
        self.done.append(self.undone.pop())

    @invariant()
    def is_as_the_model_says(self):
        assert_state(self.pair, self.done[-1])
        assert self.pair.history.can_undo == (len(self.done) > 1)
        assert self.pair.history.can_redo == bool(self.undone)
        np.testing.assert_array_equal(self.pair.ledger.labels, self.pair.labels)
        np.testing.assert_array_equal(self.pair.ledger.checked, self.pair.checked)
        planes = zip(self.pair.labels, self.pair.checked, strict=True)
        assert self.pair.checked_cells == sum(count_checked(*plane) for plane in planes)


TestUndoMachine = UndoMachine.TestCase
TestUndoMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
