"""Images that BioIO reads; where it is not installed, a stand-in says what it would."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from napari_unet.commands.inputs import find_sources
from napari_unet.core.errors import InputError
from napari_unet.formats import other_images
from napari_unet.formats.images import read_image
from napari_unet.formats.spacing import read_spacing


class UnsupportedFileFormatError(Exception):
    """No reader takes it, as BioIO calls it."""


@pytest.fixture
def bioio(monkeypatch):
    """A BioIO that reads what a test puts into it by name."""
    held = {}

    def opened(path):
        found = held[path.name]
        if isinstance(found, Exception):
            raise found
        data, order = found
        return SimpleNamespace(
            data=data,
            dims=SimpleNamespace(order=order),
            physical_pixel_sizes=SimpleNamespace(Z=None, Y=0.5, X=0.25),
        )

    module = ModuleType("bioio")
    module.BioImage = opened
    monkeypatch.setitem(sys.modules, "bioio", module)
    monkeypatch.setattr(other_images, "has_bioio", lambda: True)
    monkeypatch.setattr("napari_unet.commands.inputs.has_bioio", lambda: True)
    return held


def touch(folder, name):
    (folder / name).write_bytes(b"of a microscope")
    return folder / name


@pytest.mark.parametrize(
    ("shape", "order", "expected", "axes"),
    [
        ((1, 1, 1, 5, 4), "TCZYX", (5, 4), "YX"),
        ((1, 2, 3, 5, 4), "TCZYX", (2, 3, 5, 4), "CZYX"),
        ((1, 1, 1, 5, 1), "TCZYX", (5, 1), "YX"),
        ((1, 1, 1, 5, 4, 3), "TCZYXS", (5, 4, 3), "YXC"),
    ],
)
def test_dimensions_of_one_are_left_out(tmp_path, bioio, shape, order, expected, axes):
    data = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    bioio["a.czi"] = data, order
    image, found = read_image(touch(tmp_path, "a.czi"))
    assert (image.shape, found, image.dtype) == (expected, axes, np.uint16)
    np.testing.assert_array_equal(image.ravel(), data.ravel())


def test_the_size_of_a_pixel_is_read_too(tmp_path, bioio):
    bioio["a.nd2"] = np.zeros((4, 4)), "YX"
    assert read_spacing(touch(tmp_path, "a.nd2")) == {"Y": 0.5, "X": 0.25}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (UnsupportedFileFormatError("nobody"), "BioIO cannot read a.czi: .* install bioio-czi, or"),
        (RuntimeError("cut off\nhere."), "a.czi cannot be read as an image: cut off here.$"),
        ((np.zeros((2, 4, 4, 3)), "CYXS"), "colours in each of its channels"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, bioio, found, said):
    bioio["a.czi"] = found
    with pytest.raises(InputError, match=said):
        read_image(touch(tmp_path, "a.czi"))
    assert read_spacing(touch(tmp_path, "a.czi")) in (None, {"Y": 0.5, "X": 0.25})


def test_without_bioio_one_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(other_images, "has_bioio", lambda: False)
    with pytest.raises(InputError, match=r"a.czi is read by BioIO.*\[bioio\]"):
        read_image(touch(tmp_path, "a.czi"))


def test_in_a_folder_they_count_where_bioio_is_there(tmp_path, bioio, monkeypatch):
    touch(tmp_path, "a.czi")
    touch(tmp_path, "b.tif")
    assert [one.path.name for one in find_sources([str(tmp_path)])] == ["a.czi", "b.tif"]
    monkeypatch.setattr("napari_unet.commands.inputs.has_bioio", lambda: False)
    assert [one.path.name for one in find_sources([str(tmp_path)])] == ["b.tif"]


def test_a_real_czi_is_what_was_written(tmp_path):
    czi = pytest.importorskip("pylibCZIrw.czi")
    pytest.importorskip("bioio_czi")
    plane = np.random.default_rng(0).integers(0, 4000, (40, 50)).astype(np.uint16)
    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for channel in range(2):
            file.write(plane[..., None] + channel, plane={"C": channel, "Z": 0, "T": 0})
    image, axes = read_image(tmp_path / "a.czi")
    assert axes == "CYX"
    np.testing.assert_array_equal(image, [plane, plane + 1])
