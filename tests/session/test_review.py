"""What is worth a look is handed out once, the worst first, and not when it is checked."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_unet.core.uncertainty import MISSED, UNSURE
from napari_unet.session.review import Review
from session.fakes import pair_of, tile_of

SHAPE = (40, 120)
BOXES = {x: (slice(10, 30), slice(x, x + 20)) for x in (5, 45, 85)}


@pytest.fixture
def review(session, tiny_model):
    session.load_model_file(tiny_model)  # it leaves out no object for its looks
    review = Review(session)
    yield review
    review.close()


def found(session, review, pair, place, beliefs):
    """Put objects of such probabilities (in bytes, by their column) into a plane."""
    tile = tile_of(SHAPE)
    for x, belief in beliefs.items():
        tile.probability[0][BOXES[x]] = 255 - belief
    pair.place_tile(place, tile)
    looked_through(session, review, pair, place)


def looked_through(session, review, pair, place):
    """Make labels and wait for the doubts about them."""
    session._request_labels(pair, place)
    end = time.monotonic() + 20
    while not session.settled or review.busy:
        assert time.monotonic() < end
        session.pump()
        review.pump()
        time.sleep(0.002)


def middle(x):
    return 19.5, x + 9.5


def test_the_most_doubtful_comes_first_and_then_the_next(session, review):
    pair = pair_of(SHAPE)
    found(session, review, pair, (), {5: 255, 45: 160, 85: 190})
    assert review.left(pair) == 2
    first, second = review.next(pair, ()), review.next(pair, ())
    assert first[0] == () and first[1].center == middle(45) and first[1].reason == UNSURE
    assert second[1].center == middle(85)
    assert review.next(pair, ())[1].center == middle(45)  # round again


def test_what_was_nearly_found_is_handed_out_too(session, review):
    pair = pair_of(SHAPE)
    found(session, review, pair, (), {5: 255, 45: 110})
    _, doubt = review.next(pair, ())
    assert (doubt.number, doubt.reason, doubt.center) == (0, MISSED, middle(45))
    pair.check_box((), BOXES[45])
    assert review.left(pair) == 0 and review.next(pair, ()) is None


def test_what_is_checked_or_erased_is_left_out_at_once(session, review):
    pair = pair_of(SHAPE)
    found(session, review, pair, (), {5: 150, 45: 160, 85: 170})
    assert review.left(pair) == 3
    pair.looks_right((), [pair.labels[20, 10]])
    assert review.left(pair) == 2
    pair.labels[BOXES[45]] = 0
    assert review.left(pair) == 1
    assert review.next(pair, ())[1].center == middle(85)


def test_the_shown_plane_comes_first(session, review):
    pair = pair_of((2, *SHAPE), "ZYX")
    found(session, review, pair, (0,), {5: 150})
    found(session, review, pair, (1,), {45: 170, 85: 160})
    assert review.left(pair) == 3
    handed = [review.next(pair, (1,)) for _ in range(3)]
    assert [(place, doubt.center) for place, doubt in handed] == [
        ((1,), middle(85)),
        ((1,), middle(45)),
        ((0,), middle(5)),
    ]


def test_a_new_segmentation_begins_anew(session, review):
    pair, news = pair_of(SHAPE), []
    review.changed.connect(news.append)
    found(session, review, pair, (), {5: 150})
    assert news and news[-1] is pair
    assert review.next(pair, ())[1].center == middle(5)
    found(session, review, pair, (), {5: 150, 45: 200})
    assert review.next(pair, ())[1].center == middle(5)
    found(session, review, pair, (), {5: 255})
    assert review.next(pair, ()) is None


def test_another_pair_has_its_own(session, review):
    one, other = pair_of(SHAPE), pair_of(SHAPE)
    found(session, review, one, (), {5: 150})
    assert review.knows(one) and review.left(one) == 1
    assert not review.knows(other)
    assert review.left(other) == 0 and review.next(other, ()) is None


def test_a_rescaled_plane_is_doubted_at_the_pixels_of_the_image(session, review):
    pair = pair_of(SHAPE)
    half = (SHAPE[0] // 2, SHAPE[1] // 2)
    pair.begin_plane((), half, 20.0)
    tile = tile_of(half)
    tile.probability[0][5:15, 22:32] = 255 - 160
    pair.place_tile((), tile)
    looked_through(session, review, pair, ())
    (y, x) = review.next(pair, ())[1].center
    assert abs(y - 19.5) <= 1 and abs(x - 53.5) <= 1
    assert np.unique(pair.labels).tolist() == [0, 1]
