"""Objects of planes become one through slices and frames."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.core.linking import link_by_overlap, series_order
from small_volumes import balls


def rows(*texts):
    """Planes of one row each; a digit is a number, a dot is background."""
    return np.array([[[0 if c == "." else int(c) for c in text]] for text in texts], np.int32)


@pytest.mark.parametrize(
    ("given", "gap", "linked"),
    [
        (("11..22", ".11...", ".22.11"), 0, ("11..22", ".11...", ".11.33")),
        (("11..22", ".11...", ".22.11"), 1, ("11..22", ".11...", ".11.22")),
        (("111.", "12..", "...."), 0, ("111.", "12..", "....")),  # equal shares: the first
        (("1111", "1222"), 0, ("1111", "2111")),  # it goes on as the one it shares most with
        (("1...", "11..", "111."), 0, ("1...", "11..", "111.")),  # sections that grow
        (("11....", ".11111"), 0, ("11....", ".11111")),  # half of the smaller one is enough
        (("111...", "..1111"), 0, ("111...", "..2222")),  # a third is not
        (("5.5.9", "5.5.9"), 0, ("1.1.2", "1.1.2")),  # numbered as they appear, whatever they were
        (("....", "...."), 0, ("....", "....")),
        (("1.", "..", "..", "1."), 1, ("1.", "..", "..", "2.")),  # missed for longer
        (("1.", "..", "..", "1."), 2, ("1.", "..", "..", "1.")),
    ],
)
def test_by_hand(given, gap, linked):
    found = link_by_overlap(rows(*given), "ZYX", gap=gap)
    np.testing.assert_array_equal(found, rows(*linked))
    assert found.dtype == np.int32


def test_what_went_on_in_between_is_not_taken_again():
    """The object of the first plane goes on in the second; the gap does not give it to another."""
    planes = rows("11.", "1..", "12.")
    found = link_by_overlap(planes, "ZYX", gap=1, least=0.4)
    np.testing.assert_array_equal(found, rows("11.", "1..", "12."))


def test_sections_of_balls_become_the_balls():
    truth = balls()
    sections = np.stack(
        [np.searchsorted(np.unique(plane), plane)[..., None] for plane in truth]
    ).squeeze(-1)
    found = link_by_overlap(sections, "ZYX")
    pairs = {(a, b) for a, b in zip(truth.ravel(), found.ravel(), strict=True) if a or b}
    assert len(pairs) == 3 and len({a for a, _ in pairs}) == len({b for _, b in pairs}) == 3


def test_axes_may_come_in_any_order_and_other_series_count_anew():
    one, other = rows("11..", ".11."), rows("...3", "...3")
    both = np.stack([one, other])  # T, Z, Y, X
    found = link_by_overlap(both, "TZYX", along="Z")
    np.testing.assert_array_equal(found[0], rows("11..", ".11."))
    np.testing.assert_array_equal(found[1], rows("...1", "...1"))
    assert series_order("TZYX") == ("TZYX", 3)
    turned = link_by_overlap(both.transpose(3, 1, 2, 0), "XZYT")
    np.testing.assert_array_equal(turned.transpose(3, 1, 2, 0), found)


def test_volumes_of_a_movie_are_linked_as_wholes():
    movie = np.stack([rows("11..", "11.."), rows("2...", ".22.")])
    found = link_by_overlap(movie, "TZYX", along="T", least=0.3)
    np.testing.assert_array_equal(found, np.stack([rows("11..", "11.."), rows("1...", ".11.")]))
    assert series_order("ZTYX", "T") == ("TZYX", 4)


@pytest.mark.parametrize(
    ("labels", "axes", "settings", "sentence"),
    [
        (rows("1")[0], "YX", {}, "single plane"),
        (rows("1"), "ZYX", {"along": "T"}, "none along which planes follow one another is T"),
        (rows("1"), "ZZX", {}, "do not fit"),
        (rows("1"), "YX", {}, "do not fit"),
        (rows("1").astype(float), "ZYX", {}, "whole numbers"),
        (rows("1"), "ZYX", {"least": 0}, "above 0"),
        (rows("1"), "ZYX", {"gap": -1}, "0 or more"),
    ],
)
def test_what_cannot_be_linked_is_told(labels, axes, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        link_by_overlap(labels, axes, **settings)
