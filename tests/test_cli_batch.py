"""`napari-unet segment` over many images: stopped, gone on with, and what is said of bad files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from brightness import brightness_model
from napari_unet import cli
from napari_unet.commands import segment
from napari_unet.commands.batch import JOURNAL, REPORT, digest
from napari_unet.formats.labels import read_labels
from small_scenes import discs, photograph

COUNT = 6

# Segments as the command does, names each image in a file, and dies in the middle of one.
DIES = """
import os, signal, sys
from napari_unet import cli
from napari_unet.commands import segment

log, after, *words = sys.argv[1:]
original = segment.segment_file

def counted(path, target, *rest):
    if os.path.exists(log) and len(open(log).readlines()) >= int(after):
        (target.parent / ".half.part").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    found = original(path, target, *rest)
    with open(log, "a") as file:
        file.write(path.name + "\\n")
    return found

segment.segment_file = counted
sys.exit(cli.main(words))
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "bright.safetensors"
    brightness_model(diameter=20.0, min_size=20).save(path)
    return path


@pytest.fixture
def images(tmp_path):
    """A folder of small images of five discs."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(COUNT):
        places = [(14, 14), (14, 46), (32, 30 + number), (48, 14), (48, 48)]
        image = photograph(discs((64, 64), places), number)
        tifffile.imwrite(folder / f"n{number}.tif", image)
    return folder


@pytest.fixture
def work(monkeypatch):
    """Names of the images that were segmented, not passed over."""
    names = []
    original = segment.segment_file

    def counted(path, *rest):
        names.append(path.name)
        return original(path, *rest)

    monkeypatch.setattr(segment, "segment_file", counted)
    return names


def words(images, model, *options, out="out"):
    usual = ["segment", images, "-o", images.parent / out, "--model", model, "--device", "cpu"]
    return [str(word) for word in (*usual, *options)]


def run(capsys, *args, **options):
    code = cli.main(words(*args, **options))
    out, err = capsys.readouterr()
    return code, out, [line for line in err.splitlines() if line.startswith("napari-unet: ")]


def report(images, out="out"):
    return json.loads((images.parent / out / REPORT).read_text())


def test_killed_in_the_middle_and_started_again_no_image_is_done_twice(
    capsys, tmp_path, images, model, work
):
    log = tmp_path / "log"
    command = [sys.executable, "-c", DIES, str(log), "2", *words(images, model)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert run(capsys, images, model)[0] == 0
    assert [*log.read_text().split(), *work] == [f"n{number}.tif" for number in range(COUNT)]
    counts = report(images)
    assert (counts["images"], counts["done"], counts["done before"]) == (COUNT, 4, 2)
    assert len(list((tmp_path / "out").glob("*_labels.tif"))) == COUNT


def test_a_second_run_does_nothing_and_says_so(capsys, images, model, work):
    assert run(capsys, images, model)[0] == 0
    code, out, said = run(capsys, images, model)
    assert (code, out) == (0, "")
    assert "6 were done before (--again does them anew)" in said[0]
    assert len(work) == COUNT


def test_again_does_all_anew(capsys, images, model, work):
    run(capsys, images, model)
    assert run(capsys, images, model, "--again")[2] == []
    assert len(work) == 2 * COUNT


@pytest.mark.parametrize(
    "change",
    [
        ["--threshold", "0.4"],
        ["--min-size", "7"],
        ["--diameter", "20"],
        ["--flips"],
    ],
)
def test_other_settings_are_other_results(capsys, images, model, work, change):
    run(capsys, images, model)
    run(capsys, images, model, *change)
    assert len(work) == 2 * COUNT


def test_another_model_of_the_same_name_is_another(capsys, images, model, work):
    run(capsys, images, model)
    brightness_model(diameter=20.0, min_size=30).save(model)
    run(capsys, images, model)
    assert len(work) == 2 * COUNT


def test_the_content_counts_and_not_the_name_or_date(capsys, images, model, work):
    run(capsys, images, model)
    content = (images / "n3.tif").read_bytes()
    (images / "n3.tif").write_bytes((images / "n4.tif").read_bytes())
    (images / "n4.tif").touch()
    run(capsys, images, model)
    assert work[COUNT:] == ["n3.tif"]
    (images / "n3.tif").write_bytes(content)
    run(capsys, images, model)
    assert work[COUNT:] == ["n3.tif", "n3.tif"]


def test_labels_that_are_gone_are_made_anew_and_corrected_ones_are_kept(
    capsys, images, model, work
):
    run(capsys, images, model)
    out = images.parent / "out"
    (out / "n1_labels.tif").unlink()
    tifffile.imwrite(out / "n2_labels.tif", np.full((64, 64), 7, np.uint16))
    run(capsys, images, model)
    assert work[COUNT:] == ["n1.tif"]
    assert (tifffile.imread(out / "n2_labels.tif") == 7).all()


def test_bad_files_are_named_and_all_others_are_done(capsys, images, model):
    (images / "a_text.tif").write_text("These are my notes.")
    (images / "b_cut.tif").write_bytes((images / "n0.tif").read_bytes()[:700])
    (images / "c_empty.png").touch()
    code, out, said = run(capsys, images, model)
    assert code == 2
    assert len(out.splitlines()) == COUNT
    assert [line.split()[1] for line in said[:3]] == ["a_text.tif", "b_cut.tif", "c_empty.png"]
    assert "3 of 9 images could not be segmented, see" in said[3]
    counts = report(images)
    assert (counts["done"], counts["failed"]) == (COUNT, 3)
    problems = {one["image"]: one["problem"] for one in counts["results"] if one["problem"]}
    assert set(problems) == {str(images / n) for n in ("a_text.tif", "b_cut.tif", "c_empty.png")}
    found = [one for one in counts["results"] if one["status"] == "done"]
    assert all(one["objects"] == 5 for one in found)


def test_a_failure_of_ours_does_not_stop_the_rest_and_is_code_1(capsys, images, model, monkeypatch):
    original = segment.segment_file

    def broken(path, *rest):
        if path.name == "n2.tif":
            raise KeyError("surprise")
        if path.name == "n3.tif":
            raise MemoryError
        return original(path, *rest)

    monkeypatch.setattr(segment, "segment_file", broken)
    code, out, said = run(capsys, images, model)
    assert code == 1
    assert len(out.splitlines()) == COUNT - 2
    assert "Something went wrong with n2.tif that should not (KeyError: 'surprise')" in said[0]
    assert "not enough memory for n3.tif" in said[1]


def test_a_journal_that_was_cut_or_is_damaged_costs_no_more_than_its_lines(
    capsys, images, model, work
):
    run(capsys, images, model)
    journal = images.parent / "out" / JOURNAL
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([*lines[:-1], lines[-1][:50]]))
    run(capsys, images, model)
    assert work[COUNT:] == ["n5.tif"]
    run(capsys, images, model)
    assert len(work) == COUNT + 1
    journal.write_text('[1]\n{"target": 3}\nnull\n\x00\n' + "[" * 100_000)
    run(capsys, images, model)
    assert len(work) == 2 * COUNT + 1


def test_the_time_that_is_left_is_told(capsys, images, model):
    cli.main(words(images, model))
    assert " left" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "ending"), [("png", ".png"), ("geojson", ".geojson"), ("coco", ".json")]
)
def test_labels_are_written_in_the_format_that_is_asked_for(capsys, images, model, kind, ending):
    assert run(capsys, images, model)[0] == 0
    assert run(capsys, images, model, "--format", kind, out="other")[0] == 0
    for number in range(COUNT):
        usual = read_labels(images.parent / "out" / f"n{number}_labels.tif").labels
        other = images.parent / "other" / f"n{number}_labels{ending}"
        read = read_labels(other, usual.shape)
        assert np.array_equal(read.labels, usual)
        assert kind == "png" or read.classes[1] == "cell"


def test_a_single_image_goes_to_a_file_of_its_own_and_leaves_no_journal(
    capsys, images, model, work
):
    for _ in range(2):
        assert run(capsys, images / "n0.tif", model, out="a.geojson")[0] == 0
    assert len(work) == 2
    assert not (images.parent / JOURNAL).exists()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_to_folders_are_not_followed_when_an_image_is_known_again(tmp_path):
    image, outside = tmp_path / "x.zarr", tmp_path / "outside"
    image.mkdir()
    outside.mkdir()
    (image / "zarr.json").write_text("{}")
    before = digest(image)
    (image / "0").symlink_to(outside)
    (image / "1").symlink_to(image)  # back to itself
    (outside / "a").write_text("1")
    assert digest(image) == before
    (image / "2").mkdir()
    (image / "2" / "c").write_text("1")
    assert digest(image) != before
