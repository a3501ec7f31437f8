"""The command line where objects are linked through slices and frames."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import tifffile
import torch

from brightness import brightness_model
from napari_unet import cli
from napari_unet.formats.images import read_labels, write_labels


def _run(capsys, *words):
    torch.set_num_threads(1)
    code = cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    sentences = [line for line in err.splitlines() if line.startswith("napari-unet: ")]
    return code, out, "\n".join(sentences)


@pytest.fixture
def stack(tmp_path):
    """Labels of three planes: two objects go through, numbered otherwise in each."""
    labels = np.zeros((3, 20, 20), np.int32)
    for z, (one, other) in enumerate([(1, 2), (2, 1), (1, 2)]):
        labels[z, 2:8, 2 + z : 8 + z] = one
        labels[z, 12:18, 12 - z : 18 - z] = other
    path = tmp_path / "stack.tif"
    write_labels(path, labels, "ZYX")
    return path


def test_objects_of_a_stack_get_one_number(capsys, tmp_path, stack):
    out, table = tmp_path / "linked.tif", tmp_path / "where.csv"
    code, said, _ = _run(capsys, "link", stack, "-o", out, "--table", table)
    assert code == 0 and "6 objects in the planes along Z are 2; written to" in said
    labels, axes = read_labels(out)
    assert axes == "ZYX"
    assert [labels[z, 5, 5] for z in range(3)] == [1, 1, 1]
    assert [labels[z, 15, 14] for z in range(3)] == [2, 2, 2]
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"label": "1", "z": "0", "y": "4.5", "x": "4.5", "parent": "0"}
    assert len(rows) == 6


def test_a_movie_is_followed_and_written_as_the_tracking_challenge_has_it(capsys, tmp_path):
    pytest.importorskip("laptrack", reason="the extra tracking is not installed")
    labels = np.zeros((3, 24, 24), np.int32)
    for t, places in enumerate([[(10, 2)], [(10, 6)], [(7, 10), (13, 10)]]):
        for number, (y, x) in enumerate(places, start=1):
            labels[t, y : y + 2, x : x + 2] = number
    source, out = tmp_path / "movie.tif", tmp_path / "01_RES"
    write_labels(source, labels, "TYX")
    words = ("link", source, "-o", out, "--by", "motion", "--distance", 6, "--divisions")
    code, said, _ = _run(capsys, *words)
    assert code == 0 and "4 objects in the planes along T are 3, 2 of them daughters" in said
    assert (out / "res_track.txt").read_text() == "1 0 1 0\n2 2 2 1\n3 2 2 1\n"
    assert sorted(path.name for path in out.glob("*.tif")) == [f"mask{n:03}.tif" for n in range(3)]


def test_segment_links_what_it_finds(capsys, tmp_path):
    image = np.zeros((5, 40, 40), np.float32)
    for z in range(5):
        image[z, 4:14, 4 + z : 14 + z] = 1
        if z not in (1, 2):
            image[z, 24:34, 24:34] = 1
    tifffile.imwrite(tmp_path / "stack.tif", image, metadata={"axes": "ZYX"})
    model = tmp_path / "bright.safetensors"
    brightness_model().save(model)
    words = ("segment", tmp_path / "stack.tif", "--model", model, "--device", "cpu")
    code, said, _ = _run(capsys, *words, "-o", tmp_path / "found.tif", "--link")
    assert code == 0 and "3 objects" in said
    labels, _ = read_labels(tmp_path / "found.tif")
    assert [labels[z, 10, 10] for z in range(5)] == [1] * 5
    assert labels[0, 30, 30] != labels[4, 30, 30]  # it was not there in between

    tifffile.imwrite(tmp_path / "plane.tif", image[0])
    words = ("segment", tmp_path / "plane.tif", "--model", model, "--device", "cpu", "--link")
    code, _, told = _run(capsys, *words, "-o", tmp_path / "none.tif")
    assert code == 2 and "single plane" in told and not (tmp_path / "none.tif").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--by", "motion"), "Say with --distance"),
        (("--distance", 4), "--distance is for --by motion"),
        (("--by", "motion", "--distance", 4, "--least", 0.3), "--least is for --by overlap"),
        (("--along", "T"), "none along which planes follow one another is T"),
        (("--table", "where.txt"), "must end in"),
    ],
)
def test_what_does_not_go_together_is_told(capsys, tmp_path, stack, words, sentence):
    out = tmp_path / "linked.tif"
    code, _, told = _run(capsys, "link", stack, "-o", out, *words)
    assert code == 2 and sentence in told and not out.exists()


def test_labels_are_not_written_over_themselves(capsys, stack):
    code, _, told = _run(capsys, "link", stack, "-o", stack)
    assert code == 2 and "written over itself" in told
