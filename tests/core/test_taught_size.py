"""An image is taught at another size than was measured where its cells say so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_unet.core import drawn, taught_size
from napari_unet.core.example import Example
from napari_unet.core.knowing import what_is_known
from napari_unet.core.model_file import load_model
from napari_unet.core.size import median_diameter
from napari_unet.core.taught_size import at_drawn_size, at_found_size


@pytest.fixture(scope="module")
def model():
    return load_model("nuclei-fluorescence")


def scene(*, negative=False):
    image, labels = drawn.varied_nuclei((320, 320), 3)
    mask = np.zeros(labels.shape, np.uint8)
    mask[:40, :40] = 1
    image = image.max() - image if negative else image
    return Example(image, labels, mask, "YX", 24.0)


@pytest.mark.parametrize(("measured", "is_other"), [(24.0, False), (13.0, True), (60.0, True)])
def test_a_size_that_is_far_off_what_is_found_and_corrected_is_named_anew(
    model, measured, is_other
):
    """Whatever was measured, the nuclei that are believed and corrected are as wide as they are."""
    own = replace(scene(), diameter=24.0)
    known = what_is_known(model, [own], precision="float32")
    (wrong,) = at_found_size([replace(own, diameter=measured)], known)
    assert (wrong.diameter != measured) == is_other
    if is_other:
        truth = median_diameter([own.labels])
        assert wrong.diameter == pytest.approx(truth, rel=0.1)


def test_of_a_kind_that_is_not_known_sizes_stay_as_they_are(model):
    dark = replace(scene(negative=True), diameter=5.0)
    assert at_found_size([dark], what_is_known(model, [dark], precision="float32")) == [dark]


def corrected(measured):
    """Two discs of 10 and 20 px were drawn; a larger one nobody has checked."""
    y, x = np.mgrid[:128, :128]
    labels = np.zeros((128, 128), np.int32)
    for number, (row, radius) in enumerate(((20, 5), (50, 10), (96, 25)), start=1):
        labels[np.hypot(y - row, x - 40) < radius] = number
    return Example(np.zeros(labels.shape), labels, y < 62, "YX", measured)


@pytest.mark.parametrize(
    ("measured", "again"), [(288.0, True), (3.0, True), (48.0, False), (5.0, False), (None, False)]
)
def test_what_is_far_off_all_that_was_drawn_is_measured_within_it(
    model, monkeypatch, measured, again
):
    asked = []

    def measure(_, __, *, within, **___):
        asked.append(within)
        return 17.0

    monkeypatch.setattr(taught_size, "measure_diameter", measure)
    own = corrected(measured)
    (one,) = at_drawn_size([own], model)
    assert one.diameter == (17.0 if again else measured)
    assert (one is own) != again
    if again:
        assert asked == [(pytest.approx(10 / 2.5, rel=0.1), pytest.approx(20 * 2.5, rel=0.1))]


def drawn_discs(measured, *, cut=False):
    """Three discs of 20 px were drawn and a crumb; the last disc may be cut off by the border."""
    y, x = np.mgrid[:128, :128]
    labels = np.zeros((128, 128), np.int32)
    places = ((20, 20), (20, 60), (60, 2 if cut else 20))
    for number, (row, column) in enumerate(places, start=1):
        labels[np.hypot(y - row, x - column) < 10] = number
    labels[100:103, 100:103] = 9
    return Example(np.zeros(labels.shape), labels, labels > 0, "YX", measured)


@pytest.mark.parametrize(("measured", "is_other"), [(32.0, True), (14.0, True), (23.0, False)])
def test_three_whole_cells_say_more_than_what_was_measured(model, monkeypatch, measured, is_other):
    monkeypatch.setattr(taught_size, "measure_diameter", lambda *_, **__: pytest.fail("measured"))
    (one,) = at_drawn_size([drawn_discs(measured)], model)
    assert one.diameter == (pytest.approx(20, rel=0.05) if is_other else measured)


def test_a_piece_at_the_border_is_no_whole_cell(model):
    without_crumb = drawn_discs(32.0, cut=True)
    without_crumb.labels[without_crumb.labels == 9] = 0
    assert at_drawn_size([without_crumb], model)[0].diameter == 32.0


@pytest.mark.parametrize(("part", "is_other"), [(0.6, True), (0.4, False)])
def test_a_whole_cell_is_enough_where_most_of_the_image_is_checked(model, part, is_other):
    one = drawn_discs(32.0)
    one.labels[one.labels > 1] = 0
    checked = (one.labels == 1) | (np.arange(128)[:, None] >= 128 * (1 - part))
    (taught,) = at_drawn_size([replace(one, checked=checked)], model)
    assert taught.diameter == (pytest.approx(20, rel=0.05) if is_other else 32.0)


def test_what_a_person_said_stays(model):
    told = replace(drawn_discs(32.0), sized=True)
    assert at_drawn_size([told], model) == [told]
    own = replace(scene(), diameter=60.0, sized=True)
    assert at_found_size([own], what_is_known(model, [own], precision="float32")) == [own]


def test_where_nothing_is_found_within_it_the_size_is_that_of_what_was_drawn(model, monkeypatch):
    monkeypatch.setattr(taught_size, "measure_diameter", lambda *_, **__: None)
    (one,) = at_drawn_size([corrected(288.0)], model)
    assert one.diameter == pytest.approx(20, rel=0.05)  # half of the area is in wider ones


def test_without_cells_or_a_size_of_the_model_all_stays(model):
    own = replace(corrected(288.0), checked=np.zeros((128, 128), bool))
    assert at_drawn_size([own], model) == [own]
    plain = replace(model, config=replace(model.config, diameter=None))
    assert at_drawn_size([corrected(288.0)], plain)[0].diameter == 288.0
