"""TIFF files and pictures of strangers: small ones that would fill the memory, or open others."""

from __future__ import annotations

import lzma
import tracemalloc
import zlib
from contextlib import contextmanager

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_unet.core.errors import InputError
from napari_unet.formats import images, safe_tiff
from napari_unet.formats.images import read_image
from napari_unet.formats.ome_tiff import read_labels_of_shape
from napari_unet.formats.spacing import read_spacing

PLANE = np.arange(35, dtype=np.uint16).reshape(5, 7)
OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="7" '
    'SizeY="5" SizeZ="1" SizeC="1" SizeT="{frames}">{data}</Pixels></Image>{more}</OME>'
)
ONE = '<TiffData IFD="0" PlaneCount="1"/>'
LAUGHS = OME.replace("<OME", '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><OME', 1).replace(
    "{more}", "<x>&b;</x>"
)
ALONG = (
    '<StructuredAnnotations><XMLAnnotation ID="A" Namespace="x/modulo"><Value><Modulo>'
    '<ModuloAlongT Type="lifetime" Start="0" End="9e7" Step="1"/>'
    "</Modulo></Value></XMLAnnotation></StructuredAnnotations>"
)


def ome(path, data=ONE, frames=1, more="", text=OME, plane=PLANE):
    said = text.format(data=data, frames=frames, more=more)
    tifffile.imwrite(path, plane, description=said, metadata=None)
    return path


@contextmanager
def less_than(count):
    """What happens inside takes less memory, in bytes."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < count
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"data": '<TiffData IFD="0" PlaneCount="90000000"/>'}, "counts 90,000,000 planes"),
        ({"data": '<TiffData IFD="90000000"/>'}, "counts 90,000,000 planes"),
        ({"frames": 90_000_000}, "counts 90,000,000 planes"),
        ({"frames": 10**30}, "counts 1,000,000"),
        ({"more": ALONG}, "counts 90,000,000 planes"),
        ({"text": LAUGHS}, "has entities in its XML"),
    ],
)
def test_ome_xml_that_counts_or_unfolds_without_end_is_refused(tmp_path, how, sentence):
    path = ome(tmp_path / "a.ome.tif", **how)
    with less_than(2_000_000):
        with pytest.raises(InputError, match=sentence):
            read_image(path)
        with pytest.raises(InputError, match=sentence):  # as in the folder of a session
            read_labels_of_shape(path, PLANE.shape)
        assert read_spacing(path) is None


@pytest.mark.parametrize("name", ["../b.tif", "/etc/b.tif", "&#46;./b.tif", "..\\b.tif", "C:b.tif"])
def test_ome_xml_opens_no_file_of_another_folder(tmp_path, name):
    inside = tmp_path / "inside"
    inside.mkdir()
    tifffile.imwrite(tmp_path / "b.tif", PLANE + 1)
    data = f'<TiffData IFD="0"><UUID FileName="{name}">urn:uuid:1</UUID></TiffData>'
    with pytest.raises(InputError, match="which lies in another folder; put its files side by"):
        read_image(ome(inside / "a.ome.tif", data))


def test_ome_xml_opens_files_beside_it(tmp_path):
    other = '<TiffData FirstT="1" IFD="0"><UUID FileName="b.tif">urn:uuid:1</UUID></TiffData>'
    ome(tmp_path / "b.tif", plane=PLANE + 1)
    found = read_image(ome(tmp_path / "a.ome.tif", ONE + other, frames=2))[0]
    assert np.array_equal(found, [PLANE, PLANE + 1])


def test_xml_that_is_none_leaves_the_pixels(tmp_path):
    path = ome(tmp_path / "a.ome.tif", text="<OME><Image></OME>")
    assert np.array_equal(read_image(path)[0], PLANE)


def with_strip(path, compression, packed):
    """A file whose one strip is `packed`, whatever comes out of it."""
    tifffile.imwrite(path, PLANE, compression=compression, metadata=None)
    end = path.stat().st_size
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags["StripOffsets"].overwrite(end)
        file.pages[0].tags["StripByteCounts"].overwrite(len(packed))
    path.write_bytes(path.read_bytes()[:end] + packed)
    return path


@pytest.mark.parametrize("compression", ["zlib", "lzma"])
def test_a_strip_that_unpacks_to_more_than_its_pixels_is_refused(
    tmp_path, monkeypatch, compression
):
    pack = zlib.compress if compression == "zlib" else lzma.compress
    path = with_strip(tmp_path / "a.tif", compression, pack(bytes(20_000_000)))
    monkeypatch.setattr(safe_tiff, "UNMEASURED", 2**20)
    monkeypatch.setattr(safe_tiff, "STEP", 2**16)
    with less_than(10_000_000), pytest.raises(InputError, match="unpacks to far more"):
        read_image(path)


@pytest.mark.parametrize("compression", ["zlib", "lzma"])
def test_a_strip_that_is_measured_is_read_as_it_is(tmp_path, monkeypatch, compression):
    monkeypatch.setattr(safe_tiff, "UNMEASURED", 0)
    monkeypatch.setattr(safe_tiff, "STEP", 100)
    image = np.random.default_rng(0).integers(0, 9, (3, 90, 80)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack", compression=compression)
    assert np.array_equal(read_image(tmp_path / "a.tif")[0], image)
    tiled = {"tile": (64, 64), "photometric": "minisblack", "compression": compression}
    tifffile.imwrite(tmp_path / "b.tif", image, **tiled)
    assert np.array_equal(read_image(tmp_path / "b.tif")[0], image)


@pytest.mark.parametrize("compression", ["zlib", "lzma"])
def test_a_strip_cut_short_is_refused(tmp_path, monkeypatch, compression):
    monkeypatch.setattr(safe_tiff, "UNMEASURED", 0)
    monkeypatch.setattr(safe_tiff, "STEP", 100)
    pack = zlib.compress if compression == "zlib" else lzma.compress
    path = with_strip(tmp_path / "a.tif", compression, pack(PLANE.tobytes())[:-20])
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_image(path)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp"])
@pytest.mark.parametrize(
    "content",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) print\n%%EOF\n",
        b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00",
    ],
)
def test_a_picture_of_another_kind_under_a_known_ending_is_not_opened(
    tmp_path, monkeypatch, ending, content
):
    Image.init()  # all that Pillow knows, as when another plugin has asked for it
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", None)  # it would run the file
    (tmp_path / f"a{ending}").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot be read as an image: cannot identify"):
        read_image(tmp_path / f"a{ending}")


def test_a_picture_of_a_great_many_frames_is_refused(tmp_path, monkeypatch):
    frames = [Image.fromarray(np.full((300, 300), n, np.uint8)) for n in range(12)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.png")[0].shape[0] == 12
    monkeypatch.setattr(images, "MAX_DECLARED", 300_000)
    monkeypatch.setattr(images, "MAX_RATIO", 10)
    with pytest.raises(InputError, match="which so small a file cannot hold"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("said", ["ImageJ=1.53\nimages=9000000000\nslices=9000000000\n", "tile"])
def test_what_else_a_small_file_declares_takes_no_memory(tmp_path, said):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((16, 16), np.uint8), tile=(16, 16), description=said)
    with tifffile.TiffFile(path, mode="r+b") as file:
        for name in ("TileWidth", "TileLength"):
            file.pages[0].tags[name].overwrite(49152)  # a tile of 2 GB
    with less_than(2_000_000):
        read_image(path)


def test_a_shape_in_the_words_of_tifffile_is_bounded(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", PLANE, description='{"shape": [90000000, 5, 7]}', metadata=None
    )
    with pytest.raises(InputError, match="declares 6 GB of pixels"):
        read_image(tmp_path / "a.tif")
