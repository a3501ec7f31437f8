"""Sliders on a large plane: what is seen is made first, and the end is what it was before."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_unet.session import live_objects
from napari_unet.session.live_objects import is_worth_while
from napari_unet.session.pair import ObjectSettings
from session.fakes import pair_of, pump_until, tile_of

SHAPE = (40, 400)
SEEN = np.s_[0:40, 0:60]
LEFT, RIGHT, SMALL = np.s_[5:15, 5:15], np.s_[5:15, 300:310], np.s_[20:22, 10:12]


@pytest.fixture(autouse=True)
def small_planes_are_large(monkeypatch):
    monkeypatch.setattr(live_objects, "LARGE", 1000)


@pytest.fixture
def pair():
    pair = pair_of(SHAPE)
    pair.place_tile((), tile_of(SHAPE, LEFT, RIGHT, SMALL))
    return pair


def settings(min_size):
    return ObjectSettings(0.5, min_size)


def test_what_is_seen_comes_first_and_the_rest_follows(session, pair, monkeypatch):
    gate, propose = threading.Event(), pair.propose
    monkeypatch.setattr(pair, "propose", lambda *words: gate.wait(20) and propose(*words))
    session.set_objects(settings(1), pair, (), SEEN)
    pump_until(session, pair.labels.any)
    assert pair.labels[LEFT].all() and pair.labels[SMALL].all() and not pair.labels[RIGHT].any()
    assert not session.settled
    gate.set()
    pump_until(session, lambda: session.settled)
    expected = propose((), settings(1)).labels
    np.testing.assert_array_equal(pair.labels, expected)
    assert expected.max() == 3


def test_what_is_seen_gets_numbers_that_nothing_else_has(session, pair, monkeypatch):
    session.set_objects(settings(1), pair, ())
    pump_until(session, lambda: session.settled)
    before = pair.labels.copy()
    gate, propose = threading.Event(), pair.propose
    monkeypatch.setattr(pair, "propose", lambda *words: gate.wait(20) and propose(*words))
    session.set_objects(settings(20), pair, (), SEEN)
    pump_until(session, lambda: not pair.labels[SMALL].any())
    assert pair.labels[LEFT].min() > before.max()
    np.testing.assert_array_equal(pair.labels[RIGHT], before[RIGHT])
    gate.set()
    pump_until(session, lambda: session.settled)


def test_all_moves_are_one_step_of_undo(session, pair):
    for min_size in (1, 20, 1):
        session.set_objects(settings(min_size), pair, (), SEEN)
        pump_until(session, lambda: session.settled)
    assert pair.labels[SMALL].all()
    step = pair.history.next_undo
    assert step is not None and len(step.edits) == 2  # moves do not pile up
    pair.undo()
    assert not pair.labels.any() and not pair.history.can_undo
    pair.redo()
    assert pair.labels[SMALL].all() and pair.labels[RIGHT].all()


def test_what_is_checked_stays(session, pair):
    session.set_objects(settings(1), pair, ())
    pump_until(session, lambda: session.settled)
    pair.looks_right((), [int(pair.labels[20, 10])])
    session.set_objects(settings(20), pair, (), SEEN)
    pump_until(session, lambda: session.settled)
    assert pair.labels[SMALL].all()


def test_a_stroke_meanwhile_is_not_lost(session, pair, monkeypatch):
    begun, gate, glimpse = threading.Event(), threading.Event(), pair.glimpse

    def slow(*words):
        found = glimpse(*words)
        begun.set()
        assert gate.wait(20)
        return found

    monkeypatch.setattr(pair, "glimpse", slow)
    session.set_objects(settings(1), pair, (), SEEN)
    assert begun.wait(20)
    pair.labels[30:34, 30:34] = 77
    pair.absorb(())
    gate.set()
    pump_until(session, lambda: session.settled)
    assert (pair.labels[30:34, 30:34] == 77).all() and pair.labels[RIGHT].all()


def test_older_labels_of_the_whole_plane_do_not_come_back(session, pair, monkeypatch):
    begun, gate, propose = threading.Event(), threading.Event(), pair.propose

    def slow(*words):
        found = propose(*words)
        begun.set()
        assert gate.wait(20)
        return found

    monkeypatch.setattr(pair, "propose", slow)
    session.set_objects(settings(1), pair, ())
    assert begun.wait(20)
    shown = []
    session.labels_changed.connect(lambda *_: shown.append(bool(pair.labels[SMALL].any())))
    session.set_objects(settings(20), pair, (), SEEN)
    gate.set()
    pump_until(session, lambda: session.settled)
    assert shown and not any(shown)


@pytest.mark.parametrize(("seen", "is_first"), [(SEEN, True), (np.s_[0:40, 0:300], False)])
def test_most_of_a_plane_is_not_made_twice(pair, seen, is_first):
    assert is_worth_while(pair, (), seen) is is_first
    assert not is_worth_while(pair_of(SHAPE), (), seen)  # nothing is known of it
