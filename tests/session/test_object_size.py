"""How wide objects are: measured by the worker, typed by the user, or taken from checked cells."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.events import TeachSummary
from napari_unet.core.rescale import usual_min_size
from napari_unet.engine import (
    InlineRunner,
    JobCancelledError,
    Learnt,
    MeasureTask,
    PlaneSize,
    SegmentDone,
    TeachDone,
    WorkerDiedError,
)
from napari_unet.session.image import Image
from napari_unet.session.measure_run import NOTHING
from napari_unet.session.object_size import ObjectSize, checked_diameter, size_text
from napari_unet.session.pair import ObjectSettings, Pair
from napari_unet.session.session import Session
from session.fakes import ALL_SIZES, image_of, pair_of, pump_until, sent, tile_of

DONE = SegmentDone(1.0, "this computer", "float32")
KEY, OTHER = ("model", (0,)), ("model", (1,))
CONFIG = ModelConfig(width=2, depth=1, diameter=20.0)


@pytest.fixture(scope="session")
def sized_model(tmp_path_factory):
    """A model of objects of 20 px."""
    from napari_unet.core.model_file import Model

    path = tmp_path_factory.mktemp("models") / "sized.safetensors"
    Model.fresh(CONFIG, name="sized").save(path)
    return str(path)


@pytest.fixture
def sized(session, sized_model):
    session.choose_model(sized_model)
    session.settings = ALL_SIZES
    return session


def answer(session, runner, *events, result=DONE):
    """Answer the last job and pump until all labels are written."""
    for event in events:
        runner.job.add_event(event)
    runner.job.finish(result)
    pump_until(session, lambda: session.settled)


# What is known of one image


def test_a_measurement_holds_for_the_model_and_the_channels_it_was_made_with():
    size = ObjectSize()
    size.measured(KEY, 22.0)
    assert size.diameter(KEY) == 22.0
    assert size.diameter(OTHER) is None


def test_what_is_typed_holds_for_all_and_outlasts_measurements():
    size = ObjectSize()
    size.measured(KEY, 22.0)
    size.type(30.0)
    size.measured(KEY, 25.0)
    assert size.is_typed and size.diameter(KEY) == size.diameter(OTHER) == 30.0
    size.type(None)
    assert not size.is_typed and size.diameter(KEY) is None


@pytest.mark.parametrize("diameter", [0.0, 0.5, -3.0, 10_001.0, float("nan")])
def test_impossible_sizes_are_refused(diameter):
    size = ObjectSize()
    with pytest.raises(InputError, match="from 1 to 10,000 px"):
        size.type(diameter)
    assert not size.is_typed


@pytest.mark.parametrize(
    ("diameter", "pixel_size", "text"),
    [
        (22.4, None, "22 px"),
        (8.44, None, "8.4 px"),
        (22.0, (0.5, "µm"), "22 px (11 µm)"),
        (40.0, (0.00005, "mm"), "40 px (0.002 mm)"),
        (200.0, (13.0, "nm"), "200 px (2600 nm)"),
    ],
)
def test_sizes_in_words(diameter, pixel_size, text):
    assert size_text(diameter, pixel_size) == text


def test_the_size_of_checked_cells_needs_three_of_them():
    labels = np.zeros((30, 60), np.int32)
    for number, (column, side) in enumerate(((1, 4), (11, 8), (31, 12), (45, 14)), 1):
        labels[1 : 1 + side, column : column + side] = number
    checked = np.zeros(labels.shape, bool)
    checked[:, :28] = True
    assert checked_diameter([(labels, checked)]) is None
    checked[:, :50] = True  # all of the third, a part of the fourth
    assert checked_diameter([(labels, checked)]) == pytest.approx(np.sqrt(4 / np.pi) * 12)
    half = checked_diameter([(labels[:, :28], checked[:, :28]), (labels[:, 28:], checked[:, 28:])])
    assert half == pytest.approx(np.sqrt(4 / np.pi) * 12)
    assert checked_diameter([]) is None


def squares(side, count, *, step=40):
    labels = np.zeros((step, step * count), np.int32)
    for number in range(count):
        labels[2 : 2 + side, number * step + 2 : number * step + 2 + side] = number + 1
    return labels, labels > 0


def test_checked_cells_overrule_a_measurement_by_area_or_number():
    of = np.sqrt(4 / np.pi)
    assert checked_diameter([squares(20, 3)], known=15.5) is None  # near enough: 22.6 px
    assert checked_diameter([squares(20, 3)], known=15.0) == pytest.approx(of * 20)
    assert checked_diameter([squares(20, 3)], known=100.0) is None  # three crumbs
    # 7 of 400 pixels are less than three discs of 35 px, 8 are more.
    assert checked_diameter([squares(20, 7)], known=35.0) is None
    assert checked_diameter([squares(20, 8)], known=35.0) == pytest.approx(of * 20)
    assert checked_diameter([squares(20, 11)], known=200.0) is None
    assert checked_diameter([squares(20, 12)], known=200.0) == pytest.approx(of * 20)


def test_what_checked_cells_say_stands_before_a_measurement_and_can_be_taken_back():
    size, key = ObjectSize(), ("model", (0,))
    assert size.source(key) == ""
    size.measured(key, 50.0)
    size.set_checked(key, 21.0)
    assert (size.diameter(key), size.source(key)) == (21.0, "checked")
    size.measured(key, 51.0)
    assert size.diameter(key) == 21.0
    size.set_checked(key, None)
    assert (size.diameter(key), size.source(key)) == (51.0, "measured")
    size.set_checked(key, 21.0)
    size.type(30.0)
    assert (size.diameter(key), size.source(key)) == (30.0, "typed")
    size.type(None)
    assert size.diameter(key) is None


# Segment


def test_the_first_plane_is_measured_and_the_others_take_its_size(sized, runner, heard):
    pair, told = pair_of((3, 8, 20), "ZYX"), []
    sized.size_changed.connect(lambda: told.append(pair.used_diameter))
    sized.segment(pair, [(0,), (2,)])
    assert sent(sized, runner).task.diameter is None
    runner.job.add_event(PlaneSize(10.0, (16, 40), measured=True))
    runner.job.add_event(tile_of((16, 40), np.s_[4:12, 4:12]))
    runner.job.finish(DONE)
    assert sent(sized, runner, 2).task.diameter == 10.0
    answer(sized, runner, PlaneSize(10.0, (16, 40), measured=False), tile_of((16, 40)))
    assert told == [10.0, 10.0]
    assert (pair.labels[0, 2:6, 2:6] == 1).all() and np.count_nonzero(pair.labels) == 16
    assert heard[-1][0].endswith("; objects measured 10 px across.")
    sized.segment(pair, [(1,)])
    assert sent(sized, runner, 3).task.diameter == 10.0


def test_an_empty_first_plane_does_not_decide(sized, runner, heard):
    pair = pair_of((2, 8, 20), "ZYX")
    sized.segment(pair, [(0,), (1,)])
    sent(sized, runner)
    runner.job.add_event(PlaneSize(None, (8, 20), measured=True))
    runner.job.add_event(tile_of((8, 20)))
    runner.job.finish(DONE)
    assert sent(sized, runner, 2).task.diameter is None
    answer(sized, runner, PlaneSize(None, (8, 20), measured=True), tile_of((8, 20)))
    assert heard[-1][0].endswith("no objects were found to measure, the image was taken as it is.")


def test_a_model_without_a_size_is_given_none(session, runner, heard, tiny_model):
    session.choose_model(tiny_model)
    pair = pair_of((8, 20))
    pair.size.type(30.0)
    session.segment(pair, [()])
    assert sent(session, runner).task.diameter is None
    answer(session, runner, PlaneSize(None, (8, 20), measured=False), tile_of((8, 20)))
    assert "object" not in heard[-1][0]
    with pytest.raises(InputError, match="does not know the size"):
        session.measure(pair.image, (), pair.size)


def test_another_model_measures_anew_and_the_one_before_remembers(sized, runner, tiny_model):
    pair = pair_of((8, 20))
    pair.size.measured(sized.size_key(pair.image), 10.0)
    first = sized.model_path
    sized.choose_model("nuclei-fluorescence")
    sized.segment(pair, [()])
    assert sent(sized, runner).task.diameter is None
    answer(sized, runner, PlaneSize(14.0, (8, 20), measured=True))
    sized.choose_model(first)
    sized.segment(pair, [()])
    assert sent(sized, runner, 2).task.diameter == 10.0


def test_a_size_typed_during_a_run_waits_for_the_next_press(sized, runner, heard):
    pair = pair_of((2, 8, 20), "ZYX")
    sized.segment(pair, [(0,), (1,)])
    sent(sized, runner)
    sized.type_size(pair.image, pair.size, 30.0)
    assert heard == [("Objects are 30 px across as typed; press Segment to use it.", False)]
    runner.job.add_event(PlaneSize(10.0, (16, 40), measured=True))
    runner.job.finish(DONE)
    assert sent(sized, runner, 2).task.diameter == 10.0
    answer(sized, runner, PlaneSize(10.0, (16, 40), measured=False), tile_of((16, 40)))
    assert heard[-1][0].endswith("objects measured 10 px across.")
    sized.segment(pair, [(0,)])
    assert sent(sized, runner, 3).task.diameter == 30.0
    answer(sized, runner, PlaneSize(30.0, (5, 13), measured=False), tile_of((5, 13)))
    assert heard[-1][0].endswith("; objects 30 px across, as typed.")


def test_stopping_while_it_measures_changes_nothing(sized, runner, heard):
    pair, reports = pair_of((8, 20)), []
    sized.progress.connect(lambda *report: reports.append(report[1]))
    sized.segment(pair, [()])
    job = sent(sized, runner)
    pump_until(sized, lambda: reports[-1] == "measuring the objects")
    sized.stop()
    job.fail(JobCancelledError("Segmenting was stopped."))
    pump_until(sized, lambda: sized.settled)
    assert heard == [("Stopped; nothing was changed.", False)]
    assert pair.size.diameter(sized.size_key(pair.image)) is None


def test_the_labels_are_those_of_segment_in_a_notebook():
    from napari_unet.core import load_model, segment
    from napari_unet.sample_data import nuclei

    data, model = nuclei((96, 128))[0], load_model("nuclei-fluorescence")
    config, shape = model.config, data.shape
    session = Session(InlineRunner())
    session.settings = ObjectSettings(config.threshold, None, config.split)
    pair = Pair(Image("drawn", data, "YX"), np.zeros(shape, np.int32), np.zeros(shape, np.uint8))
    pair.size.type(30.0)
    session.segment(pair, [()])
    pump_until(session, lambda: session.settled, 60)
    session.close()
    expected = segment(data, model, diameter=30.0).labels
    assert len(np.unique(pair.labels)) == len(np.unique(expected)) > 3
    differing = np.mean((pair.labels > 0) != (expected > 0))
    assert differing < 0.01  # probabilities reach the dock in steps of 1/255


# The probabilities of a rescaled plane


def test_objects_at_another_size_take_the_place_of_those_before():
    pair = pair_of((8, 20))
    pair.begin_plane((), (8, 20), None)
    pair.place_tile((), tile_of((8, 20), np.s_[2:6, 2:6]))
    pair.begin_plane((), (16, 40), 10.0)  # what was found stays until it is found anew
    labels = pair.propose((), ALL_SIZES).labels
    assert labels.shape == (8, 20) and (labels[2:6, 2:6] == 1).all()
    pair.place_tile((), tile_of((16, 40), np.s_[4:12, 24:32]))
    labels = pair.propose((), ALL_SIZES).labels
    assert (labels[2:6, 12:16] == 1).all() and np.count_nonzero(labels) == 16


@pytest.mark.parametrize("shape", [(3, 5), (8, 20), (17, 41), (1, 1)])
def test_earlier_probabilities_fit_any_new_shape(shape):
    pair = pair_of((8, 20))
    pair.begin_plane((), (7, 19), None)
    assert pair.segmented == []
    pair.place_tile((), tile_of((7, 19)))
    pair.begin_plane((), shape, 10.0)
    assert pair.probability[()].shape == shape


def test_the_smallest_object_follows_the_size(sized, runner):
    sized.settings = ObjectSettings()
    pair = pair_of((80, 80))
    assert sized.usual_min_size(None) == sized.usual_min_size(pair) == CONFIG.min_size
    pair.size.type(40.0)
    assert sized.usual_min_size(pair) == CONFIG.min_size  # nothing was segmented with it
    sized.segment(pair, [()])
    sent(sized, runner)
    small, large = np.s_[2:6, 2:6], np.s_[20:28, 20:28]  # 64 and 256 px of the image
    answer(
        sized, runner, PlaneSize(40.0, (40, 40), measured=False), tile_of((40, 40), small, large)
    )
    assert sized.usual_min_size(pair) == usual_min_size(CONFIG, 40.0) == 80
    assert not pair.labels[4:12, 4:12].any() and pair.labels[40:56, 40:56].all()
    sized.set_objects(ObjectSettings(min_size=10), pair, ())
    pump_until(sized, lambda: sized.settled)
    assert pair.labels[4:12, 4:12].all()


# Again


def measuring(session, runner, size, image=None, count=1):
    session.measure(image or image_of((8, 20)), (), size)
    job = sent(session, runner, count)
    assert isinstance(job.task, MeasureTask) and job.task.image.shape == (1, 8, 20)
    return job


def test_again_takes_the_place_of_what_was_typed(sized, runner, heard):
    size = ObjectSize()
    size.type(30.0)
    image = Image("cells", np.zeros((8, 20)), "YX", pixel_size=(0.5, "µm"))
    job = measuring(sized, runner, size, image)
    assert sized.busy == "Measure"
    with pytest.raises(InputError, match=r"^Measure is running; stop it first or wait\.$"):
        sized.segment(pair_of((8, 20)), [()])
    job.finish(12.0)
    pump_until(sized, lambda: sized.settled)
    assert not size.is_typed and size.diameter(sized.size_key(image)) == 12.0
    assert heard == [("Objects measured 12 px (6 µm) across.", False)]


def test_again_that_finds_nothing_leaves_what_was_known(sized, runner, heard):
    size = ObjectSize()
    size.type(30.0)
    measuring(sized, runner, size).finish(None)
    pump_until(sized, lambda: sized.settled)
    assert size.is_typed and heard == [(NOTHING, False)]


def test_again_can_be_stopped(sized, runner, heard):
    size = ObjectSize()
    job = measuring(sized, runner, size)
    sized.stop()
    assert job.cancelled
    pump_until(sized, lambda: sized.settled)
    assert heard == [("Stopped; the size of the objects is as before.", False)]


# Teach


def painted(count, side=6):
    """A pair in which so many cells were painted by hand."""
    pair = Pair(image_of((20, 80)), np.zeros((20, 80), np.int32), np.zeros((20, 80), np.uint8))
    for number in range(count):
        pair.labels[4 : 4 + side, 4 + 16 * number :][:, :side] = number + 1
    return pair


def taught(session, runner, *pairs, count=1):
    session.teach(pairs, seconds=1.0, keep=0.5)
    return sent(session, runner, count).task.examples


def test_examples_have_the_size_that_is_known(sized, runner):
    typed, measured, by_hand, few = painted(3), painted(3), painted(3), painted(2)
    typed.size.type(30.0)
    measured.size.measured(sized.size_key(measured.image), 8.0)
    examples = taught(sized, runner, typed, measured, by_hand, few)
    by_area = np.sqrt(4 / np.pi) * 6
    assert [example.diameter for example in examples] == [30.0, 8.0, pytest.approx(by_area), None]
    assert [example.sized for example in examples] == [True, False, False, False]
    assert by_hand.size.diameter(sized.size_key(by_hand.image)) == pytest.approx(by_area)
    assert few.size.diameter(sized.size_key(few.image)) is None


def test_checked_cells_count_more_than_what_the_model_measured_far_off(sized, runner):
    pair, key = painted(3), sized.size_key(painted(3).image)
    pair.size.measured(key, 4.0)
    (one,) = taught(sized, runner, pair)
    assert one.diameter == pair.size.diameter(key) == pytest.approx(np.sqrt(4 / np.pi) * 6)


def test_a_few_checked_crumbs_do_not_change_the_size_of_what_was_measured(sized, runner):
    pair, key = painted(3), sized.size_key(painted(3).image)
    pair.size.measured(key, 30.0)
    (one,) = taught(sized, runner, pair)
    assert one.diameter == pair.size.diameter(key) == 30.0


def fail(job):
    job.fail(WorkerDiedError("The worker died."))


def not_help(job):
    job.finish(TeachDone(TeachSummary(0.8, 0.5, 3, 3, False, 1.0, 30), ""))


@pytest.mark.parametrize("end", [fail, not_help])
def test_where_nothing_is_kept_of_teaching_the_size_is_as_before(sized, runner, end):
    pair, key, told = painted(3), sized.size_key(painted(3).image), []
    pair.size.measured(key, 4.0)
    sized.size_changed.connect(lambda: told.append(pair.size.diameter(key)))
    taught(sized, runner, pair)
    by_area = pytest.approx(np.sqrt(4 / np.pi) * 6)
    assert told == [by_area]
    end(runner.job)
    pump_until(sized, lambda: sized.settled)
    assert told == [by_area, 4.0]


def test_live_teaching_that_did_not_help_gives_the_size_back(sized, runner):
    pair, key = painted(3), sized.size_key(painted(3).image)
    pair.size.measured(key, 4.0)
    pair.absorb(())
    sized.learn_live(lambda: [pair], lambda: None, keep=0.5)
    sent(sized, runner).finish(Learnt(10))
    pump_until(sized, lambda: len(runner.jobs) == 2)
    assert pair.size.diameter(key) == pytest.approx(np.sqrt(4 / np.pi) * 6)
    sized.stop()
    runner.job.finish(Learnt(10))
    keeping = sent(sized, runner, 3)
    keeping.finish(TeachDone(TeachSummary(0.8, 0.5, 3, 3, False, 1.0, 30, live=True), ""))
    pump_until(sized, lambda: not sized.busy)
    assert pair.size.diameter(key) == 4.0


def test_a_size_that_live_teaching_found_wrong_counts_from_the_next_turn(sized, runner):
    wrong, typed = painted(3), painted(3)
    for pair in (wrong, typed):
        pair.absorb(())
    typed.size.type(30.0)
    key = sized.size_key(wrong.image)
    sized.learn_live(lambda: [wrong, typed], lambda: None, keep=0.5)
    sent(sized, runner).finish(Learnt(10, (20.0, 6.0)))
    assert [one.diameter for one in sent(sized, runner, 2).task.examples] == [20.0, 30.0]
    assert wrong.size.diameter(key) == 20.0


def test_a_model_without_a_size_learns_images_as_they_are(session, runner, tiny_model):
    session.choose_model(tiny_model)
    pair = painted(3)
    pair.size.type(30.0)
    assert [example.diameter for example in taught(session, runner, pair)] == [None]


def test_the_taught_model_segments_at_the_size_it_was_taught_at(sized, runner, sized_model):
    pair = painted(3)
    sized.teach([pair], seconds=1.0, keep=0.5, then=(pair, [()]))
    job = sent(sized, runner)
    summary = TeachSummary(0.52, 0.84, 3, 0, True, 1.0, 30)
    job.finish(TeachDone(summary, sized_model))
    task = sent(sized, runner, 2).task
    assert task.diameter == job.task.examples[0].diameter


def test_a_size_that_the_worker_found_wrong_counts_where_it_was_not_typed(
    sized, runner, sized_model
):
    """Of three images the first had another size, and so had the one whose size was typed."""
    wrong, right, typed = painted(3, side=5), painted(3), painted(3)
    for pair in (wrong, right):
        pair.size.measured(sized.size_key(pair.image), 8.0)
    typed.size.type(30.0)
    sized.teach([wrong, right, typed], seconds=1.0, keep=0.5)
    summary = TeachSummary(0.5, 0.8, 9, 0, True, 1.0, 30, diameters=(20.0, None, 6.0))
    sent(sized, runner).finish(TeachDone(summary, sized_model))
    pump_until(sized, lambda: wrong.size.diameter(sized.size_key(wrong.image)) == 20.0)
    assert right.size.diameter(sized.size_key(right.image)) == 8.0
    assert typed.size.diameter(sized.size_key(typed.image)) == 30.0
