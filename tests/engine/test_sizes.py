"""Planes are segmented, and examples learnt, at the size of objects that the model knows."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.predict import predict_plane
from napari_unet.engine import (
    InlineRunner,
    JobCancelledError,
    MeasureTask,
    PlaneSize,
    SegmentTask,
    TeachTask,
)


@pytest.fixture
def runner():
    runner = InlineRunner()
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def sized_path(tmp_path_factory):
    """A model of objects of 20 px."""
    path = tmp_path_factory.mktemp("models") / "sized.safetensors"
    Model.fresh(ModelConfig(width=2, depth=1, diameter=20.0), name="sized").save(path)
    return str(path)


@pytest.fixture
def measured(monkeypatch):
    """Pretend that a diameter is measured; what it was asked for is returned."""
    asked = []

    def pretend(diameter):
        def measure(image_cyx, model, *, device, precision, cancelled):
            asked.append((image_cyx.shape, model.config.diameter))
            return diameter

        monkeypatch.setattr("napari_unet.core.measure.measure_diameter", measure)
        return asked

    return pretend


def events_of(runner, task):
    job = runner.submit(task)
    job.result()
    return job.poll()


def test_a_plane_is_measured_and_its_tiles_cover_the_rescaled_one(
    runner, sized_path, cells, measured
):
    asked = measured(10.0)
    task = SegmentTask(cells[0][None], sized_path, tile=64, precision="float32")
    size, *tiles = events_of(runner, task)
    assert size == PlaneSize(10.0, (192, 192), measured=True)
    assert asked == [((1, 96, 96), 20.0)]
    expected = predict_plane(
        cells[0][None], load_model(sized_path), diameter=10.0, precision="float32"
    )
    placed = np.full(expected.shape, np.nan)
    for tile in tiles:
        height, width = tile.probability.shape[1:]
        placed[:, tile.y : tile.y + height, tile.x : tile.x + width] = tile.probability / 255
    np.testing.assert_allclose(placed, expected, atol=1 / 255)


@pytest.mark.parametrize(
    ("given", "found", "size"),
    [
        (40.0, 10.0, PlaneSize(40.0, (48, 48), measured=False)),
        (20.0, 10.0, PlaneSize(20.0, (96, 96), measured=False)),
        (None, None, PlaneSize(None, (96, 96), measured=True)),
    ],
    ids=["given", "as it is", "nothing found"],
)
def test_the_size_is_told_first(runner, sized_path, cells, measured, given, found, size):
    measured(found)
    told = events_of(runner, SegmentTask(cells[0][None], sized_path, diameter=given))[0]
    assert told == size


def test_a_model_without_a_size_takes_the_image_as_it_is(runner, model_path, cells, measured):
    asked = measured(10.0)
    image = cells[0][None]
    assert events_of(runner, SegmentTask(image, model_path))[0].shape_yx == (96, 96)
    assert runner.submit(MeasureTask(image, model_path)).result() is None
    assert asked == []
    with pytest.raises(InputError, match="leave diameter out"):
        runner.submit(SegmentTask(image, model_path, diameter=10.0)).result()


def test_tiles_near_the_view_come_first_in_the_rescaled_plane_too(runner, sized_path, cells):
    task = SegmentTask(cells[0][None], sized_path, (90.0, 5.0), diameter=10.0, tile=40)
    _, first, *_ = events_of(runner, task)
    assert first.y + first.probability.shape[1] == 192 and first.x == 0


def test_measuring_alone(runner, sized_path, cells, measured):
    measured(12.5)
    assert runner.submit(MeasureTask(cells[0][None], sized_path)).result() == 12.5


@pytest.mark.parametrize("kind", [SegmentTask, MeasureTask])
def test_a_cancel_is_heard_while_it_measures(runner, sized_path, cells, monkeypatch, kind):
    job = runner.submit(kind(cells[0][None], sized_path))

    def measure(*args, cancelled, **others):
        assert not cancelled()
        job.cancel()
        assert cancelled()

    monkeypatch.setattr("napari_unet.core.measure.measure_diameter", measure)
    with pytest.raises(JobCancelledError, match="stopped"):
        job.result()
    assert job.poll() == []


def test_teaching_measures_only_what_has_no_diameter(
    runner, sized_path, cells, measured, monkeypatch, tmp_path
):
    learnt = []

    def refuse(model, examples, **settings):
        learnt.extend(example.diameter for example in examples)
        raise InputError("Enough.")
        yield

    monkeypatch.setattr("napari_unet.core.fine_tuning.iter_finetune", refuse)
    asked = measured(12.5)
    examples = (Example(*cells), Example(*cells, diameter=30.0))
    with pytest.raises(InputError, match="Enough"):
        runner.submit(
            TeachTask(sized_path, examples, steps=1, save_to=str(tmp_path / "t.safetensors"))
        ).result()
    assert learnt == [12.5, 30.0]
    assert len(asked) == 1
