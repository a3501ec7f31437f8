"""`napari-unet segment` of OME-Zarr: images, folders and plates; stopped, and gone on with."""

import json
import tracemalloc

import numpy as np
import pytest

from brightness import brightness_model
from napari_unet import cli
from napari_unet.commands import segment_zarr
from napari_unet.core.model_file import load_model
from napari_unet.core.segmentation import segment
from napari_unet.formats.ome_zarr import labels_of, open_ome_zarr
from small_scenes import discs, photograph

pytest.importorskip("zarr")

from zarr_images import write_image, write_plate  # needs zarr

PLACES = [(14, 14), (14, 46), (48, 14), (48, 48)]


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "bright.safetensors"
    brightness_model(diameter=20.0, min_size=20).save(path)
    return str(path)


def plane(seed):
    return photograph(discs((64, 64), PLACES[: 2 + seed % 3]), seed)


def stack():
    """Two times, two channels (the second is empty), two slices."""
    bright = np.stack([[plane(2 * t + z) for z in range(2)] for t in range(2)])
    return np.stack([bright, np.zeros_like(bright)], axis=1)  # TCZYX


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_stack_gives_the_labels_it_gives_in_memory(tmp_path, model, version):
    image = stack()
    path = write_image(tmp_path / "s.ome.zarr", image, "tczyx", version)
    out = tmp_path / "out"
    command = ["segment", str(path), "-o", str(out), "--model", model, "--channel", "0"]
    assert cli.main(command) == 0
    found = open_ome_zarr(out / "s_labels.ome.zarr")
    expected = segment(image[:, 0], load_model(model), axes="TZYX").labels
    assert found.axes == "TZYX" and found.version.startswith(version)
    assert np.array_equal(found.data[...], expected) and expected.any()


def test_labels_go_into_the_image_that_is_named_twice(tmp_path, model, capsys):
    path = write_image(tmp_path / "x.ome.zarr", plane(2), "yx")
    assert cli.main(["segment", str(path), "-o", str(path), "--model", model]) == 0
    (labels,) = labels_of(path)
    assert labels == path / "labels" / "napari-unet"
    assert open_ome_zarr(labels).data[...].max() == 4
    assert "4 objects" in capsys.readouterr().out


def test_what_was_stopped_goes_on_at_its_plane(tmp_path, model, monkeypatch):
    path = write_image(tmp_path / "s.zarr", stack()[:, 0], "tzyx")
    command = ["segment", str(path), "-o", str(tmp_path / "l.zarr"), "--model", model]
    written, original = [], segment_zarr.LabelsWriter.write

    def write(writer, place, *rest):
        if len(written) == 2:
            raise KeyboardInterrupt
        original(writer, place, *rest)
        written.append(place)

    monkeypatch.setattr(segment_zarr.LabelsWriter, "write", write)
    assert cli.main(command) != 0
    assert written == [(0, 0), (0, 1)]
    written.append((None,))  # no stop any more
    assert cli.main(command) == 0
    assert written[3:] == [(1, 0), (1, 1)]
    assert cli.main([*command, "--threshold", "0.6"]) == 0  # other settings: all anew
    assert written[5:] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert cli.main([*command, "--threshold", "0.6", "--again"]) == 0
    assert len(written) == 13


def test_a_plate_and_a_folder_beside_other_images(tmp_path, model):
    images = {name: plane(n) for n, name in enumerate(("A/1/0", "A/1/1", "B/2/0"))}
    folder = tmp_path / "in"
    folder.mkdir()
    write_plate(folder / "p.ome.zarr", images)
    write_image(folder / "single.zarr", plane(1), "yx", "0.5")
    broken = write_image(folder / "broken.zarr", plane(1), "yx")
    (broken / "0" / ".zarray").write_text("{")
    out = tmp_path / "out"
    command = ["segment", str(folder), "-o", str(out), "--model", model]
    assert cli.main(command) == 2
    for name, image in images.items():
        path = out / "p" / name.rpartition("/")[0] / f"{name[-1]}_labels.ome.zarr"
        expected = segment(image, load_model(model)).labels
        assert np.array_equal(open_ome_zarr(path).data[...], expected)
    report = json.loads((out / "napari-unet-report.json").read_text())
    assert (report["done"], report["failed"]) == (4, 1)
    assert cli.main(command) == 2
    report = json.loads((out / "napari-unet-report.json").read_text())
    assert (report["done before"], report["failed"]) == (4, 1)
    assert not (out / "single_labels_labels.ome.zarr").exists()


def test_memory_is_that_of_a_plane_and_not_of_the_stack(tmp_path, model):
    def peak(count):
        path = tmp_path / f"{count}.zarr"
        write_image(path, np.stack([plane(1)] * count), "zyx", levels=1)
        out = str(tmp_path / f"{count}_l.zarr")
        tracemalloc.start()
        try:
            assert cli.main(["segment", str(path), "-o", out, "--model", model]) == 0
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)  # imports
    assert peak(24) < 1.5 * peak(3)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--format", "png"], "leave --format out"),
        (["--axes", "ZCYX"], "do not fit x.zarr"),
        (["--channel", "1"], "has no channels to choose from"),
    ],
)
def test_wrong_use_is_said(tmp_path, model, capsys, more, sentence):
    path = write_image(tmp_path / "x.zarr", plane(2), "yx")
    command = ["segment", str(path), "-o", str(tmp_path / "out"), "--model", model, *more]
    assert cli.main(command) == 2
    assert sentence in capsys.readouterr().err


def test_planes_that_are_too_large_for_mirror_images_are_refused(
    tmp_path, model, capsys, monkeypatch
):
    monkeypatch.setattr(segment_zarr, "MAX_PLANE", 1000)
    path = write_image(tmp_path / "x.zarr", plane(2), "yx")
    command = ["segment", str(path), "-o", str(tmp_path / "o.zarr"), "--model", model, "--flips"]
    assert cli.main(command) == 2
    assert "with averages up to 0 million are segmented" in capsys.readouterr().err
    assert not (tmp_path / "o.zarr").exists()
