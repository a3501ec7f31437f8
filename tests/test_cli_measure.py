"""`napari-unet measure`: a table of objects."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import tifffile

from napari_unet import cli
from napari_unet.formats.annotations import Annotations
from napari_unet.formats.images import write_labels
from napari_unet.formats.labels import write_labels as write_annotations


@pytest.fixture
def pair(tmp_path):
    """An image of two channels whose pixels are half a micrometre, and its labels."""
    labels = np.zeros((20, 30), np.int32)
    labels[2:8, 2:10], labels[12:16, 20:24] = 3, 7
    image = np.stack([labels * 10, labels * 0 + 5]).astype(np.uint8)
    metadata = {"axes": "CYX", "unit": "um"}
    tifffile.imwrite(tmp_path / "a.tif", image, imagej=True, resolution=(2, 2), metadata=metadata)
    write_labels(tmp_path / "a_labels.tif", labels)
    return tmp_path / "a.tif", tmp_path / "a_labels.tif"


def run(capsys, *words):
    code = cli.main(["measure", *(str(word) for word in words)])
    return code, *capsys.readouterr()


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_in_micrometres(capsys, tmp_path, pair):
    code, out, _ = run(capsys, *pair, "-o", tmp_path / "t.csv")
    assert code == 0
    assert "2 objects of 1 images measured" in out
    first, second = rows(tmp_path / "t.csv")
    assert (first["label"], second["label"]) == ("3", "7")
    assert (first["area"], first["unit"]) == ("12", "um")  # 48 pixels of a quarter
    assert (first["mean_0"], first["mean_1"], second["mean_0"]) == ("30", "5", "70")
    assert float(first["feret_max"]) == pytest.approx(5)


def test_a_spacing_that_is_given_counts_and_without_one_it_is_pixels(capsys, tmp_path, pair):
    image, labels = pair
    run(capsys, image, labels, "-o", tmp_path / "t.csv", "--spacing", "1,2")
    assert rows(tmp_path / "t.csv")[0]["area"] == "96"
    tifffile.imwrite(image, tifffile.imread(image)[0])
    run(capsys, image, labels, "-o", tmp_path / "t.csv")
    assert (rows(tmp_path / "t.csv")[0]["area"], rows(tmp_path / "t.csv")[0]["unit"]) == (
        "48",
        "px",
    )


def test_one_channel_keeps_its_number(capsys, tmp_path, pair):
    assert run(capsys, *pair, "-o", tmp_path / "t.csv", "--channel", "1")[0] == 0
    (first, _) = rows(tmp_path / "t.csv")
    assert first["mean_1"] == "5"
    assert "mean_0" not in first


def test_folders_become_one_table_with_the_names_of_their_images(capsys, tmp_path, pair):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for name in "ab":
        (tmp_path / "images" / f"{name}.tif").write_bytes(pair[0].read_bytes())
        (tmp_path / "labels" / f"{name}_labels.tif").write_bytes(pair[1].read_bytes())
    words = (tmp_path / "images", tmp_path / "labels", "-o", tmp_path / "t.csv")
    assert run(capsys, *words)[0] == 0
    assert [row["image"] for row in rows(tmp_path / "t.csv")] == ["a", "a", "b", "b"]
    (tmp_path / "images" / "b.tif").unlink()
    code, _, said = run(capsys, *words)
    assert code == 2
    assert "has nothing for b" in said


def test_outlines_are_measured_with_their_classes(capsys, tmp_path, pair):
    labels = tifffile.imread(pair[1]).astype(np.int32)
    given = Annotations(labels, classes={3: "=cmd()"})
    write_annotations(tmp_path / "a.geojson", given)
    assert run(capsys, pair[0], tmp_path / "a.geojson", "-o", tmp_path / "t.csv")[0] == 0
    first, second = rows(tmp_path / "t.csv")
    assert (first["area"], second["class"]) == ("12", "")
    assert first["class"] == "'=cmd()"  # no formula for a spreadsheet to run


def test_volumes_are_one_row(capsys, tmp_path):
    labels = np.zeros((3, 9, 9), np.uint16)
    labels[1:, 2:5, 2:5] = 1
    tifffile.imwrite(tmp_path / "a.tif", labels, imagej=True, metadata={"axes": "ZYX"})
    words = (tmp_path / "a.tif", tmp_path / "a.tif", "-o", tmp_path / "t.csv")
    assert run(capsys, *words)[0] == 0
    assert [row["z"] for row in rows(tmp_path / "t.csv")] == ["1", "2"]
    assert run(capsys, *words, "--volumes", "--spacing", "2,1,1")[0] == 0
    assert [row["volume"] for row in rows(tmp_path / "t.csv")] == ["36"]


def test_parquet_holds_the_same_numbers(capsys, tmp_path, pair):
    parquet = pytest.importorskip("pyarrow.parquet")
    for ending in (".csv", ".parquet"):
        assert run(capsys, *pair, "-o", tmp_path / f"t{ending}")[0] == 0
    table = parquet.read_table(tmp_path / "t.parquet")
    assert table.column_names == list(rows(tmp_path / "t.csv")[0])
    assert table["area"].to_pylist() == [12.0, 4.0]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-o", "t.xlsx"], "must end in .csv or .parquet"),
        (["-o", "t.csv", "--spacing", "1"], "is not two or three numbers"),
        (["-o", "t.csv", "--spacing", "0,1"], "0 is not from 1e-09"),
        (["-o", "t.csv", "--channel", "5"], "has no channel 5"),
    ],
)
def test_wrong_use_gives_a_sentence_and_code_2(
    capsys, tmp_path, monkeypatch, pair, words, sentence
):
    monkeypatch.chdir(tmp_path)
    code, _, said = run(capsys, *pair, *words)
    assert code == 2
    assert sentence in said
    assert not (tmp_path / words[1]).exists()


def test_labels_of_another_shape_are_refused(capsys, tmp_path, pair):
    write_labels(pair[1], np.zeros((4, 4), np.int32))
    code, _, said = run(capsys, *pair, "-o", tmp_path / "t.csv")
    assert code == 2
    assert "they must be equal" in said
