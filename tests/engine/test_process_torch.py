"""The worker process with a real model."""

from __future__ import annotations

import numpy as np
import pytest

from engine.odd_tasks import Count, Describe
from napari_unet.core.errors import InputError
from napari_unet.core.events import KeptAsideScore
from napari_unet.core.example import Example
from napari_unet.core.model_file import load_model
from napari_unet.engine import (
    InlineRunner,
    JobCancelledError,
    ProbeTask,
    ProcessRunner,
    SegmentTask,
    TeachTask,
)


@pytest.fixture(scope="module")
def runner():
    runner = ProcessRunner()
    runner.warm_up()
    yield runner
    runner.close()


def segment_task(cells, model_path, **others):
    image = cells[0][None]
    return SegmentTask(image, model_path, tile=40, device="cpu", precision="float32", **others)


def test_probe_names_what_will_compute(runner):
    info = runner.submit(ProbeTask("cpu", "float32")).result(60)
    assert info.sentence == "this computer, float32, ready"


def test_segmenting_in_the_worker_equals_segmenting_here(runner, cells, model_path):
    task = segment_task(cells, model_path, center=(90.0, 90.0))
    there, here = runner.submit(task), InlineRunner().submit(task)
    there.result(60)
    here.result()
    (size, *tiles), (expected_size, *expected) = there.poll(), here.poll()
    assert size == expected_size
    assert [(t.y, t.x, t.index) for t in tiles] == [(t.y, t.x, t.index) for t in expected]
    for tile, wanted in zip(tiles, expected, strict=True):
        # Another number of threads may round one step of 1/255 the other way.
        difference = tile.probability.astype(int) - wanted.probability
        assert np.abs(difference).max() <= 1


def test_a_cancelled_segment_raises_and_keeps_its_tiles(runner, cells, model_path, wait_until):
    image = np.tile(cells[0], (20, 20))[None]  # some thousand tiles
    job = runner.submit(SegmentTask(image, model_path, tile=40, precision="float32"))
    seen = []
    wait_until(lambda: seen.extend(job.poll()) or len(seen) > 1, seconds=60)
    job.cancel()
    with pytest.raises(JobCancelledError, match="what is shown so far stays"):
        job.result(60)
    _, *tiles = seen + job.poll()
    assert [tile.index for tile in tiles] == list(range(len(tiles)))
    assert len(tiles) < tiles[0].count


def teach_task(model_path, cells, target, **budget):
    return TeachTask(model_path, (Example(*cells),), save_to=str(target), device="cpu", **budget)


def test_teaching_in_the_worker_writes_a_model(runner, cells, one_cell, model_path, tmp_path):
    target = tmp_path / "taught.safetensors"
    job = runner.submit(teach_task(model_path, one_cell, target, steps=2))
    done = job.result(60)
    assert done.model == str(target)
    assert load_model(target).card.name == "taught"
    assert [path.name for path in tmp_path.iterdir()] == ["taught.safetensors"]
    assert job.poll()[-1].step == done.summary.steps == 2
    again = runner.submit(segment_task(cells, done.model))
    again.result(60)
    assert again.poll()


def test_scores_of_the_cells_kept_aside_arrive(runner, cells, model_path, tmp_path):
    job = runner.submit(teach_task(model_path, cells, tmp_path / "t.safetensors", steps=2))
    done = job.result(60)
    scores = [event for event in job.poll() if isinstance(event, KeptAsideScore)]
    assert scores[0].score == done.summary.before
    assert {score.cells for score in scores} == {done.summary.cells_kept_aside}
    assert bool(done.model) == done.summary.improved


def test_teaching_that_is_cancelled_returns_the_best_so_far(
    runner, cells, model_path, tmp_path, wait_until
):
    target = tmp_path / "taught.safetensors"
    job = runner.submit(teach_task(model_path, cells, target, seconds=300))
    seen = []
    wait_until(lambda: seen.extend(job.poll()) or len(seen) > 2, seconds=60)
    job.cancel()
    done = job.result(60)
    assert job.cancelled
    assert 0 < done.summary.seconds < 250
    assert done.summary.steps > 0
    assert done.model == (str(target) if done.summary.improved else "")
    assert target.exists() == done.summary.improved


def test_nothing_checked_is_told_in_core_s_own_words(runner, cells, model_path, tmp_path):
    image, labels = cells
    nothing = Example(image, labels, np.zeros(labels.shape, bool))
    task = TeachTask(model_path, (nothing,), steps=1, save_to=str(tmp_path / "t.safetensors"))
    with pytest.raises(InputError, match="Nothing is checked yet"):
        runner.submit(task).result(60)


def test_a_worker_that_still_imports_torch_is_not_killed_by_a_cancel(wait_until):
    runner = ProcessRunner(grace_s=0)
    runner.warm_up()
    wait_until(lambda: runner.worker_pid is not None)
    pid = runner.worker_pid
    job, following = runner.submit(Count(3)), runner.submit(Describe())
    wait_until(lambda: len(runner._dispatcher._waiting) == 1)  # the first has been sent
    job.cancel()
    with pytest.raises(JobCancelledError, match="before it began"):
        job.result(0.5)
    assert not following.done()
    assert following.result(60)["pid"] == pid
    assert job.poll() == []
    runner.close()


def test_no_port_is_opened(runner, model_path, cells):
    psutil = pytest.importorskip("psutil", minversion="6")
    before = listening(psutil.Process())
    runner.submit(SegmentTask(cells[0][None], model_path)).result(200)
    assert listening(psutil.Process()) == before
    assert listening(psutil.Process(runner.worker_pid)) == set()


def listening(process):
    """The ports at which a process waits for somebody."""
    return {one.laddr for one in process.net_connections("inet") if one.status == "LISTEN"}
