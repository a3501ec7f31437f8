"""`napari-unet convert`: from format to format, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_unet import cli
from napari_unet.formats.annotations import Annotations
from napari_unet.formats.labels import read_labels, write_labels

pytest.importorskip("roifile")


@pytest.fixture
def labels(tmp_path):
    """Labels and their image of two channels, in the working folder."""
    labels = np.zeros((20, 30), np.int32)
    labels[2:8, 2:9], labels[4:6, 4:6], labels[12:17, 20:29] = 4, 0, 7
    write_labels(tmp_path / "a.tif", labels)
    image = np.zeros((2, 20, 30), np.uint8)
    tifffile.imwrite(tmp_path / "image.tif", image, imagej=True, metadata={"axes": "CYX"})
    return labels


def run(capsys, *words):
    code = cli.main(["convert", *(str(word) for word in words)])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("ending", [".zip", ".geojson", ".json", ".png"])
def test_there_and_back_gives_the_same_labels(capsys, tmp_path, labels, ending):
    code, out, _ = run(capsys, tmp_path / "a.tif", "-o", tmp_path / f"b{ending}")
    assert code == 0
    assert "2 objects, written to" in out
    words = ("-o", tmp_path / "c.tif", "--image", tmp_path / "image.tif")
    assert run(capsys, tmp_path / f"b{ending}", *words)[0] == 0
    assert np.array_equal(read_labels(tmp_path / "c.tif").labels, labels)


def test_outlines_without_their_image_are_one_sentence_and_code_2(capsys, tmp_path, labels):
    write_labels(tmp_path / "b.zip", labels)
    code, _, said = run(capsys, tmp_path / "b.zip", "-o", tmp_path / "c.tif")
    assert code == 2
    assert "give the image as well (--image)" in said
    assert not (tmp_path / "c.tif").exists()


def test_ignore_regions_become_a_mask_for_teaching_or_are_spoken_of(capsys, tmp_path, labels):
    checked = np.ones(labels.shape, bool)
    checked[10:, :] = False
    write_labels(tmp_path / "b.zip", Annotations(labels, checked=checked))
    words = (tmp_path / "b.zip", "--image", tmp_path / "image.tif", "-o", tmp_path / "c.tif")
    code, _, said = run(capsys, *words)
    assert code == 0
    assert "50% of the image is not checked" in said
    code, out, said = run(capsys, *words, "--checked", tmp_path / "m.tif")
    assert (code, said) == (0, "")
    assert "50% of the image checked" in out
    assert np.array_equal(tifffile.imread(tmp_path / "m.tif"), checked)
    assert run(capsys, *words[:3], "-o", tmp_path / "c.geojson")[2] == ""


def test_the_format_can_be_named(capsys, tmp_path, labels):
    assert run(capsys, tmp_path / "a.tif", "-o", tmp_path / "b", "--format", "coco")[0] == 0
    assert (tmp_path / "b").read_bytes().startswith(b'{"images"')


def test_a_file_is_not_written_over_itself(capsys, tmp_path, labels):
    before = (tmp_path / "a.tif").read_bytes()
    code, _, said = run(capsys, tmp_path / "a.tif", "-o", tmp_path / "a.tif")
    assert code == 2
    assert "over itself" in said
    assert (tmp_path / "a.tif").read_bytes() == before
