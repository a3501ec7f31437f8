"""`napari-unet segment` of planes that are too large for memory: in parts, from file to file."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from brightness import brightness_model
from core.test_blocks import assert_same_objects
from napari_unet import cli
from napari_unet.core import device, large_plane, measure
from napari_unet.core.large_plane import LargePlane
from napari_unet.core.library import find_model, read_model_header
from napari_unet.core.model_file import load_model
from napari_unet.core.plane_run import PlaneRun
from napari_unet.engine.large import WorkFolder
from napari_unet.formats.ome_zarr import open_ome_zarr

pytest.importorskip("zarr")

import zarr

from large_planes import field, in_memory, make_parts_small
from zarr_images import write_image  # needs zarr


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    make_parts_small(monkeypatch)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "bright.safetensors"
    brightness_model(diameter=20.0, min_size=20).save(path)
    return str(path)


def command(folder, model, *more):
    path = folder / "x.zarr"
    if not path.exists():
        write_image(path, field(), "yx")
    return ["segment", str(path), "-o", str(folder / "l.zarr"), "--model", model, *more]


def left_over(folder):
    return [one.name for one in folder.iterdir() if one.name.startswith(".")]


@pytest.mark.parametrize("diameter", [None, 20, 12, 33])
def test_a_plane_in_parts_gives_the_labels_it_gives_in_memory(tmp_path, model, diameter):
    size = [] if diameter is None else ["--diameter", str(diameter)]
    assert cli.main(command(tmp_path, model, *size)) == 0
    found = open_ome_zarr(tmp_path / "l.zarr")
    assert_same_objects(found.data[...], in_memory(load_model(model), diameter))
    for level, array in enumerate(found.levels):
        assert np.array_equal(array[...], found.data[:: 2**level, :: 2**level])
    assert len(found.levels) == 3
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("diameter", [13, 31])
def test_objects_judged_by_their_looks_are_those_in_memory(tmp_path, diameter):
    score = read_model_header(find_model("nuclei-fluorescence"))[0].object_score
    path = tmp_path / "judging.safetensors"
    model = brightness_model(diameter=20.0, min_size=20, object_score=score)
    model.save(path)
    assert cli.main(command(tmp_path, str(path), "--diameter", str(diameter))) == 0
    labels = open_ome_zarr(tmp_path / "l.zarr").data[...]
    assert_same_objects(labels, in_memory(model, diameter))


def test_slices_and_channels_of_a_stack_are_found(tmp_path, model):
    image = np.zeros((2, 2, 170, 150), np.float32)  # slices, channels, columns, rows
    image[0, 1] = field().T
    write_image(tmp_path / "x.zarr", image, "zcxy")
    assert cli.main(command(tmp_path, model, "--channel", "1", "--diameter", "20")) == 0
    found = open_ome_zarr(tmp_path / "l.zarr")
    assert found.axes == "ZXY"
    assert_same_objects(found.data[0].T, in_memory(load_model(model), 20))
    assert not found.data[1].any()


def test_what_was_stopped_goes_on_at_its_tile(tmp_path, model, monkeypatch):
    computed, noted = [], []
    predict, note = LargePlane.predict, WorkFolder.note

    def watched(plane, tiles):
        computed.append(len(tiles))
        yield from predict(plane, tiles)

    def stopped(work, tile):
        if len(noted) == 4:
            raise KeyboardInterrupt
        note(work, tile)
        noted.append(tile)

    monkeypatch.setattr(LargePlane, "predict", watched)
    monkeypatch.setattr(WorkFolder, "note", stopped)
    assert cli.main(command(tmp_path, model, "--diameter", "20")) != 0
    (folder,) = left_over(tmp_path)
    array = tmp_path / folder / "probability"
    height, width = zarr.open_array(array, mode="r").chunks
    done = {(tile.y // height, tile.x // width) for tile in noted}
    for y, x in set(np.ndindex(3, 3)) - done:
        (array / "c" / str(y)).mkdir(exist_ok=True)
        (array / "c" / str(y) / str(x)).write_bytes(b"half a chunk")
    with (tmp_path / folder / "tiles.jsonl").open("a") as file:
        file.write("\n[0, 6")  # half a line
    noted.extend([None] * 10)  # no stop any more
    assert cli.main(command(tmp_path, model, "--diameter", "20")) == 0
    assert computed == [9, 5]
    labels = open_ome_zarr(tmp_path / "l.zarr").data[...]
    assert_same_objects(labels, in_memory(load_model(model), 20))


def test_what_was_measured_before_a_stop_counts_after_it(tmp_path, model, monkeypatch):
    noted, note, measured = [], WorkFolder.note, []

    def stopped(work, tile):
        if len(noted) == 4:
            raise KeyboardInterrupt
        note(work, tile)
        noted.append(tile)

    monkeypatch.setattr(WorkFolder, "note", stopped)
    assert cli.main(command(tmp_path, model)) != 0
    noted.extend([None] * 30)
    monkeypatch.setattr(measure, "measure_large", lambda *_, **__: measured.append(1) or 50.0)
    assert cli.main(command(tmp_path, model)) == 0
    assert not measured
    labels = open_ome_zarr(tmp_path / "l.zarr").data[...]
    assert_same_objects(labels, in_memory(load_model(model)))


@pytest.mark.parametrize("step", ["label", "draw", "coarsen"])
def test_a_stop_in_any_step_changes_nothing(tmp_path, model, monkeypatch, step):
    original = getattr(LargePlane, step)

    def stopped(plane, items, **settings):
        for number, one in enumerate(original(plane, items, **settings)):
            if number == 2:
                raise KeyboardInterrupt
            yield one

    words = command(tmp_path, model, "--diameter", "13")
    monkeypatch.setattr(LargePlane, step, stopped)
    assert cli.main(words) != 0
    expected = in_memory(load_model(model), 13)
    monkeypatch.setattr(LargePlane, step, original)
    monkeypatch.setattr(PlaneRun, "tiles", lambda *_, only: iter(only))  # all are there
    assert cli.main(words) == 0
    found = open_ome_zarr(tmp_path / "l.zarr")
    assert_same_objects(found.data[...], expected)
    assert np.array_equal(found.levels[2][...], found.data[::4, ::4])


@pytest.mark.slow
def test_a_process_that_is_killed_is_gone_on_with(tmp_path, model):
    words = command(tmp_path, model, "--diameter", "13")
    script = f"""
import os, signal, sys
sys.path[:0] = [{str(Path(__file__).parent)!r}]
import pytest
from large_planes import make_parts_small
from napari_unet import cli
from napari_unet.engine.large import WorkFolder
make_parts_small(pytest.MonkeyPatch())
note, left = WorkFolder.note, [5]
def noted(work, tile):
    note(work, tile)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
WorkFolder.note = noted
cli.main({words!r})
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    (folder,) = left_over(tmp_path)
    assert len((tmp_path / folder / "tiles.jsonl").read_text().split("\n")) == 6
    assert cli.main(words) == 0
    labels = open_ome_zarr(tmp_path / "l.zarr").data[...]
    assert_same_objects(labels, in_memory(load_model(model), 13))


def test_what_was_stopped_begins_anew_with_other_settings(tmp_path, model, monkeypatch):
    computed, predict = [], LargePlane.predict

    def watched(plane, tiles):
        computed.append(len(tiles))
        for number, one in enumerate(predict(plane, tiles)):
            if len(computed) < 3 and number == 4:
                raise KeyboardInterrupt
            yield one

    monkeypatch.setattr(LargePlane, "predict", watched)
    assert cli.main(command(tmp_path, model, "--diameter", "20")) != 0
    assert cli.main(command(tmp_path, model, "--diameter", "20", "--threshold", "0.6")) != 0
    assert cli.main(command(tmp_path, model, "--diameter", "20", "--threshold", "0.6")) == 0
    assert computed == [9, 9, 5]


def test_a_disk_that_is_full_is_told(tmp_path, model, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_unet.formats.zarr_plane.ZarrPlane.__setitem__", full)
    assert cli.main(command(tmp_path, model, "--diameter", "20")) == 2
    assert "could not be read or written: No space left on device" in capsys.readouterr().err


def test_the_precision_before_a_stop_counts_after_it(tmp_path, model, monkeypatch):
    wished, note = [], WorkFolder.note

    def stopped(work, tile):
        note(work, tile)
        if len(wished) == 1:
            raise KeyboardInterrupt

    class Watched(PlaneRun):
        def __init__(self, *args, **settings):
            wished.append(settings["precision"])
            super().__init__(*args, **settings)

    monkeypatch.setattr(WorkFolder, "note", stopped)
    monkeypatch.setattr(large_plane, "PlaneRun", Watched)
    for is_faster in (True, False):  # as it happens to be measured
        monkeypatch.setattr(
            device, "_is_bfloat16_faster_on_cpu", lambda is_faster=is_faster: is_faster
        )
        cli.main(command(tmp_path, model, "--diameter", "20", "--device", "cpu"))
    assert wished == ["bfloat16", "bfloat16"]


def test_again_begins_anew(tmp_path, model, monkeypatch):
    computed, predict = [], LargePlane.predict

    def watched(plane, tiles):
        computed.append(len(tiles))
        for number, one in enumerate(predict(plane, tiles)):
            if len(computed) == 1 and number == 4:
                raise KeyboardInterrupt
            yield one

    monkeypatch.setattr(LargePlane, "predict", watched)
    cli.main(command(tmp_path, model, "--diameter", "20"))
    cli.main(command(tmp_path, model, "--diameter", "20", "--again"))
    assert computed == [9, 9]
