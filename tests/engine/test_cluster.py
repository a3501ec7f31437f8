"""Large planes on the workers of a dask cluster; most of them are threads of this process."""

import os
import signal
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from brightness import brightness_model
from core.test_blocks import assert_same_objects
from napari_unet import cli
from napari_unet.commands import segment_zarr
from napari_unet.commands.ome_zarr import segment_ome_zarr
from napari_unet.commands.segment import SegmentOptions
from napari_unet.core.errors import InputError
from napari_unet.core.large_plane import LargePlane
from napari_unet.core.library import find_model
from napari_unet.engine import cluster as module
from napari_unet.engine.cluster import Cluster
from napari_unet.engine.large import WorkFolder
from napari_unet.formats.ome_zarr import open_ome_zarr

pytest.importorskip("zarr")
pytest.importorskip("distributed")

import distributed

from large_planes import field, make_parts_small
from zarr_images import write_image


@pytest.fixture
def client(monkeypatch):
    """Two workers that are threads of this process."""
    monkeypatch.setattr(module, "PATIENCE", 200)
    with distributed.Client(
        processes=False,
        n_workers=2,
        threads_per_worker=2,
        dashboard_address="127.0.0.1:0",
        set_as_default=False,
    ) as client:
        yield client


@pytest.fixture
def command(tmp_path, monkeypatch):
    """A command that segments a plane in small parts into a place."""
    make_parts_small(monkeypatch)
    brightness_model(diameter=20.0, min_size=20).save(tmp_path / "bright.safetensors")
    write_image(tmp_path / "x.zarr", field(), "yx")

    def command(name, *more):
        words = ["segment", str(tmp_path / "x.zarr"), "-o", str(tmp_path / name)]
        return [*words, "--model", str(tmp_path / "bright.safetensors"), *more]

    return command


def labels(folder, name):
    return open_ome_zarr(folder / name).data[...]


@pytest.mark.parametrize("size", ["20", "33"])
def test_a_cluster_gives_the_labels_of_one_machine(tmp_path, command, client, monkeypatch, size):
    opened, open_plane = [], module.open_plane
    monkeypatch.setattr(module, "open_plane", lambda *a: opened.append(1) or open_plane(*a))
    assert cli.main(command("here.zarr", "--diameter", size)) == 0
    address = client.scheduler.address
    assert cli.main(command("there.zarr", "--diameter", size, "--cluster", address)) == 0
    assert len(opened) == 1  # both workers are one process
    assert labels(tmp_path, "there.zarr").max() == 28
    assert_same_objects(labels(tmp_path, "there.zarr"), labels(tmp_path, "here.zarr"))
    assert client.status == "running"


def test_a_client_that_is_connected_is_used_and_left_open(client):
    with Cluster(client) as cluster:
        assert cluster.address == client.scheduler.address
    assert client.status == "running"


def test_an_error_on_a_worker_is_told_as_here(command, client, capsys, monkeypatch):
    def refuse(plane, tiles):
        raise InputError("This tile is not liked.")

    monkeypatch.setattr(LargePlane, "predict", refuse)
    assert cli.main(command("x_l.zarr", "--cluster", client.scheduler.address)) == 2
    assert "This tile is not liked." in capsys.readouterr().err


def test_nobody_who_answers_is_told(command, monkeypatch, capsys):
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    assert cli.main(command("x_l.zarr", "--cluster", "tcp://127.0.0.1:9")) == 2
    assert "No dask scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err


def test_an_address_that_is_none_is_told(command, monkeypatch, capsys):
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    assert cli.main(command("x_l.zarr", "--cluster", "nonsense://there")) == 2
    assert "No dask scheduler answers at nonsense://there" in capsys.readouterr().err


def test_an_address_that_asks_for_certificates_is_told(command, capsys):
    assert cli.main(command("x_l.zarr", "--cluster", "tls://127.0.0.1:9")) == 2
    assert "asks for certificates, and dask's configuration names none" in capsys.readouterr().err


def test_without_a_cluster_dask_is_not_loaded(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cli.main(command("x_l.zarr", "--diameter", "20")) == 0


def test_python_gets_the_same(tmp_path, command, client):
    *_, model = command("x_l.zarr")
    options = SegmentOptions(diameter=20.0)
    seen = []
    for name, where in (("here", None), ("there", client)):
        count = segment_ome_zarr(
            tmp_path / "x.zarr",
            tmp_path / name,
            model,
            options=options,
            client=where,
            progress=lambda *at: seen.append(at),
        )
        assert count == 28
    assert_same_objects(labels(tmp_path, "there"), labels(tmp_path, "here"))
    assert seen[-1] == (1, 1)


def test_that_dask_is_missing_is_told(command, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cli.main(command("x_l.zarr", "--cluster", "tcp://127.0.0.1:9")) == 2
    assert "[cluster]" in capsys.readouterr().err


def test_a_cluster_without_workers_is_told(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    with (
        distributed.Client(processes=False, n_workers=0, dashboard_address="127.0.0.1:0") as client,
        pytest.raises(InputError, match="has no workers; start some with: dask worker"),
    ):
        Cluster(client)


def test_workers_of_another_version_are_refused(client, monkeypatch):
    monkeypatch.setattr(module, "_version", lambda: "0.0.7")
    with pytest.raises(InputError, match=r"has napari-unet 0\.0\.7 and this is"):
        Cluster(client)


def test_workers_that_do_not_find_the_files_are_told(command, client, monkeypatch, capsys):
    missing = module._missing
    monkeypatch.setattr(
        module, "_missing", lambda model, paths: missing("/not/there.safetensors", paths)
    )
    assert cli.main(command("x_l.zarr", "--cluster", client.scheduler.address)) == 2
    said = capsys.readouterr().err
    assert "does not find /not/there.safetensors; image, labels and model must lie where" in said


def test_a_model_of_the_package_is_found_by_its_name_and_others_by_their_path(tmp_path):
    bundled = find_model("nuclei-fluorescence")
    assert segment_zarr._found_anywhere(bundled) == "nuclei-fluorescence"
    assert segment_zarr._found_anywhere(tmp_path / "a" / ".." / "m.x") == str(tmp_path / "m.x")


def test_a_cluster_that_goes_away_is_told(command, client, monkeypatch, capsys):
    def lost(plane, tiles):
        raise distributed.CancelledError("scheduler-connection-lost")

    monkeypatch.setattr(LargePlane, "predict", lost)
    assert cli.main(command("x_l.zarr", "--cluster", client.scheduler.address)) == 1
    assert "is gone; the same command goes on where it was" in capsys.readouterr().err


def test_workers_that_die_again_and_again_are_told(command, client, monkeypatch, capsys):
    def killed(plane, tiles):
        raise distributed.KilledWorker("tile", SimpleNamespace(address="there"), 3)

    monkeypatch.setattr(LargePlane, "predict", killed)
    assert cli.main(command("x_l.zarr", "--cluster", client.scheduler.address)) == 1
    assert "probably for want of memory" in capsys.readouterr().err


def test_what_is_no_ome_zarr_is_refused(tmp_path, capsys):
    (tmp_path / "x.tif").touch()
    words = ["segment", str(tmp_path / "x.tif"), "-o", str(tmp_path / "o"), "--cluster", "tcp://a"]
    assert cli.main(words) == 2
    assert "A cluster segments OME-Zarr, and x.tif is none" in capsys.readouterr().err


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_nothing_but_time(tmp_path, command, monkeypatch):
    assert cli.main(command("here.zarr", "--diameter", "20")) == 0
    monkeypatch.setattr(module, "PATIENCE", 200)
    killed, note = [], WorkFolder.note
    with distributed.Client(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as client:
        workers = client.run(os.getpid)

        def kill_once(work, tile):
            note(work, tile)
            if not killed:
                killed.append(next(iter(workers.values())))
                os.kill(killed[0], signal.SIGKILL)

        monkeypatch.setattr(WorkFolder, "note", kill_once)
        words = command("there.zarr", "--diameter", "20", "--cluster", client.scheduler.address)
        assert cli.main(words) == 0
    assert killed
    assert np.array_equal(labels(tmp_path, "there.zarr") > 0, labels(tmp_path, "here.zarr") > 0)
    assert_same_objects(labels(tmp_path, "there.zarr"), labels(tmp_path, "here.zarr"))
