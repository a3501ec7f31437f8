"""Images in, labels out: axes, dtypes and what is refused."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_unet.core.errors import InputError
from napari_unet.formats.images import read_image, read_labels, write_labels

PLANE = np.arange(35, dtype=np.uint16).reshape(5, 7)


@pytest.mark.parametrize(
    ("shape", "options", "axes"),
    [
        ((5, 7), {}, "YX"),
        ((2, 5, 7), {"imagej": True, "metadata": {"axes": "CYX"}}, "CYX"),
        ((3, 2, 5, 7), {"imagej": True, "metadata": {"axes": "TCYX"}}, "TCYX"),
        ((4, 5, 7), {"ome": True, "metadata": {"axes": "ZYX"}}, "ZYX"),
        ((2, 3, 5, 7), {"ome": True, "metadata": {"axes": "CZYX"}}, "CZYX"),
        ((5, 7, 3), {"photometric": "rgb"}, "YXC"),
        ((6, 5, 7), {"photometric": "minisblack"}, "QYX"),
    ],
)
def test_tiff_keeps_its_axes(tmp_path, shape, options, axes):
    image = np.random.default_rng(0).integers(0, 1000, shape).astype(np.uint16)
    path = tmp_path / ("a.ome.tif" if "ome" in options else "a.tif")
    tifffile.imwrite(path, image, **options)
    read, read_axes = read_image(path)
    assert read_axes == axes
    assert np.array_equal(read, image)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_grey_pictures_are_read_exactly(tmp_path, suffix):
    image = PLANE.astype(np.uint8)
    Image.fromarray(image).save(tmp_path / f"a{suffix}")
    read, axes = read_image(tmp_path / f"a{suffix}")
    assert axes == "YX"
    assert np.array_equal(read, image)


def test_sixteen_bit_png_is_read_exactly(tmp_path):
    Image.fromarray(PLANE * 1000).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png")[0], PLANE * 1000)


def test_compression_unknown_to_tifffile_alone_is_read(tmp_path):
    Image.fromarray(PLANE.astype(np.uint8)).save(tmp_path / "a.tif", compression="tiff_lzw")
    read, axes = read_image(tmp_path / "a.tif")
    assert axes == "YX"
    assert np.array_equal(read, PLANE)


def test_transparency_is_dropped(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (5, 7, 4)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    read, axes = read_image(tmp_path / "a.png")
    assert axes == "YXC"
    assert np.array_equal(read, image[..., :3])


def test_colours_that_are_grey_become_one_channel(tmp_path):
    grey = PLANE.astype(np.uint8)
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(tmp_path / "a.png")
    read, axes = read_image(tmp_path / "a.png")
    assert axes == "YX"
    assert np.array_equal(read, grey)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("gone.tif", None, "There is no file"),
        ("notes.txt", b"text", "cannot be read; use one of"),
        ("broken.tif", b"not a tiff", "broken.tif cannot be read as an image"),
        ("broken.png", b"not a png", "broken.png cannot be read as an image"),
        ("empty.jpg", b"", "empty.jpg cannot be read as an image"),
    ],
)
def test_unreadable_files_are_refused_in_a_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("largest", "dtype"), [(7, "uint16"), (65535, "uint16"), (65536, "int32")])
def test_labels_come_back_as_written(tmp_path, largest, dtype):
    labels = np.zeros((2, 5, 7), np.int32)
    labels[1, 2, 3] = largest
    write_labels(tmp_path / "new" / "a_labels.tif", labels, "ZYX")
    read, axes = read_labels(tmp_path / "new" / "a_labels.tif")
    assert (read.dtype, axes) == (dtype, "ZYX")
    assert np.array_equal(read, labels)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a_labels.tif"]


def test_two_label_planes_of_three_columns_stay_planes(tmp_path):
    labels = np.arange(30, dtype=np.int32).reshape(2, 5, 3)
    write_labels(tmp_path / "a.tif", labels, "ZYX")
    assert read_labels(tmp_path / "a.tif")[1] == "ZYX"


def test_labels_that_cannot_be_written_are_reported(tmp_path):
    (tmp_path / "a_file").touch()
    with pytest.raises(InputError, match="could not be written"):
        write_labels(tmp_path / "a_file" / "a.tif", np.zeros((3, 3), np.int32))


def test_fractions_are_not_labels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((5, 7), 0.5, np.float32))
    with pytest.raises(InputError, match="whole numbers"):
        read_labels(tmp_path / "a.tif")


def test_whole_floats_are_labels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((5, 7), 2, np.float32))
    labels, _ = read_labels(tmp_path / "a.tif")
    assert labels.dtype.kind == "i"
    assert (labels == 2).all()


def test_a_small_file_that_declares_a_huge_image_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PLANE)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        for name in ("ImageLength", "ImageWidth", "RowsPerStrip"):
            file.pages[0].tags[name].overwrite(2**20)
    with pytest.raises(InputError, match="declares 2,048 GB of pixels"):
        read_image(tmp_path / "a.tif")


def test_an_empty_image_that_compresses_well_is_read(tmp_path):
    labels = np.zeros((4000, 4000), np.int32)
    write_labels(tmp_path / "a.tif", labels)
    assert read_labels(tmp_path / "a.tif")[0].shape == labels.shape


def test_entities_in_ome_xml_are_refused_before_they_unfold(tmp_path):
    bomb = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    bomb += "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(9))
    bomb += ']><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">&a9;</OME>'
    tifffile.imwrite(tmp_path / "a.ome.tif", PLANE, description=bomb)
    with pytest.raises(InputError, match="has entities in its XML"):
        read_image(tmp_path / "a.ome.tif")


def test_a_picture_that_declares_a_huge_size_is_refused(tmp_path):
    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    with pytest.raises(InputError, match=r"cannot be read as an image: .* exceeds limit"):
        read_image(tmp_path / "a.png")
