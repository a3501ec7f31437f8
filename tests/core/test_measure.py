"""The size of objects, measured on drawn ones by a model that sees what is bright."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from brightness import brightness_model
from napari_unet.core import measure, normalize, rescale
from napari_unet.core.measure import measure_diameter, measure_large
from napari_unet.core.object_score import LOOKS

CPU = {"device": "cpu", "precision": "float32"}
MODEL = brightness_model(diameter=20.0, min_size=20)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def disc(image, center, diameter, light=1.0):
    """Draw a disc, as far as it lies within the image."""
    (y, x), reach = center, int(diameter / 2) + 2
    rows = slice(max(0, int(y) - reach), int(y) + reach)
    columns = slice(max(0, int(x) - reach), int(x) + reach)
    there = np.mgrid[rows, columns]
    part = image[rows, columns]
    away = np.hypot(there[0] - y, there[1] - x)[: part.shape[0], : part.shape[1]]
    part[away < diameter / 2] = light


def grid(shape, diameter, box=None, seed=0):
    """Discs a diameter apart in rows and columns, in all of the image or in a box, with noise."""
    rng = np.random.default_rng(seed)
    image = np.zeros(shape, np.float32)
    top, bottom, left, right = box or (0, shape[0], 0, shape[1])
    for y in np.arange(top + 1.1 * diameter, bottom - diameter, 1.7 * diameter):
        for x in np.arange(left + 1.1 * diameter, right - diameter, 1.7 * diameter):
            disc(image, (y, x), diameter)
    return (image + rng.normal(0, 0.05, shape)).astype(np.float32)


def measured(image, model=MODEL, **options):
    return measure_diameter(image[None], model, **CPU, **options)


@pytest.fixture
def looks(monkeypatch):
    """All that is looked at: expected diameter and shape of the window, in image pixels."""
    seen = []
    original = measure._Viewer.look

    def look(viewer, expected, **options):
        sides = options.get("sides", measure.WINDOW)
        rows, columns = viewer._window(viewer._model.config.diameter / expected, sides)
        window = (rows.start, rows.stop, columns.start, columns.stop)
        seen.append((expected, window))
        return original(viewer, expected, **options)

    monkeypatch.setattr(measure._Viewer, "look", look)
    return seen


@pytest.mark.parametrize("within", [(5.0, 20.0), (90.0, 400.0)])
def test_no_size_is_believed_outside_of_the_bounds(within):
    image = grid((400, 400), 60)
    assert measured(image) == measured(image, within=(30.0, 90.0)) == pytest.approx(60, rel=0.1)
    other = measured(image, within=within)
    assert other is None or within[0] <= other <= within[1]


@pytest.mark.parametrize("diameter", [8, 11, 17, 30, 55, 100, 200])
@pytest.mark.parametrize("known", [14.0, 20.0, 40.0])
def test_drawn_discs_are_measured(diameter, known):
    model = brightness_model(diameter=known, min_size=20)
    side = max(160, 6 * diameter)
    assert measured(grid((side, side + 10), diameter), model) == pytest.approx(diameter, rel=0.1)


@pytest.mark.parametrize("diameter", [8, 20, 60, 200])
def test_one_object_alone_is_measured_too(diameter):
    image = np.zeros((400, 420), np.float32)
    disc(image, (180, 210), diameter)
    assert measured(image) == pytest.approx(diameter, rel=0.1)


@pytest.mark.parametrize(("faint", "step"), [(0.3, 19), (0.4, 17), (0.5, 17)])
def test_nuclei_in_an_embryo_are_measured_and_not_the_embryo(faint, step):
    image = np.zeros((400, 400), np.float32)
    disc(image, (200, 200), 240, faint)
    places = [(y, x) for y in range(100, 310, step) for x in range(100, 310, step)]
    near = [place for place in places if np.hypot(place[0] - 200, place[1] - 200) < 110]
    for place in near:
        disc(image, place, 14)
    assert len(near) > 100
    blurred = measure._Viewer(image[None], MODEL, **CPU).look(200.0)
    assert blurred.objects == 1  # from far it is one object, of the size that is expected
    assert blurred.error < measure.CLOSE
    assert measured(image) == pytest.approx(14, rel=0.1)


def test_haze_that_took_a_group_for_one_does_not_hide_how_large_nuclei_are():
    image = grid((300, 300), 16, box=(0, 300, 0, 190))
    image[20:280, 190:280] = 1  # more area than all of the discs
    look = measure._Viewer(image[None], MODEL, **CPU).look(16.0)
    assert look.objects > 50 and look.objects * 210 < 260 * 90
    assert look.diameter == pytest.approx(16, rel=0.1)
    few = np.array([400, 390, 410, 20000])  # a blob among three objects may be one of them
    np.testing.assert_array_equal(measure._without_blobs(few, 20.0), few)


def test_what_does_not_look_like_an_object_is_believed_less():
    y, x = np.mgrid[:400, :400] - 200
    star = np.zeros((400, 400), np.float32)
    star[np.hypot(y, x) < 120 * (0.7 + 0.3 * np.cos(9 * np.arctan2(y, x)))] = 1
    round_one = np.zeros_like(star)
    disc(round_one, (200, 200), 180)
    coefficients = [20.0 if name == "fill of the ellipse" else 0.0 for name in LOOKS]
    knows_looks = replace(MODEL.config, object_score=(*coefficients, -18.0))
    for model, believes_the_star in ((MODEL, True), (replace(MODEL, config=knows_looks), False)):
        certain = [
            measure._Viewer(image[None], model, **CPU).look(200.0).certainty
            for image in (round_one, star)
        ]
        assert certain[0] > 0.9
        assert (certain[1] > 0.9) == believes_the_star


@pytest.mark.parametrize(("taught", "known", "size"), [(24.0, True, 20), (24.0, False, 38)])
def test_groups_beside_nuclei_of_a_known_kind_say_nothing_of_their_size(taught, known, size):
    """Crosses of 38 px that do not look like nuclei, of more area than all the discs of 20."""
    image = grid((400, 400), 20, box=(0, 400, 0, 150))
    for y in range(30, 380, 66):
        for x in range(200, 380, 66):
            image[y - 5 : y + 6, x - 28 : x + 29] = image[y - 28 : y + 29, x - 5 : x + 6] = 1
    coefficients = [20.0 if name == "fill of the ellipse" else 0.0 for name in LOOKS]
    config = replace(
        MODEL.config,
        object_score=(*coefficients, -18.0),
        taught_diameter=taught,
        taught_known=known,
    )
    found = measured(image, replace(MODEL, config=config))
    assert found == pytest.approx(size, rel=0.1)


def test_crumbs_do_not_count_by_their_number():
    """Half of the area is in discs wider than the answer: twelve of 8 px, four of 24."""
    image = np.zeros((200, 200), np.float32)
    for number in range(12):
        disc(image, (20 + 15 * number, 20), 8)
    for place in ((60, 80), (60, 140), (120, 80), (120, 140)):
        disc(image, place, 24)
    assert measured(image) == pytest.approx(24, rel=0.1)


def test_objects_cut_by_the_border_do_not_count_where_there_are_enough_others():
    image = np.zeros((300, 300), np.float32)
    for x in (30, 90, 150, 210, 270):
        for y in (0, 299):
            disc(image, (y, x), 40)  # halves: a disc of half the area has 28 px
    for place in ((100, 100), (100, 200), (200, 100), (200, 200)):
        disc(image, place, 40)
    assert measured(image) == pytest.approx(40, rel=0.05)


@pytest.mark.parametrize("box", [(1690, 1990, 1690, 1990), (20, 320, 1650, 1950)])
def test_a_large_image_is_looked_at_where_its_objects_are(looks, box):
    assert measured(grid((2000, 2000), 15, box)) == pytest.approx(15, rel=0.1)
    for expected, (top, bottom, left, right) in looks:
        assert (bottom - top) * 20 / expected <= measure.WINDOW + 1
        if expected < 20:  # the window is smaller than what is drawn
            assert box[0] - 200 <= top and bottom <= min(2000, box[1] + 200)
            assert box[2] - 200 <= left and right <= min(2000, box[3] + 200)
    assert min(expected for expected, _ in looks) < 20


def test_a_large_image_is_looked_at_where_the_model_sees_objects_and_not_where_it_is_motley():
    image = np.stack([grid((1600, 1600), 15, (20, 300, 20, 300)), np.zeros((1600, 1600))])
    image[1, 1200:, 1200:] = np.random.default_rng(0).random((400, 400)) > 0.5
    model = brightness_model(2, diameter=20.0, min_size=20)  # sees the first channel alone
    assert measure_diameter(image, model, **CPU) == pytest.approx(15, rel=0.1)


def test_an_image_larger_than_the_first_window_is_looked_at_where_its_objects_are():
    model = brightness_model(diameter=40.0, min_size=20)  # its first window has 1536 px a side
    image = grid((2000, 2000), 30, (1790, 1990, 1790, 1990))
    assert measured(image, model) == pytest.approx(30, rel=0.1)


def test_specks_are_too_small_to_be_measured():
    image = np.zeros((100, 100), np.float32)
    image[10:90:10, 10:90:10] = 1  # of one pixel: none is 4 px across
    assert measured(image, brightness_model(diameter=20.0)) is None


def test_a_size_for_which_the_image_is_too_large_is_the_smallest_that_can_be_used(monkeypatch):
    image = grid((200, 200), 10)
    monkeypatch.setattr(rescale, "MAX_RESCALED", 2 * image.size)
    diameter = measured(image)
    assert diameter == pytest.approx(20 / np.sqrt(2), rel=0.01)
    assert 1 < rescale.model_scale(MODEL.config, diameter, image.shape) < np.sqrt(2)


def test_thin_and_small_images_are_measured():
    assert measured(grid((30, 900), 12)) == pytest.approx(12, rel=0.15)
    assert measured(grid((900, 30), 12)) == pytest.approx(12, rel=0.15)
    assert measured(np.ones((1, 1), np.float32)) is None


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((200, 200), np.uint8),
        np.full((64, 64), 7.5),
        np.full((64, 64), np.nan),
        np.zeros((3, 500), np.uint16),
    ],
)
def test_an_empty_image_has_no_size(image):
    assert measured(image) is None


def test_a_model_that_knows_no_size_measures_none(monkeypatch):
    monkeypatch.setattr(measure, "predict_plane", None)  # calling it would fail
    assert measured(grid((200, 200), 20), brightness_model()) is None


@pytest.mark.parametrize("after", range(3))
def test_it_can_be_cancelled_between_looks(looks, after):
    polled = iter(range(100))
    assert measured(grid((200, 200), 20), cancelled=lambda: next(polled) >= after) is None
    assert len(looks) == after


def test_cancelling_that_never_comes_changes_nothing():
    image = grid((200, 200), 20)
    assert measured(image, cancelled=lambda: False) == measured(image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_every_dtype_and_offset_gives_the_same(dtype):
    image = grid((240, 240), 26)
    other = (100 + 100 * np.clip(image, 0, 1)).astype(dtype)
    assert measured(other) == pytest.approx(measured(image), rel=0.02)


def test_all_channels_are_looked_at():
    two = np.stack([grid((240, 240), 26), np.ones((240, 240), np.float32)])
    model = brightness_model(2, diameter=20.0, min_size=20)
    assert measure_diameter(two, model, **CPU) == pytest.approx(26, rel=0.1)


def test_the_image_is_not_written_to():
    image = grid((200, 200), 20)
    image.flags.writeable = False
    measured(image)


def test_the_answer_has_one_decimal():
    diameter = measured(grid((200, 200), 23))
    assert diameter == round(diameter, 1)
    assert type(diameter) is float


def test_a_sure_look_spares_those_at_smaller_sizes(looks):
    measured(grid((900, 900), 150))
    assert {expected for expected, _ in looks} & set(measure.FIRST_LOOKS) == {160}


def test_what_is_found_is_looked_at_again_at_its_size_and_no_size_twice(looks):
    measured(grid((300, 300), 23))
    sizes = sorted(expected for expected, _ in looks)
    assert any(abs(size - 23) < 3 for size in sizes)
    assert all(b / a > 1.05 for a, b in pairwise(sizes))
    assert len(looks) <= len(measure.FIRST_LOOKS) * measure.ROUNDS


def test_objects_below_the_smallest_the_model_takes_are_no_objects():
    model = replace(MODEL, config=replace(MODEL.config, min_size=10_000))
    assert measured(grid((200, 200), 20), model) is None


TAUGHT = brightness_model(diameter=20.0, min_size=20, taught_diameter=48.0)


@pytest.mark.parametrize("diameter", [28, 40, 48, 56, 66, 110])
def test_objects_of_about_the_size_that_was_taught_are_measured_by_one_look(looks, diameter):
    found = measured(grid((500, 500), diameter), TAUGHT)
    assert found == pytest.approx(diameter, rel=0.1)
    assert looks[0][0] == 48.0
    assert diameter == 110 or len(looks) == 1  # of what is twice as large it is not sure


@pytest.mark.parametrize("diameter", [14, 140])
def test_quite_other_objects_are_measured_as_by_any_model(looks, diameter):
    image = grid((500, 500), diameter)
    assert measured(image, TAUGHT) == measured(image) == pytest.approx(diameter, rel=0.15)


def seen(monkeypatch, *found):
    """Let each look find so much, whatever the image; return what was looked for."""
    asked, left = [], list(found)

    def look(_, expected, **_options):
        asked.append(expected)
        return measure._Look(expected, left.pop(0), 0.9, 30, 20.0)

    monkeypatch.setattr(measure._Viewer, "look", look)
    return asked


KNOWN = brightness_model(diameter=20.0, min_size=20, taught_diameter=48.0, taught_known=True)


def test_of_a_kind_that_was_known_other_sizes_are_looked_at_again(monkeypatch):
    asked = seen(monkeypatch, 34.0, 26.0, 25.0)
    assert measured(grid((400, 400), 25), KNOWN) == 25.0
    assert asked == [48.0, 34.0, 26.0]


@pytest.mark.parametrize("found", [(18.0,), (34.0, 24.0, 17.0, 12.0, 8.0), (34.0, 15.0, 15.0)])
def test_what_stays_unlike_what_was_taught_is_measured_as_by_any_model(monkeypatch, found):
    """Far off at once; never of the size that was looked for; far off in the end."""
    asked = seen(monkeypatch, *found, 160.0)
    assert measured(grid((400, 400), 160), KNOWN) == 160.0
    assert asked[-1] == measure.FIRST_LOOKS[0] and len(asked) == len(found) + 1


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("certainty", "at_taught", "size"),
    [(0.65, 0.5, 40.0), (0.9, 0.5, 24.0), (0.65, 0.2, 24.0), (0.9, 0.95, 40.0)],
)
def test_another_size_than_was_taught_counts_where_the_model_is_surer_of_it(
    monkeypatch, known, certainty, at_taught, size
):
    """Of phase contrast it was taught pieces are found closer, of nuclei all is sure there."""

    def look(_, expected, **_options):
        if expected == 48.0:
            return measure._Look(expected, 40.0, at_taught, 30, 20.0)
        return measure._Look(expected, 24.0, certainty, 60, 40.0)

    monkeypatch.setattr(measure._Viewer, "look", look)
    taught = replace(TAUGHT, config=replace(TAUGHT.config, taught_known=known))
    assert measured(grid((400, 400), 34), taught) == size


def test_a_cell_alone_as_it_was_taught_counts_more_than_many_others_beside_it(monkeypatch):
    def look(_, expected, **_options):
        if expected == 48.0:
            return measure._Look(expected, 52.0, 0.95, 1, 1.0)
        return measure._Look(expected, 12.0, 0.78, 60, 40.0)

    monkeypatch.setattr(measure._Viewer, "look", look)
    assert measured(grid((400, 400), 52), TAUGHT) == 52.0


@pytest.mark.parametrize(
    ("far", "likely", "diameter"),
    [
        (0.60, 3.0, 12.0),  # nothing is sure: hundreds of small ones outweigh a few blobs
        (0.60, 90.0, 150.0),  # as many: the surer look
        (0.75, 9.0, 150.0),  # large nuclei, nearly sure, and hundreds of specks of their grain
        (0.95, 3.0, 150.0),  # a sure one is believed however few there are
    ],
)
def test_where_no_look_is_sure_many_likely_objects_count_more(monkeypatch, far, likely, diameter):
    def look(self, expected, **_options):
        if expected == 160.0:
            return measure._Look(expected, 150.0, far, 20, likely)
        return measure._Look(expected, 12.0, 0.5, 200, 90.0) if expected == 10.0 else None

    monkeypatch.setattr(measure._Viewer, "look", look)
    assert measure.measure_diameter(np.eye(300)[None], brightness_model(diameter=20.0)) == diameter


def test_a_sure_look_counts_more_than_one_before_it_with_many_likely_objects(monkeypatch):
    def look(self, expected, **_options):
        if expected == 160.0:
            return measure._Look(expected, 150.0, 0.6, 200, 190.0)
        return measure._Look(expected, 40.0, 0.9, 12, 5.0) if expected == 40.0 else None

    monkeypatch.setattr(measure._Viewer, "look", look)
    assert measure.measure_diameter(np.eye(300)[None], brightness_model(diameter=20.0)) == 40.0


@pytest.mark.parametrize(("side", "size", "again"), [(900, 21.0, [15.0]), (150, 15.0, [])])
def test_where_no_look_is_sure_the_best_are_taken_again_of_more_of_the_image(
    monkeypatch, side, size, again
):
    """In the part where most is to be seen nuclei are smaller than in the rest."""
    wide = []

    def look(self, expected, sides=measure.WINDOW):
        if sides > measure.WINDOW:
            wide.append(expected)
            return measure._Look(expected, 1.4 * expected, 0.5, 300, 3000 / expected)
        if expected == 20.0:
            return measure._Look(expected, 15.0, 0.6, 30, 10.0)
        if expected == 160.0:
            return measure._Look(expected, 300.0, 0.6, 3, 1.0)
        return measure._Look(expected, 16.0, 0.5, 30, 8.0)  # as good as seen already

    monkeypatch.setattr(measure._Viewer, "look", look)
    assert measure_diameter(np.eye(side)[None], brightness_model(diameter=20.0)) == size
    assert wide == again


def test_it_can_be_cancelled_while_it_looks_wider(monkeypatch):
    def look(self, expected, sides=measure.WINDOW):
        asked.append(sides)
        return measure._Look(expected, expected, 0.5, 30, 10.0)

    monkeypatch.setattr(measure._Viewer, "look", look)
    asked = []
    image, model = np.eye(9000)[None, :600], brightness_model(diameter=20.0)
    for after in range(8):
        asked.clear()
        polled = iter(range(100))
        found = measure_diameter(
            image, model, cancelled=lambda polled=polled, n=after: next(polled) >= n
        )
        assert len(asked) == after
        assert (found is None) == (after < 7)
    assert asked[4:] == [measure.WIDER * measure.WINDOW] * 3


def test_of_a_large_plane_the_part_with_most_to_see_is_measured(monkeypatch):
    class Parts:
        """An array of which parts are read."""

        def __init__(self, array):
            self.array, self.shape, self.dtype, self.most = array, array.shape, array.dtype, 0

        def __getitem__(self, index):
            part = self.array[index]
            self.most = max(self.most, part.size)
            return part.copy()

    monkeypatch.setattr(measure, "PART", 300)
    monkeypatch.setattr(normalize, "MAX_PIXELS", 200**2)
    image = Parts(grid((1000, 1100), 17, (640, 900, 700, 960))[None])
    assert measure_large(image, MODEL, **CPU) == pytest.approx(17, rel=0.1)
    assert image.most < 400**2
