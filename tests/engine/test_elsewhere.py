"""The open image on a cluster that somebody else started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from brightness import brightness_model
from napari_unet.core.errors import InputError, NapariUnetError
from napari_unet.core.example import Example
from napari_unet.engine import elsewhere as module
from napari_unet.engine.elsewhere import ElsewhereRunner, can_go_elsewhere
from napari_unet.engine.errors import JobCancelledError
from napari_unet.engine.preferred import PreferredRunner
from napari_unet.engine.runner import InlineRunner
from napari_unet.engine.tasks import ImportTask, PlaneSize, ProbeTask, SegmentTask
from napari_unet.engine.teach_tasks import LearnTask, TeachTask

pytest.importorskip("distributed")
pytest.importorskip("zarr")

import dask
import distributed

LOCAL = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}


@pytest.fixture(scope="module", autouse=True)
def _dask_of_others():
    """A worker that is a thread of this process makes its cluster the one of all dask arrays."""
    with dask.config.set(scheduler=None):
        yield


@pytest.fixture(scope="module")
def cluster():
    """A scheduler and a worker that are threads of this process."""
    with distributed.LocalCluster(n_workers=1, processes=False, protocol="tcp", **LOCAL) as cluster:
        yield cluster


@pytest.fixture
def processes():
    """Two processes on this computer."""
    with distributed.LocalCluster(n_workers=2, **LOCAL) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """On a busy computer."""
    monkeypatch.setattr(module, "PATIENCE", 60.0)


@pytest.fixture
def runner(cluster):
    runner = ElsewhereRunner(cluster.scheduler_address)
    yield runner
    runner.close()


@pytest.fixture
def bright(tmp_path):
    path = tmp_path / "bright.safetensors"
    brightness_model(diameter=20.0, min_size=20).save(path)
    return str(path)


def test_segment_there_tells_what_segment_here_tells(runner, bright, cells):
    task = SegmentTask(cells[0][None], bright, diameter=16.0, tile=48, precision="float32")
    there, here = runner.submit(task), InlineRunner().submit(task)
    assert there.result(120).device == here.result().device
    found, expected = there.poll(), here.poll()
    assert found[0] == expected[0] == PlaneSize(16.0, expected[0].shape_yx, False)
    assert len(found) == len(expected) > 2
    for one, other in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(one.probability, other.probability)
        assert (one.index, one.count) == (other.index, other.count)


def test_what_computes_is_named_with_its_address(runner, cluster):
    sentence = runner.submit(ProbeTask()).result(120).sentence
    assert sentence.startswith(f"{cluster.scheduler_address}: ")
    assert sentence.endswith("ready") and "this computer" not in sentence


def test_a_model_is_sent_once_and_anew_when_it_was_written_anew(runner, bright, cells):
    task = SegmentTask(cells[0][None], bright, diameter=16.0)
    runner.submit(task).result(120)
    sent = dict(runner._sent)
    runner.submit(task).result(120)
    assert runner._sent == sent and len(sent) == 1
    brightness_model(diameter=10.0).save(bright)
    job = runner.submit(replace(task, diameter=10.0))
    job.result(120)
    assert job.poll()[0].shape_yx == (96, 96) and len(runner._sent) == 2


def test_teaching_there_writes_the_model_here(runner, model_path, one_cell, tmp_path):
    target = tmp_path / "mine.safetensors"
    task = TeachTask(model_path, (Example(*one_cell),), steps=2, save_to=str(target), title="Mine")
    job = runner.submit(task)
    assert job.result(120).model == str(target)
    from napari_unet.core import load_model

    assert load_model(target).card.title == "Mine"
    assert load_model(target).card.name == "mine"
    assert job.poll()


def test_what_goes_wrong_there_is_one_sentence_here(runner, bright, cells, tmp_path, one_cell):
    with pytest.raises(NapariUnetError, match="channel"):
        runner.submit(SegmentTask(np.stack([cells[0]] * 3), bright, diameter=16.0)).result(60)
    with pytest.raises(NapariUnetError, match="no model"):
        runner.submit(SegmentTask(cells[0][None], str(tmp_path / "gone.safetensors"))).result(60)
    blocked = tmp_path / "file"
    blocked.touch()
    task = TeachTask(bright, (Example(*one_cell),), steps=1, save_to=str(blocked / "m.safetensors"))
    with pytest.raises(InputError, match="could not be written"):
        runner.submit(task).result(120)
    assert runner.submit(ProbeTask()).result(60).sentence  # and the next one is done


ASKS = """
import sys, psutil
from napari_unet.engine.elsewhere import ElsewhereRunner
from napari_unet.engine.tasks import ProbeTask
runner = ElsewhereRunner(sys.argv[1])
print(runner.submit(ProbeTask()).result(60).sentence)
print([one.laddr for one in psutil.Process().net_connections("inet") if one.status == "LISTEN"])
print("torch" in sys.modules)
runner.close()
"""


def test_who_computes_elsewhere_opens_no_port_and_imports_no_torch(cluster):
    pytest.importorskip("psutil", minversion="6")
    command = [sys.executable, "-c", ASKS, cluster.scheduler_address]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[0].endswith("ready") and said[1:] == ["[]", "False"]


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_time_and_nothing_else(processes, bright, wait_until):
    runner = ElsewhereRunner(processes.scheduler_address)
    image = np.random.default_rng(0).normal(100, 10, (1, 512, 512)).astype(np.float32)
    task = SegmentTask(image, bright, diameter=20.0, tile=32, precision="float32")
    job, events = runner.submit(task), []
    wait_until(lambda: events.extend(job.poll()) or len(events) > 5, 120)
    with distributed.Client(processes.scheduler_address, set_as_default=False) as client:
        busy = [name for name, tasks in client.processing().items() if tasks]
        assert len(busy) == 1
        pid = client.run(os.getpid, workers=busy)[busy[0]]
    os.kill(pid, signal.SIGKILL)
    job.result(120)
    events += job.poll()
    starts = [number for number, event in enumerate(events) if isinstance(event, PlaneSize)]
    assert len(starts) == 2
    last = events[starts[-1] + 1 :]
    assert [tile.index for tile in last] == list(range(last[0].count))
    runner.close()


def test_what_is_stopped_ends_between_two_tiles(runner, bright, wait_until):
    image = np.random.default_rng(0).normal(100, 10, (1, 1024, 1024)).astype(np.float32)
    job = runner.submit(SegmentTask(image, bright, diameter=20.0, tile=32))
    waiting = runner.submit(ProbeTask())
    waiting.cancel()
    wait_until(job.poll, 120)
    job.cancel()
    with pytest.raises(JobCancelledError, match="what is shown so far stays"):
        job.result(60)
    with pytest.raises(JobCancelledError, match="before it began"):
        waiting.result(60)


def test_where_the_user_looks_is_heard_there(runner, bright, wait_until):
    image = np.random.default_rng(0).normal(100, 10, (1, 1024, 1024)).astype(np.float32)
    job = runner.submit(SegmentTask(image, bright, diameter=20.0, tile=32, center=(0.0, 0.0)))
    events = []
    wait_until(lambda: events.extend(job.poll()) or len(events) > 5, 120)
    assert events[5].y + events[5].x < 300  # of 1024
    job.look_at((1023.0, 1023.0))

    def is_there():
        events.extend(job.poll())
        return any(tile.y > 700 and tile.x > 700 for tile in events[5:])

    wait_until(is_there, 120)
    # From the first corner outwards nearly three quarters of the tiles would have come before.
    assert len(events) < events[5].count / 2
    assert not job.done()
    job.cancel()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nonsense", "No dask scheduler answers at nonsense"),
        ("tcp://127.0.0.1:9", "No dask scheduler answers at tcp://127.0.0.1:9"),
        ("tls://127.0.0.1:9", "asks for certificates"),
    ],
)
def test_a_wrong_address_is_one_sentence(monkeypatch, address, said):
    monkeypatch.setattr(module, "PATIENCE", 1.0)
    runner = ElsewhereRunner(address)
    with pytest.raises(InputError, match=said) as caught:
        runner.submit(ProbeTask()).result(60)
    assert str(caught.value).count("\n") == 0
    runner.close()


def test_a_cluster_that_goes_away_is_told_and_found_again(bright, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 5.0)
    with distributed.LocalCluster(n_workers=1, processes=False, protocol="tcp", **LOCAL) as cluster:
        runner = ElsewhereRunner(cluster.scheduler_address)
        runner.submit(ProbeTask()).result(60)
    with pytest.raises(NapariUnetError, match=r"is gone|No dask scheduler answers"):
        runner.submit(ProbeTask()).result(60)
    runner.close()


def test_a_closed_connection_takes_nothing_more(runner):
    runner.close()
    with pytest.raises(NapariUnetError, match="was closed"):
        runner.submit(ProbeTask())


def test_what_needs_this_computer_stays_here():
    image = np.zeros((1, 8, 8))
    assert can_go_elsewhere(SegmentTask(image, "nuclei-fluorescence"))
    assert not can_go_elsewhere(SegmentTask(image, "live:mine"))
    assert not can_go_elsewhere(LearnTask("live:mine", "nuclei-fluorescence", (), 4.0))
    assert not can_go_elsewhere(ImportTask("a.zip", "models"))


def test_preferred_goes_there_and_comes_back(runner, cluster):
    here = InlineRunner()
    preferred = PreferredRunner(here)
    preferred.compute_on(cluster.scheduler_address)
    assert preferred.submit(ProbeTask()).result(60).sentence.startswith("tcp://")
    preferred.compute_on("")
    assert not preferred.submit(ProbeTask()).result().sentence.startswith("tcp://")
    preferred.close()
