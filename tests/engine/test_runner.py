"""Tasks and jobs in this process."""

from __future__ import annotations

import logging
import pickle
from dataclasses import replace

import numpy as np
import pytest

from engine.odd_tasks import Count, Fail, Train, Wait
from napari_unet.core import plane_run
from napari_unet.core.errors import ComputeError, InputError, ModelFileError, OutOfMemoryError
from napari_unet.core.events import KeptAsideScore, TeachSummary, TileResult, TrainProgress
from napari_unet.core.example import Example
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.predict import predict_tiles, predict_with_deviation
from napari_unet.engine import (
    DeviceInfo,
    InlineRunner,
    JobCancelledError,
    MeasureTask,
    PlaneSize,
    ProbeTask,
    SegmentTask,
    TeachDone,
    TeachTask,
    compute,
    run_task,
)
from napari_unet.engine.compute import cached_model


@pytest.fixture
def runner():
    runner = InlineRunner()
    yield runner
    runner.close()


def never():
    return False


def test_each_poll_takes_one_step_and_the_result_comes_last(runner):
    job = runner.submit(Count(2))
    assert not job.done()
    assert job.poll() == [0]
    assert job.poll() == [1]
    assert not job.done()
    assert job.poll() == []
    assert job.done()
    assert job.result() == 2


def test_events_remain_after_the_result_was_taken(runner):
    job = runner.submit(Count(3))
    assert job.result() == 3
    assert job.poll() == [0, 1, 2]
    assert job.poll() == []


def test_cancel_before_the_first_poll_runs_nothing(runner):
    job = runner.submit(Count(3))
    job.cancel()
    assert job.cancelled
    assert job.done()
    assert job.poll() == []
    with pytest.raises(JobCancelledError, match="before it began"):
        job.result()


def test_cancel_in_the_middle_returns_what_the_task_returns(runner):
    job = runner.submit(Wait("the best so far"))
    assert job.poll() == ["begun"]
    job.cancel()
    assert job.result() == "the best so far"


def test_cancel_after_the_end_changes_nothing(runner):
    job = runner.submit(Count(1))
    job.result()
    job.cancel()
    assert not job.cancelled
    assert job.result() == 1


def test_close_ends_jobs_as_cancelled(runner):
    job = runner.submit(Wait())
    job.poll()
    runner.close()
    with pytest.raises(JobCancelledError):
        job.result()


@pytest.mark.parametrize(
    ("error", "becomes", "says"),
    [
        (RuntimeError("mat1 and mat2\nlong story"), ComputeError, r"\(mat1 and mat2\)"),
        (MemoryError(), OutOfMemoryError, "not enough memory"),
        (ImportError("no libgomp"), ComputeError, r"could not be loaded \(no libgomp\)"),
        (KeyError(), ComputeError, r"\(KeyError\)"),
        (InputError("Choose a channel."), InputError, "^Choose a channel.$"),
    ],
)
def test_errors_become_one_sentence(runner, error, becomes, says, caplog):
    caplog.set_level(logging.CRITICAL + 1)
    job = runner.submit(Fail(error))
    with pytest.raises(becomes, match=says) as caught:
        job.result()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_the_traceback_of_a_foreign_error_is_logged(runner, caplog):
    job = runner.submit(Fail(RuntimeError("out of luck")))
    with pytest.raises(ComputeError):
        job.result()
    assert "Traceback" in caplog.text
    assert "out of luck" in caplog.text


def test_progress_is_thinned_out_but_the_last_of_each_stretch_arrives():
    events = list(run_task(Train(steps=2000), never))
    steps = [event.step for event in events if isinstance(event, TrainProgress)]
    assert steps[0] == 0
    assert len(steps) < 20
    assert steps == sorted(steps)
    before_score = events[[isinstance(e, KeptAsideScore) for e in events].index(True) - 1]
    assert before_score.step == 1999
    assert events[-1].step == 2001


@pytest.mark.parametrize(
    "task",
    [
        SegmentTask(np.zeros((1, 4, 4), np.uint8), "m", center=(1.0, 2.0)),
        MeasureTask(np.zeros((1, 4, 4), np.uint8), "m"),
        TeachTask("m", (Example(np.zeros((4, 4)), np.zeros((4, 4), int)),), 1.0, save_to="n"),
        ProbeTask(),
    ],
)
def test_tasks_survive_pickling(task):
    again = pickle.loads(pickle.dumps(task, protocol=5))
    assert type(again) is type(task)
    assert again.__dict__.keys() == task.__dict__.keys()


def test_segment_sends_quantised_tiles_that_cover_the_image(runner, model_path, cells):
    image = cells[0][None]
    job = runner.submit(SegmentTask(image, model_path, tile=40, precision="float32"))
    done = job.result()
    size, *tiles = job.poll()
    assert size == PlaneSize(None, image.shape[1:], measured=False)
    assert len(tiles) == tiles[0].count > 1
    expected = list(predict_tiles(image, load_model(model_path), tile=40, precision="float32"))
    covered = np.zeros(image.shape[1:], int)
    for tile, wanted in zip(tiles, expected, strict=True):
        assert (tile.y, tile.x, tile.index) == (wanted.y, wanted.x, wanted.index)
        assert tile.probability.dtype == np.uint8
        np.testing.assert_allclose(tile.probability / 255, wanted.probability, atol=0.51 / 255)
        covered[tile.y :, tile.x :][: tile.probability.shape[1], : tile.probability.shape[2]] += 1
    assert (covered == 1).all()
    assert (done.device, done.precision) == ("this computer", "float32")


def test_segment_averages_versions_and_tells_how_far_they_differ(runner, model_path, cells):
    image = cells[0][None]
    task = SegmentTask(image, model_path, device="cpu", precision="float32", average="flips")
    job = runner.submit(task)
    job.result()
    _, *tiles = job.poll()
    assert [tile.index for tile in tiles] == list(range(4)) and tiles[0].count == 4
    model = load_model(model_path)
    how = {"device": "cpu", "precision": "float32"}
    mean, deviation = predict_with_deviation(image, model, average="flips", **how)
    np.testing.assert_allclose(tiles[-1].probability / 255, mean, atol=0.51 / 255)
    np.testing.assert_allclose(tiles[-1].deviation / 255, deviation, atol=0.51 / 255)


def test_segment_uses_the_ranges_of_the_whole_image(runner, model_path, cells):
    image = cells[0][None]

    def first_tile(ranges):
        job = runner.submit(SegmentTask(image, model_path, precision="float32", ranges=ranges))
        job.result()
        return job.poll()[1].probability

    same = first_tile(np.percentile(image, (1.0, 99.8))[None])
    assert np.array_equal(first_tile(None), same)
    assert not np.array_equal(first_tile(np.array([[0.0, 1000.0]])), same)


def test_a_cancelled_segment_keeps_its_tiles_and_raises(runner, model_path, cells):
    job = runner.submit(SegmentTask(cells[0][None], model_path, tile=40, precision="float32"))
    _, first = job.poll() + job.poll()
    job.cancel()
    with pytest.raises(JobCancelledError, match="stopped"):
        job.result()
    assert first.index == 0
    assert job.poll() == []


@pytest.fixture
def tiles_run(monkeypatch):
    """How often the network ran for a tile."""
    run, boxes = plane_run._run, []

    def counted(network, image, box):
        boxes.append(box)
        return run(network, image, box)

    monkeypatch.setattr(plane_run, "_run", counted)
    return boxes


@pytest.mark.parametrize("average", ["none", "flips"])
def test_a_tile_is_shown_before_the_next_one_is_begun(
    runner, model_path, cells, tiles_run, average
):
    """So the first one is there within two tile times, also where versions are averaged."""
    task = SegmentTask(cells[0][None], model_path, tile=40, precision="float32", average=average)
    job = runner.submit(task)
    _, first = job.poll() + job.poll()
    assert isinstance(first, TileResult) and len(tiles_run) == 1
    job.poll()
    assert len(tiles_run) == 2
    job.cancel()
    with pytest.raises(JobCancelledError):
        job.result()
    assert len(tiles_run) == 2  # none is computed after a cancel


@pytest.mark.parametrize("end", ["done", "cancelled", "failed"])
def test_memory_of_the_gpu_is_given_back_however_it_ends(
    runner, model_path, cells, monkeypatch, end
):
    given_back = []
    monkeypatch.setattr(compute, "give_back_gpu_memory", lambda: given_back.append(1))
    if end == "failed":
        monkeypatch.setattr(plane_run, "_run", lambda *_: 1 / 0)
    job = runner.submit(SegmentTask(cells[0][None], model_path, tile=40, precision="float32"))
    job.poll()
    job.poll()
    if end == "done":
        assert not given_back  # the next tile needs it
        job.result()
    else:
        job.cancel() if end == "cancelled" else None
        with pytest.raises(JobCancelledError if end == "cancelled" else ComputeError):
            job.result()
    assert given_back == [1]


def teach_task(model_path, cells, save_to, **others):
    image, labels = cells
    example = Example(image, labels)
    return TeachTask(
        model_path, (example,), steps=2, save_to=str(save_to), precision="float32", **others
    )


def test_a_view_that_moves_changes_which_tile_comes_next(runner, model_path, cells):
    rows, columns = cells[0].shape
    task = SegmentTask(cells[0][None], model_path, (0.0, 0.0), tile=40, precision="float32")
    job = runner.submit(task)
    _, first = job.poll() + job.poll()
    job.look_at((rows - 1.0, columns - 1.0))
    (second,) = job.poll()
    job.look_at((rows - 1.0, 0.0))
    (third,) = job.poll()
    job.result()
    tiles = [first, second, third, *job.poll()]
    assert (first.y, first.x) == (0, 0)
    assert second.y + second.probability.shape[1] == rows
    assert second.x + second.probability.shape[2] == columns
    assert third.y == second.y and third.x == 0
    assert len({(tile.y, tile.x) for tile in tiles}) == len(tiles) == first.count


def test_memory_that_was_short_is_told_with_the_result(runner, model_path, cells, monkeypatch):
    run, sizes = plane_run._run, []

    def first_fails(network, image, box):
        sizes.append(image.size)
        if len(sizes) == 1:
            raise MemoryError
        return run(network, image, box)

    monkeypatch.setattr(plane_run, "_run", first_fails)
    monkeypatch.setattr(plane_run, "LEAST_TILE", 16)
    job = runner.submit(SegmentTask(cells[0][None], model_path, precision="float32"))
    assert job.result().notes == (plane_run.SMALLER_TILES,)


def test_teaching_saves_a_model_that_can_be_loaded(runner, model_path, one_cell, tmp_path):
    target = tmp_path / "own" / "taught.safetensors"
    done = runner.submit(teach_task(model_path, one_cell, target, title="My cells")).result()
    assert done.model == str(target)
    model = load_model(target)
    assert (model.card.name, model.card.title, model.card.parent) == ("taught", "My cells", "tiny")
    assert done.summary.steps == 2
    assert TeachSummary(**model.card.taught) == done.summary
    assert model.card.origin == load_model(model_path).card.identity
    further = replace(teach_task(str(target), one_cell, tmp_path / "b.safetensors"), origin="root")
    runner.submit(further).result()
    assert load_model(tmp_path / "b.safetensors").card.origin == "root"


def test_a_round_that_did_not_help_writes_nothing(runner, model_path, cells, tmp_path, monkeypatch):
    summary = TeachSummary(0.9, 0.1, 5, 5, improved=False, seconds=1.0, steps=7)

    def worse(model, examples, **settings):
        yield TrainProgress(7, 1.0, 1.0, 0.3)
        return model, summary

    monkeypatch.setattr("napari_unet.core.fine_tuning.iter_finetune", worse)
    done = runner.submit(teach_task(model_path, cells, tmp_path / "taught.safetensors")).result()
    assert done == TeachDone(summary, "")
    assert list(tmp_path.iterdir()) == []


def test_teaching_cancelled_at_once_writes_nothing(model_path, cells, tmp_path):
    events = run_task(teach_task(model_path, cells, tmp_path / "taught.safetensors"), lambda: True)
    while True:
        try:
            next(events)
        except StopIteration as end:
            assert end.value.summary.steps == 0
            assert end.value.model == ""
            break
    assert list(tmp_path.iterdir()) == []


def test_teaching_needs_a_name_to_save_to_before_it_begins(runner, model_path, cells):
    with pytest.raises(InputError, match="safetensors"):
        runner.submit(teach_task(model_path, cells, "")).result()


def test_a_model_is_loaded_once_until_its_file_changes(model_path, tmp_path):
    path = tmp_path / "m.safetensors"
    load_model(model_path).save(path)
    first = cached_model(str(path))
    assert cached_model(str(path)) is first
    Model.fresh(first.config, name="another one", seed=1).save(path)
    assert cached_model(str(path)).card.name == "another one"


def test_few_models_stay_loaded(model_path, tmp_path):
    paths = [str(tmp_path / f"{name}.safetensors") for name in "abcd"]
    for path in paths:
        load_model(model_path).save(path)
    first, *_, last = [cached_model(path) for path in paths]
    assert cached_model(paths[-1]) is last
    assert cached_model(paths[0]) is not first


def test_an_unknown_model_is_told(runner, cells):
    with pytest.raises(ModelFileError, match="no model named 'nowhere'"):
        runner.submit(SegmentTask(cells[0][None], "nowhere")).result()


def test_probe_says_what_computes(runner):
    info = runner.submit(ProbeTask("cpu", "float32")).result()
    assert info == DeviceInfo("this computer", "float32", "this computer, float32, ready")
