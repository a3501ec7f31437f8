"""One way in and one way out: each format brings the same labels back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from napari_unet import sample_data
from napari_unet.core.errors import InputError
from napari_unet.formats.annotations import Annotations
from napari_unet.formats.labels import FORMATS, needs_image, read_labels, write_labels

pytest.importorskip("roifile")

OUTLINES = [".zip", ".geojson", ".json"]
ANY_LABELS = arrays(np.int32, (7, 8), elements={"min_value": 0, "max_value": 4})


@pytest.fixture(scope="module")
def nuclei():
    """Labels of drawn nuclei, one of them with a hole, one in two pieces, with gaps between."""
    labels = sample_data.nuclei((64, 64), 3)[1].astype(np.int32) * 3
    labels[labels == 3] = 70_000
    labels[1:9, 1:9], labels[3:5, 3:5], labels[20:22, 0:2] = 5, 0, 5
    return labels


@pytest.mark.parametrize("suffix", [".tif", *OUTLINES])
def test_a_plane_comes_back_exactly(tmp_path, nuclei, suffix):
    path = tmp_path / "new" / f"a{suffix}"
    write_labels(path, nuclei)
    read = read_labels(path, nuclei.shape)
    assert np.array_equal(read.labels, nuclei)
    assert read.axes == "YX"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".tif", *OUTLINES])
@pytest.mark.parametrize(("shape", "axes"), [((3, 16, 16), "TYX"), ((2, 3, 16, 16), "TZYX")])
def test_a_stack_comes_back_exactly(tmp_path, suffix, shape, axes):
    labels = np.random.default_rng(0).integers(0, 5, shape).astype(np.int32)
    write_labels(tmp_path / f"a{suffix}", labels, axes)
    read = read_labels(tmp_path / f"a{suffix}", shape, axes)
    assert np.array_equal(read.labels, labels)
    assert read.axes == axes


@pytest.mark.parametrize("suffix", OUTLINES)
@settings(max_examples=25, deadline=None)
@given(ANY_LABELS)
def test_any_labels_come_back_exactly(tmp_path_factory, suffix, labels):
    path = tmp_path_factory.mktemp("a") / f"a{suffix}"
    if suffix == ".zip" and not labels.any():
        return  # a zip file of no ROI is refused, see below
    write_labels(path, labels)
    assert np.array_equal(read_labels(path, labels.shape).labels, labels)


@pytest.mark.parametrize("suffix", OUTLINES)
def test_what_is_not_checked_and_classes_come_back(tmp_path, nuclei, suffix):
    checked = np.ones(nuclei.shape, bool)
    checked[30:40, 5:60], checked[33:36, 10:20] = False, True
    number = int(nuclei[checked].max())
    given_ = Annotations(nuclei, checked=checked, classes={number: "large cell", 5: "small-2"})
    write_labels(tmp_path / f"a{suffix}", given_)
    read = read_labels(tmp_path / f"a{suffix}", nuclei.shape)
    assert np.array_equal(read.checked, checked)
    assert np.array_equal(read.labels, nuclei)
    assert {key: read.classes[key] for key in given_.classes} == given_.classes


@pytest.mark.parametrize("suffix", OUTLINES)
def test_all_is_checked_where_a_file_says_nothing(tmp_path, nuclei, suffix):
    write_labels(tmp_path / f"a{suffix}", nuclei)
    assert read_labels(tmp_path / f"a{suffix}", nuclei.shape).checked is None


@pytest.mark.parametrize("suffix", [".zip", ".geojson"])
def test_outlines_need_the_size_of_their_image(tmp_path, nuclei, suffix):
    write_labels(tmp_path / f"a{suffix}", nuclei)
    assert needs_image(tmp_path / f"a{suffix}")
    with pytest.raises(InputError, match="--image"):
        read_labels(tmp_path / f"a{suffix}")


def test_png_comes_back_exactly(tmp_path):
    labels = np.arange(300, dtype=np.int32).reshape(15, 20)
    write_labels(tmp_path / "a.png", labels)
    assert np.array_equal(read_labels(tmp_path / "a.png").labels, labels)


@pytest.mark.parametrize("labels", [np.full((2, 2), 70_000), np.ones((2, 2, 2), int)])
def test_png_refuses_what_it_cannot_hold(tmp_path, labels):
    with pytest.raises(InputError, match=r"write \.tif instead"):
        write_labels(tmp_path / "a.png", labels)


def test_labels_of_another_shape_than_the_image_are_refused(tmp_path, nuclei):
    write_labels(tmp_path / "a.tif", nuclei)
    with pytest.raises(InputError, match="they must be equal"):
        read_labels(tmp_path / "a.tif", (3, 3))


def test_an_ending_that_is_not_known_is_refused(tmp_path, nuclei):
    with pytest.raises(InputError, match="cannot be written; use one of"):
        write_labels(tmp_path / "a.xlsx", nuclei)
    with pytest.raises(InputError, match="There is no file"):
        read_labels(tmp_path / "gone.zip")
    with pytest.raises(InputError, match="none of the Cell Tracking Challenge"):
        read_labels(tmp_path)


def test_the_format_may_be_named_whatever_the_ending(tmp_path, nuclei):
    write_labels(tmp_path / "a.txt", nuclei, kind="coco")
    (tmp_path / "a.txt").rename(tmp_path / "a.json")
    assert np.array_equal(read_labels(tmp_path / "a.json").labels, nuclei)


def test_every_format_that_can_be_named_can_be_written(tmp_path):
    labels = np.zeros((2, 9, 9), np.int32)
    labels[:, 2:5, 2:5] = 1
    for kind, ending in FORMATS.items():
        plane = labels[0] if kind == "png" else labels
        write_labels(tmp_path / f"a{ending}", plane, kind=kind)
        shape = plane.shape
        assert np.array_equal(read_labels(tmp_path / f"a{ending}", shape).labels, plane)


@pytest.mark.parametrize("suffix", OUTLINES)
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, nuclei, suffix):
    (tmp_path / "a_file").touch()
    with pytest.raises(InputError, match="could not be written"):
        write_labels(tmp_path / "a_file" / f"a{suffix}", nuclei)
