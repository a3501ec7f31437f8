"""An image with its labels: no stroke is lost, whatever the network proposes meanwhile."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from napari_unet.core import instances
from napari_unet.core.events import TileResult
from napari_unet.core.instances import PlaneObjects
from napari_unet.session.image import Image
from napari_unet.session.pair import ObjectSettings, Pair
from session.fakes import ALL_SIZES, image_of, pair_of, tile_of

FIRST, SECOND = np.s_[2:6, 2:6], np.s_[12:16, 12:16]
STROKE = np.s_[9:11, 3:8]


def segmented(*boxes, place=(), pair=None):
    """A pair with these objects, as the network found them."""
    pair = pair or pair_of()
    pair.place_tile(place, tile_of(pair.image.plane_shape, *boxes))
    assert pair.accept(place, pair.propose(place, ALL_SIZES))
    return pair


def expected(*objects, shape=(20, 20)):
    labels = np.zeros(shape, np.int32)
    for number, box in objects:
        labels[box] = number
    return labels


def test_a_stroke_through_the_shared_array_is_absorbed_once():
    pair = pair_of()
    pair.labels[5:8, 5:8] = 3
    assert pair.absorb(()) == (slice(2, 11), slice(2, 11))
    assert pair.edits == 1
    assert pair.checked[6, 6] == 1 and pair.checked[2, 6] == 1 and pair.checked[1, 6] == 0
    assert pair.absorb(()) is None
    assert pair.edits == 1


def test_labels_of_the_network_are_no_edit_and_not_checked():
    pair = segmented(FIRST, SECOND)
    np.testing.assert_array_equal(pair.labels, expected((1, FIRST), (2, SECOND)))
    assert pair.absorb(()) is None
    assert (pair.edits, pair.checked_cells, pair.has_checked) == (0, 0, False)
    assert pair.taught_planes() == []


def test_a_proposal_made_before_an_edit_is_refused_and_changes_nothing():
    pair = segmented(FIRST)
    proposal = pair.propose((), ALL_SIZES)
    pair.labels[STROKE] = 9
    pair.absorb(())
    before = pair.labels.copy()
    assert not pair.accept((), proposal)
    np.testing.assert_array_equal(pair.labels, before)


def test_a_stroke_that_nobody_told_of_is_not_lost():
    pair = segmented(FIRST, SECOND)
    proposal = pair.propose((), ALL_SIZES)
    pair.labels[STROKE] = 9
    pair.labels[FIRST] = 0
    assert not pair.accept((), proposal)
    assert pair.accept((), pair.propose((), ALL_SIZES))
    np.testing.assert_array_equal(pair.labels, expected((9, STROKE), (10, SECOND)))


@pytest.mark.parametrize(
    "edit",
    [
        lambda pair: pair.looks_right((), [1]),
        lambda pair: pair.check_box((), np.s_[0:9, 0:9]),
        lambda pair: pair.uncheck(()),
        lambda pair: pair.checked_was_edited(()),
        lambda pair: pair.next_number(),
    ],
    ids=["looks right", "check box", "uncheck", "paint checked", "take a number"],
)
def test_every_edit_makes_proposals_stale(edit):
    pair = segmented(FIRST, SECOND)
    proposal = pair.propose((), ALL_SIZES)
    edit(pair)
    assert not pair.accept((), proposal)
    assert pair.accept((), pair.propose((), ALL_SIZES))


def test_an_edit_while_objects_are_being_made_makes_them_stale(monkeypatch):
    pair = segmented(FIRST)
    make = PlaneObjects.labels

    def make_and_paint(*args, **kwargs):
        pair.labels[STROKE] = 9
        pair.absorb(())
        return make(*args, **kwargs)

    monkeypatch.setattr(PlaneObjects, "labels", make_and_paint)
    assert not pair.accept((), pair.propose((), ALL_SIZES))
    assert (pair.labels[STROKE] == 9).all()


def test_sliders_find_what_was_known_of_a_plane_until_another_tile_comes(monkeypatch):
    pair = segmented(FIRST)
    searched, search = [], instances.find_hills
    monkeypatch.setattr(instances, "find_hills", lambda *at: searched.append(1) or search(*at))
    pair.propose((), ObjectSettings(min_size=1, split=0.5))
    pair.propose((), ObjectSettings(min_size=3, split=0.7))
    assert len(searched) == 1
    pair.propose((), ObjectSettings(0.6, min_size=3, split=0.7))
    assert len(searched) == 2
    pair.place_tile((), tile_of((20, 20), SECOND))
    proposal = pair.propose((), ObjectSettings(0.6, min_size=1, split=0.7))
    assert len(searched) == 3
    np.testing.assert_array_equal(proposal.labels, expected((1, SECOND)))


def test_proposing_reads_only_strokes_that_were_absorbed():
    pair = segmented(FIRST)
    pair.looks_right((), [1])
    pair.labels[3:9, 2:6] = 9  # a stroke under way
    proposal = pair.propose((), ALL_SIZES)
    np.testing.assert_array_equal(proposal.labels, expected((1, FIRST)))


def test_a_segmentation_keeps_what_is_checked_and_replaces_the_rest():
    pair = segmented(FIRST, SECOND)
    pair.looks_right((), [1])
    pair.place_tile((), tile_of((20, 20), np.s_[3:8, 3:8], np.s_[12:18, 12:14]))
    assert pair.accept((), pair.propose((), ALL_SIZES))
    np.testing.assert_array_equal(pair.labels, expected((1, FIRST), (2, np.s_[12:18, 12:14])))


def test_an_erased_object_does_not_come_back():
    pair = segmented(FIRST, SECOND)
    pair.labels[FIRST] = 0
    pair.absorb(())
    assert pair.accept((), pair.propose((), ALL_SIZES))
    assert not pair.labels[FIRST].any()
    assert (pair.labels[SECOND] > 0).all()


def test_a_stroke_with_the_number_of_a_far_object_is_not_lost():
    pair = pair_of((8, 300))
    segmented(np.s_[2:6, 2:90], pair=pair)
    pair.labels[2:5, 290:294] = 1  # the number that napari offers first
    pair.absorb(())
    pair.place_tile((), tile_of((8, 300)))
    assert pair.accept((), pair.propose((), ALL_SIZES))
    assert (pair.labels[2:5, 290:294] == 1).all()


# Numbers


def test_a_number_that_the_user_had_is_not_used_again():
    pair = segmented(FIRST)
    pair.labels[STROKE] = 40
    pair.absorb(())
    pair.labels[STROKE] = 0  # undone: 40 can be brought back at any time
    pair.absorb(())
    pair.uncheck(())
    assert pair.accept((), pair.propose((), ALL_SIZES))
    np.testing.assert_array_equal(pair.labels, expected((41, FIRST)))


def test_an_erased_number_that_the_network_gave_is_not_used_again():
    pair = segmented(FIRST, SECOND)
    pair.labels[SECOND] = 0
    pair.absorb(())
    pair.place_tile((), tile_of((20, 20), np.s_[2:6, 14:18]))
    assert pair.accept((), pair.propose((), ALL_SIZES))
    np.testing.assert_array_equal(pair.labels, expected((3, np.s_[2:6, 14:18])))


def test_a_new_number_is_no_object_s_now_or_later():
    pair = segmented(FIRST, SECOND)
    number = pair.next_number()
    assert number == 3
    pair.place_tile((), tile_of((20, 20), FIRST, SECOND, np.s_[2:6, 14:18]))
    assert pair.accept((), pair.propose((), ALL_SIZES))
    assert number not in pair.labels
    assert pair.next_number() > pair.labels.max()


def test_the_first_number_of_an_empty_image_is_one():
    assert pair_of().next_number() == 1


# Stacks


def test_planes_of_a_stack_are_apart():
    pair = pair_of((2, 3, 12, 12), "TZYX")
    place, other = (1, 2), (0, 2)
    segmented(np.s_[1:4, 1:4], place=place, pair=pair)
    pair.labels[0, 2, 6:9, 6:9] = 5
    pair.absorb_all()
    assert pair.segmented == [place]
    assert pair.visited == [place, other]
    assert pair.edits == 1
    np.testing.assert_array_equal(np.flatnonzero(pair.checked.any(axis=(2, 3))), [2])
    assert pair.absorb(place) is None
    [(taught, labels, checked)] = pair.taught_planes()
    assert taught == other
    np.testing.assert_array_equal(labels, pair.labels[other])
    np.testing.assert_array_equal(checked, pair.checked[other] != 0)
    assert pair.labels[place].any()
    pair.uncheck(other)
    assert not pair.has_checked and pair.taught_planes() == []


def test_checked_cells_are_counted_over_all_planes_and_anew_after_an_edit():
    pair = pair_of((3, 12, 12), "ZYX")
    pair.labels[0, 1:3, 1:3] = 1
    pair.labels[0, 8:10, 8:10] = 2
    pair.labels[2, 1:3, 1:3] = 1
    pair.absorb_all()
    assert pair.checked_cells == 3
    pair.labels[0, 8:10, 8:10] = 0
    pair.absorb((0,))
    assert pair.checked_cells == 2
    pair.uncheck((2,))
    assert pair.checked_cells == 1
    assert pair.has_checked


# Tiles


@pytest.mark.parametrize("is_float", [False, True])
def test_tiles_are_put_where_they_belong(is_float):
    pair = pair_of((4, 6))
    background = np.array([[0, 51, 255], [255, 102, 204]], np.uint8)
    probability = np.stack([background, np.zeros_like(background)])  # the other classes share
    if is_float:
        probability = probability.astype(np.float32) / 255
    pair.place_tile((), TileResult(2, 3, probability, 0, 1))
    whole = np.zeros((4, 6), np.uint8)
    whole[2:4, 3:6] = 255 - background
    np.testing.assert_array_equal(pair.probability[()], whole)
    assert pair.probability[()].dtype == np.uint8


def test_objects_are_made_as_the_settings_say():
    pair = pair_of((4, 12))
    background = np.full((4, 12), 255, np.uint8)
    background[1:3, 1:3], background[1:3, 6:11] = 100, 150  # foreground 0.61 and 0.41
    pair.place_tile((), TileResult(0, 0, np.stack([background, 255 - background]), 0, 1))
    for threshold, min_size, numbers in ((0.5, 1, {1}), (0.4, 1, {1, 2}), (0.4, 5, {1})):
        labels = pair.propose((), ObjectSettings(threshold, min_size)).labels
        assert set(np.unique(labels)) - {0} == numbers
    assert labels[1, 6] == 1 and labels[1, 1] == 0


# What is checked


def test_labels_that_are_there_when_it_is_opened_count_as_checked():
    labels = expected((4, FIRST), (7, SECOND))
    pair = pair_of(labels=labels.copy())
    pair.absorb_all()
    assert pair.checked_cells == 2 and pair.has_checked
    pair.place_tile((), tile_of((20, 20), np.s_[2:8, 14:18]))
    assert pair.accept((), pair.propose((), ALL_SIZES))
    np.testing.assert_array_equal(
        pair.labels, expected((4, FIRST), (7, SECOND), (8, np.s_[2:8, 14:18]))
    )


def test_a_checked_box_of_background_is_something_checked():
    pair = segmented(FIRST)
    pair.check_box((), np.s_[10:20, 0:20])
    assert pair.has_checked and pair.checked_cells == 0
    pair.place_tile((), tile_of((20, 20), SECOND))
    assert pair.accept((), pair.propose((), ALL_SIZES))
    assert not pair.labels.any()


def test_looking_right_tells_the_box_or_that_there_is_no_such_object():
    pair = segmented(FIRST)
    assert pair.looks_right((), [1]) == (slice(0, 9), slice(0, 9))
    assert (pair.edits, pair.checked_cells) == (1, 1)
    assert pair.looks_right((), [2]) is None
    assert pair.edits == 1


def test_taught_planes_are_copies():
    pair = pair_of(labels=expected((1, FIRST)))
    pair.absorb_all()
    [(_, labels, checked)] = pair.taught_planes()
    pair.labels[:] = 0
    pair.checked[:] = 0
    np.testing.assert_array_equal(labels, expected((1, FIRST)))
    assert checked.dtype == bool and checked[FIRST].all()


def test_an_example_has_the_plane_that_was_asked_for():
    data = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)
    image = Image("stack", data, "ZCYX", (2, 0))
    pair = Pair(image, np.zeros((2, 4, 5), np.int32), np.zeros((2, 4, 5), np.uint8))
    checked = np.ones((4, 5), bool)
    example = pair.read_example((1,), pair.labels[1], checked)
    np.testing.assert_array_equal(example.image_cyx, data[1, [2, 0]])
    assert example.mask is not None and example.mask.all()


def test_an_image_without_pixels_has_nothing_to_check():
    pair = pair_of((0, 7))
    pair.absorb_all()
    assert (pair.edits, pair.checked_cells, pair.has_checked) == (0, 0, False)
    assert pair.next_number() == 1


def test_proposals_of_a_second_thread_never_mix_two_states():
    """Strokes come while objects are made: each proposal is taken whole or refused."""
    pair = segmented(*(np.s_[y : y + 3, 2:60] for y in range(2, 120, 6)), pair=pair_of((128, 64)))
    proposals, stop = [], threading.Event()

    def propose():
        while not stop.is_set():
            proposals.append(pair.propose((), ALL_SIZES))

    thread = threading.Thread(target=propose)
    thread.start()
    painted = {}
    try:
        for row in range(1, 126, 3):
            number = pair.next_number()
            pair.labels[row, 4:50] = number
            painted[row] = number
            while not proposals:
                time.sleep(0)
            while proposals:
                pair.accept((), proposals.pop(0))
            for earlier, earlier_number in painted.items():
                assert (pair.labels[earlier, 4:50] == earlier_number).all()
    finally:
        stop.set()
        thread.join()
    pair.absorb_all()
    assert pair.accept((), pair.propose((), ALL_SIZES))
    for row, number in painted.items():
        assert (pair.labels[row, 4:50] == number).all()


def test_the_image_of_a_pair_is_what_it_was_made_of():
    image = image_of((3, 8, 8), "ZYX")
    pair = Pair(image, np.zeros((3, 8, 8), np.int32), np.zeros((3, 8, 8), np.uint8))
    assert pair.image is image and pair.segmented == [] and pair.visited == []
