"""The history of edits: what joins, what is forgotten, what can be redone."""

import numpy as np
import pytest

from napari_unet.core.edit import Edit, change_of
from napari_unet.session.history import History

BOX = np.s_[0:4, 0:4]


def edit(before=0, after=1, place=(), by_person=True):
    planes = (np.full((4, 4), value, np.int32) for value in (before, after))
    return Edit(place, BOX, change_of(*planes), None, 0, 0.0, by_person)


def values(edits):
    """Before and after of each, as one number each."""
    from napari_unet.core.packed import unpack

    return [
        tuple(int(unpack(part)[0, 0]) for part in (one.labels.before, one.labels.after))
        for one in edits
    ]


def test_steps_go_back_and_forth_in_order():
    history = History()
    assert history.undo() == [] and history.redo() == []
    for number in range(3):
        history.record(edit(number, number + 1))
    assert values(history.undo()) == [(3, 2)] and values(history.undo()) == [(2, 1)]
    assert values(history.redo()) == [(1, 2)] and values(history.redo()) == [(2, 3)]
    assert history.redo() == [] and not history.can_redo and history.can_undo


def test_a_new_edit_drops_what_was_undone():
    history = History()
    history.record(edit(0, 1))
    history.record(edit(1, 2))
    history.undo()
    history.record(edit(1, 5))
    assert not history.can_redo
    assert values(history.undo()) == [(5, 1)]


def test_edits_that_join_are_one_step_and_go_back_last_first():
    history, key = History(), object()
    for place in ((0,), (1,)):
        history.record(edit(0, 1, place), key)
    history.record(edit(1, 2, (0,)), key)
    assert [one.place for one in history.undo()] == [(0,), (1,), (0,)]
    assert [one.place for one in history.redo()] == [(0,), (1,), (0,)]
    assert history.undo() and not history.can_undo


def test_another_edit_between_keeps_them_apart():
    history = History()
    for join in ("objects", None, "objects"):
        history.record(edit(), join)
    for _ in range(3):
        assert len(history.undo()) == 1
    assert not history.can_undo


def test_labels_made_again_and_again_are_one_step_from_the_first_to_the_last():
    history = History()
    for number in range(50):
        history.record(edit(number, number + 1, by_person=False), "objects")
    assert history.n_bytes < 200
    assert values(history.undo()) == [(50, 0)]
    assert not history.can_undo


def test_a_fold_goes_with_the_step_before_and_leaves_what_was_undone():
    history = History()
    history.record(edit(0, 1))
    history.record(edit(1, 2))
    history.undo()
    history.fold(edit(1, 7, by_person=False))
    history.fold(edit(7, 8, by_person=False))
    assert history.can_redo
    assert values(history.undo()) == [(8, 1), (1, 0)]
    assert not history.can_undo


def test_a_fold_into_nothing_is_a_step():
    history = History()
    history.fold(edit(by_person=False))
    assert len(history.undo()) == 1


def test_a_hundred_steps_and_more_are_kept():
    history = History()
    for number in range(1000):
        history.record(edit(number, number + 1))
    assert sum(1 for _ in iter(history.undo, [])) == 1000


def test_memory_is_bounded_and_the_oldest_are_forgotten():
    one = edit().n_bytes
    history = History(most_bytes=10 * one)
    for _ in range(100):
        history.record(edit())
        assert history.n_bytes <= 10 * one
    assert history.strokes == 100  # what is forgotten was done all the same
    assert sum(1 for _ in iter(history.undo, [])) == 10
    assert history.n_bytes == 10 * one  # they can be redone


def test_the_last_step_stays_however_large_it_is():
    history = History(most_bytes=1)
    history.record(edit())
    history.record(edit(1, 2))
    assert values(history.undo()) == [(2, 1)] and not history.can_undo


@pytest.mark.parametrize(("by_person", "strokes"), [(True, 1), (False, 0)])
def test_only_steps_of_a_person_are_strokes(by_person, strokes):
    history = History()
    history.record(edit(by_person=by_person))
    assert history.strokes == strokes
    history.undo()
    assert history.strokes == 0
    history.redo()
    history.clear()
    assert history.strokes == strokes and not history.can_undo and history.n_bytes == 0
