"""ImageJ ROIs: their kinds, the names of the Fiji U-Net plugin, slices, and hostile files."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.formats import safe_zip
from napari_unet.formats.annotations import Annotations
from napari_unet.formats.imagej_roi import read_rois, write_rois

roifile = pytest.importorskip("roifile")
SHAPE = (20, 30)


def roi(kind: int, left: int, top: int, right: int, bottom: int, name: str = "", **values):
    one = roifile.ImagejRoi()
    one.roitype, one.name = roifile.ROI_TYPE(kind), name
    one.left, one.top, one.right, one.bottom = left, top, right, bottom
    for key, value in values.items():
        setattr(one, key, value)
    return one


def square(name: str = "", at: int = 2, **values):
    return roi(1, at, at, at + 4, at + 4, name, **values)


def saved(path, *rois):
    with zipfile.ZipFile(path, "w") as archive:
        for number, one in enumerate(rois):
            archive.writestr(f"{number:04d}-0001.roi", one.tobytes())
    return path


def test_a_rectangle_covers_its_pixels(tmp_path):
    read = read_rois(saved(tmp_path / "a.zip", roi(1, 3, 5, 10, 7)), SHAPE)
    expected = np.zeros(SHAPE, int)
    expected[5:7, 3:10] = 1
    assert np.array_equal(read.labels, expected)


def test_a_single_roi_file_is_read(tmp_path):
    (tmp_path / "a.roi").write_bytes(square().tobytes())
    assert read_rois(tmp_path / "a.roi", SHAPE).labels.sum() == 16


def test_an_oval_covers_the_pixels_whose_centres_it_encloses(tmp_path):
    read = read_rois(saved(tmp_path / "a.zip", roi(2, 4, 4, 8, 8)), SHAPE)
    expected = np.array([[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]])
    assert np.array_equal(read.labels[4:8, 4:8], expected)
    assert read.labels.sum() == 12


def test_ovals_as_large_as_the_image_are_kept_in_memory_one_at_a_time(tmp_path):
    path = saved(tmp_path / "a.zip", *[roi(2, 0, 0, 1000, 1000)] * 60)
    tracemalloc.start()
    assert read_rois(path, (1000, 1000)).labels.max() == 60
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000_000  # all of them at once would take 60 beside the rest


def test_a_polygon_between_pixels_covers_those_whose_centres_it_encloses(tmp_path):
    points = np.array([[2.6, 2.6], [6.4, 2.6], [6.4, 4.6], [2.6, 4.6]], np.float32)
    one = roifile.ImagejRoi.frompoints(points, name="a")
    labels = read_rois(saved(tmp_path / "a.zip", one), SHAPE).labels
    assert np.argwhere(labels).min(axis=0).tolist() == [3, 3]
    assert labels.sum() == 2 * 3


def test_a_composite_shape_with_curves_is_filled(tmp_path):
    # a disc of radius 8 as Java writes it: four cubic curves, k = 4/3 (sqrt 2 - 1)
    k, x, y, r = 0.5522847498, 12.0, 10.0, 8.0
    path = [0, x + r, y]
    for (ax, ay), (bx, by) in (
        ((1, 0), (0, 1)),
        ((0, 1), (-1, 0)),
        ((-1, 0), (0, -1)),
        ((0, -1), (1, 0)),
    ):
        one = [x + r * (ax + k * bx), y + r * (ay + k * by)]
        two = [x + r * (bx + k * ax), y + r * (by + k * ay)]
        path += [3, *one, *two, x + r * bx, y + r * by]
    shape = np.array([*path, 4], np.float32)
    one = roi(1, 4, 2, 20, 18, multi_coordinates=shape, shape_roi_size=len(shape))
    labels = read_rois(saved(tmp_path / "a.zip", one), SHAPE).labels
    rows, columns = np.mgrid[:20, :30] + 0.5
    disc = (columns - x) ** 2 + (rows - y) ** 2 <= r**2
    assert np.count_nonzero(disc != (labels == 1)) <= 4


def test_names_of_the_fiji_plugin_are_classes_and_instances(tmp_path):
    rois = [
        square("nucleus#7-1", 0),
        square("nucleus#7-2", 10),
        square("debris", 5),
        square("0012-0034", 15),
        square("debris#7", 14),
    ]
    read = read_rois(saved(tmp_path / "a.zip", *rois), SHAPE)
    assert read.labels[1, 1] == read.labels[11, 11] == 7  # two pieces of one
    assert read.classes[7] == "nucleus"
    assert read.classes[int(read.labels[6, 6])] == "debris"
    last = int(read.labels[17, 17])  # it came on top of the one before
    assert read.classes[last] == "debris"  # and is no nucleus, though it is called 7 too
    assert last != 7
    assert read.checked is None


def test_an_object_that_has_but_an_automatic_name_has_no_class(tmp_path):
    assert read_rois(saved(tmp_path / "a.zip", square("0012-0034")), SHAPE).classes == {}


@pytest.mark.parametrize("name", ["ignore", "Ignore", "IGNORE-3", "ignore-1-2"])
def test_ignore_regions_of_the_fiji_plugin_are_not_checked(tmp_path, name):
    read = read_rois(saved(tmp_path / "a.zip", square("cell", 8), square(name, 2)), SHAPE)
    assert np.count_nonzero(~read.checked) == 16
    assert not read.checked[2:6, 2:6].any()
    assert np.count_nonzero(read.labels) == 16


def test_ignored_is_not_what_begins_like_it(tmp_path):
    assert read_rois(saved(tmp_path / "a.zip", square("ignored cell")), SHAPE).checked is None


@pytest.mark.parametrize(
    ("axes", "shape", "values", "planes"),
    [
        ("ZYX", (3, *SHAPE), {"position": 2}, [1]),
        ("ZYX", (3, *SHAPE), {"z_position": 3, "t_position": 1, "c_position": 1}, [2]),
        ("TYX", (3, *SHAPE), {"z_position": 1, "t_position": 3}, [2]),
        ("ZYX", (3, *SHAPE), {}, [0, 1, 2]),
        ("TZYX", (2, 3, *SHAPE), {"z_position": 3, "t_position": 2}, [5]),
        ("TZYX", (2, 3, *SHAPE), {"z_position": 3}, [2, 5]),
        ("TZYX", (2, 3, *SHAPE), {"position": 4}, [3]),
    ],
)
def test_the_position_in_the_stack_is_the_plane(tmp_path, axes, shape, values, planes):
    read = read_rois(saved(tmp_path / "a.zip", square(**values)), shape, axes)
    found = read.labels.reshape(-1, *SHAPE).any(axis=(1, 2))
    assert np.flatnonzero(found).tolist() == planes


@pytest.mark.parametrize("values", [{"position": 4}, {"t_position": 9}, {"position": 2**30}])
def test_a_plane_that_is_not_there_is_refused(tmp_path, values):
    path = saved(tmp_path / "a.zip", square(**values))
    for axes, shape in (("TYX", (3, *SHAPE)), ("TZYX", (3, 1, *SHAPE))):
        with pytest.raises(InputError, match="the image that belongs to it"):
            read_rois(path, shape, axes)


def test_lines_and_points_are_left_out_and_said(tmp_path):
    line = roi(3, 0, 0, 5, 5, x2=5.0, y2=5.0)
    read = read_rois(saved(tmp_path / "a.zip", square(), line), SHAPE)
    assert read.notes == ("1 of 2 ROIs are no areas and were left out.",)
    assert read.labels.max() == 1


def test_what_is_written_imagej_reads_as_areas_by_name(tmp_path):
    labels = np.zeros(SHAPE, np.int32)
    labels[2:8, 2:8], labels[4:6, 4:6], labels[10:12, 10:12] = 3, 0, 9
    write_rois(tmp_path / "a.zip", Annotations(labels, classes={9: "../x"}))
    ring, spot = roifile.ImagejRoi.fromfile(tmp_path / "a.zip")
    assert (ring.name, ring.composite) == ("cell#3", True)
    assert [len(one) for one in ring.coordinates(multi=True)] == [5, 5]
    assert (ring.left, ring.top, ring.right, ring.bottom) == (2, 2, 8, 8)
    assert (spot.name, spot.roitype.name) == ("../x#9", "TRACED")
    names = zipfile.ZipFile(tmp_path / "a.zip").namelist()
    assert not any("/" in name for name in names)


def test_an_image_too_large_for_the_format_is_refused(tmp_path):
    labels = np.broadcast_to(np.int32(0), (70_000, 2))
    with pytest.raises(InputError, match="write GeoJSON or labels"):
        write_rois(tmp_path / "a.zip", Annotations(labels))


def test_names_in_a_zip_are_never_paths(tmp_path):
    inner = tmp_path / "in"
    inner.mkdir()
    with zipfile.ZipFile(inner / "a.zip", "w") as archive:
        for name in ("../../evil.roi", "/evil.roi", "C:\\evil.roi"):
            archive.writestr(name, square().tobytes())
    before = sorted(tmp_path.rglob("*"))
    assert read_rois(inner / "a.zip", SHAPE).labels.any()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_bomb_is_refused_before_it_unfolds(tmp_path, monkeypatch):
    monkeypatch.setattr(safe_zip, "MAX_ENTRY_BYTES", 10_000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.roi", bytes(10_000_000))
    with pytest.raises(InputError, match="unpacks to more than"):
        read_rois(tmp_path / "a.zip", SHAPE)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_zipfile_would_unpack_in_one_go_is_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("a.roi", bytes(10_000_000))
    tracemalloc.start()
    with pytest.raises(InputError, match="packed in a way that is not read"):
        read_rois(tmp_path / "a.zip", SHAPE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_many_entries_that_are_small_each_are_refused_together(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.zip", *[square()] * 5)
    monkeypatch.setattr(safe_zip, "MAX_TOTAL_BYTES", 300)
    with pytest.raises(InputError, match="unpacks to more than"):
        read_rois(path, SHAPE)
    monkeypatch.setattr(safe_zip, "MAX_ENTRIES", 4)
    with pytest.raises(InputError, match="holds 5 entries"):
        read_rois(path, SHAPE)


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.roi", square().tobytes() + bytes(5000))
    raw = bytearray(content.getvalue())
    at = raw.index(b"PK\x01\x02")
    raw[at + 24 : at + 28] = struct.pack("<I", 100)  # the size it will have, in the directory
    (tmp_path / "a.zip").write_bytes(raw)
    with pytest.raises(InputError, match="cannot be read as a zip file"):
        read_rois(tmp_path / "a.zip", SHAPE)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no zip", "cannot be read as a zip file"),
        (b"", "cannot be read as a zip file"),
    ],
)
def test_a_file_that_is_no_zip_is_refused(tmp_path, content, sentence):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_rois(tmp_path / "a.zip", SHAPE)


def test_a_zip_without_rois_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "text")
    with pytest.raises(InputError, match="There are no ROIs"):
        read_rois(tmp_path / "a.zip", SHAPE)


@pytest.mark.parametrize("count", [-1, 2**31 - 1])
def test_a_roi_that_declares_any_number_of_corners_is_refused(tmp_path, count):
    raw = bytearray(roifile.ImagejRoi.frompoints(np.array([[0, 0], [3, 0], [3, 3]])).tobytes())
    raw[16:18] = b"\0\0"
    raw[18:22] = struct.pack(">i", count)
    (tmp_path / "a.roi").write_bytes(raw)
    with pytest.raises(InputError, match="damaged ROI"):
        read_rois(tmp_path / "a.roi", SHAPE)


@pytest.mark.parametrize("path", [[3, 1, 1], [0, 1], [9, 1, 1], [2, 1, 1, 2, 2], [np.nan, 1, 1]])
def test_a_composite_shape_that_ends_in_the_middle_is_refused(tmp_path, path):
    shape = np.array(path, np.float32)
    one = roi(1, 0, 0, 5, 5, multi_coordinates=shape, shape_roi_size=len(shape))
    with pytest.raises(InputError, match="damaged"):
        read_rois(saved(tmp_path / "a.zip", one), SHAPE)


def test_a_canvas_larger_than_the_bound_is_refused(tmp_path):
    with pytest.raises(InputError, match="asks for labels of the shape"):
        read_rois(saved(tmp_path / "a.zip", square()), (2**16, 2**16))
