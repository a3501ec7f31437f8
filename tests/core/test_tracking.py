"""Objects of a movie are followed by their motion; needs laptrack, an extra."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.core.linking import link_by_overlap
from napari_unet.core.tracking import centres, track_by_motion


def movie(*frames, side=24):
    """Squares of 2 x 2 pixels, whose corners are given for each frame, in mixed order."""
    labels = np.zeros((len(frames), side, side), np.int32)
    for at, corners in enumerate(frames):
        order = corners if at % 2 else corners[::-1]
        for number, (y, x) in enumerate(order, start=1):
            labels[at, y : y + 2, x : x + 2] = number
    return labels


def at(labels, frame, corner):
    return int(labels[(frame, *corner)])


@pytest.fixture
def laptrack():
    return pytest.importorskip("laptrack", reason="the extra tracking is not installed")


def test_what_moves_further_than_it_overlaps_keeps_its_number(laptrack):
    places = [[(2, 2 + 4 * t), (12, 18 - 4 * t)] for t in range(4)]
    labels = movie(*places)
    assert link_by_overlap(labels, "TYX").max() == 8  # by overlap nothing goes on
    found = track_by_motion(labels, "TYX", distance=5)
    assert found.labels.max() == 2 and not found.parents
    for one in range(2):
        numbers = {at(found.labels, t, places[t][one]) for t in range(4)}
        assert len(numbers) == 1 and 0 not in numbers
    np.testing.assert_array_equal(found.labels > 0, labels > 0)


def test_further_than_the_distance_is_another_object(laptrack):
    labels = movie([(2, 2)], [(2, 8)])
    assert track_by_motion(labels, "TYX", distance=6).labels.max() == 1
    assert track_by_motion(labels, "TYX", distance=5).labels.max() == 2


@pytest.mark.parametrize(("gap", "count"), [(0, 2), (1, 1)])
def test_a_frame_in_which_it_is_missed_is_bridged(laptrack, gap, count):
    labels = movie([(2, 2)], [], [(2, 5)])
    assert track_by_motion(labels, "TYX", distance=5, gap=gap).labels.max() == count


def test_a_division_names_the_mother(laptrack):
    labels = movie([(10, 2)], [(10, 5)], [(8, 8), (12, 8)])
    found = track_by_motion(labels, "TYX", distance=6, divisions=True)
    mother = at(found.labels, 1, (10, 5))
    daughters = {at(found.labels, 2, (8, 8)), at(found.labels, 2, (12, 8))}
    assert found.parents == dict.fromkeys(daughters, mother)
    assert not track_by_motion(labels, "TYX", distance=6).parents


def test_volumes_and_other_orders_of_axes(laptrack):
    labels = movie([(2, 2)], [(2, 6)])
    deep = np.repeat(labels[:, None], 3, axis=1)
    found = track_by_motion(deep, "TZYX", distance=5)
    assert found.labels.max() == 1 and found.labels.shape == deep.shape
    turned = track_by_motion(labels.transpose(1, 2, 0), "YXT", distance=5)
    assert turned.labels.shape == (24, 24, 2) and turned.labels.max() == 1


def test_an_empty_movie_has_no_tracks(laptrack):
    assert track_by_motion(movie([], []), "TYX", distance=5).labels.max() == 0


def test_middles_by_hand():
    labels = np.zeros((2, 4, 5), np.int32)
    labels[0, 1, 1:4] = 7
    labels[1, 2:4, 4] = 3
    np.testing.assert_array_equal(centres(labels), [[0, 7, 1, 2], [1, 3, 2.5, 4]])


@pytest.mark.parametrize(
    ("axes", "settings", "sentence"),
    [
        ("TYX", {"distance": 0}, "above 0"),
        ("TYX", {"distance": 5, "gap": -1}, "0 or more"),
        ("TYX", {"distance": 5, "along": "Z"}, "is Z"),
    ],
)
def test_what_cannot_be_is_told(axes, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        track_by_motion(movie([(2, 2)]), axes, **settings)


def test_several_series_are_told():
    with pytest.raises(InputError, match="more than one series"):
        track_by_motion(np.zeros((2, 2, 4, 4), int), "TPYX", distance=5)


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "laptrack", None)
    with pytest.raises(InputError, match=r"napari-unet-interactive\[tracking\]"):
        track_by_motion(movie([(2, 2)]), "TYX", distance=5)
