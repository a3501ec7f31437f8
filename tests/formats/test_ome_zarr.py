"""OME-Zarr in and labels out."""

import json
import os

import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.formats import ome_zarr
from napari_unet.formats.ome_zarr import is_ome_zarr, labels_of, open_ome_zarr, plate_images
from napari_unet.formats.ome_zarr_labels import DONE, LabelsWriter

zarr = pytest.importorskip("zarr")

from zarr_images import ramp, write_image, write_plate  # noqa: E402  # needs zarr

VERSIONS = pytest.mark.parametrize("version", ["0.4", "0.5"])


@VERSIONS
def test_an_image_is_read_where_it_is_sliced(tmp_path, version, monkeypatch):
    image = ramp(2, 3, 100, 140)
    path = write_image(tmp_path / "x.ome.zarr", image, "czyx", version, scale=[1, 2, 0.5, 0.25])
    found = open_ome_zarr(path)
    assert is_ome_zarr(path) and found.axes == "CZYX" and found.version.startswith(version)
    assert [level.shape for level in found.levels] == [(2, 3, 100, 140), (2, 3, 50, 70)]
    assert found.spacing == {"Z": 2, "Y": 0.5, "X": 0.25} and found.scales[1] == (1, 2, 1, 0.5)
    assert np.array_equal(found.data[1, 2, 10:20], image[1, 2, 10:20])


@VERSIONS
def test_labels_are_read_back_by_zarr_alone(tmp_path, version):
    path = write_image(tmp_path / "x.ome.zarr", ramp(2, 3, 700, 1300), "czyx", version,
                       scale=[1, 2, 0.5, 0.25])  # fmt: skip
    labels = np.random.default_rng(0).integers(0, 9, (3, 700, 1300))
    writer = LabelsWriter(path / "labels" / "cells", open_ome_zarr(path), key="k")
    for z, plane in enumerate(labels):
        writer.write((z,), plane, 8)
    group = zarr.open_group(str(path / "labels" / "cells"), mode="r")
    assert group.metadata.zarr_format == (2 if version == "0.4" else 3)
    assert np.array_equal(group["0"][...], labels)
    assert np.array_equal(group["1"][...], labels[:, ::2, ::2])
    assert group["2"].shape == (3, 175, 325) and "3" not in group
    values = dict(group.attrs) if version == "0.4" else group.attrs["ome"]
    assert values["image-label"]["source"] == {"image": "../../"}
    (multiscale,) = values["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == ["z", "y", "x"]
    assert multiscale["axes"][1] == {"name": "y", "type": "space", "unit": "micrometer"}
    scales = [one["coordinateTransformations"][0]["scale"] for one in multiscale["datasets"]]
    assert scales == [[2, 0.5, 0.25], [2, 1, 0.5], [2, 2, 1]]
    assert labels_of(path) == [path / "labels" / "cells"]
    again = open_ome_zarr(labels_of(path)[0])
    assert again.axes == "ZYX" and again.spacing == {"Z": 2, "Y": 0.5, "X": 0.25}


@VERSIONS
def test_labels_are_there_while_they_are_written(tmp_path, version):
    image = open_ome_zarr(write_image(tmp_path / "x.zarr", ramp(3, 60, 70), "zyx", version))
    writer = LabelsWriter(tmp_path / "l.zarr", image)
    seen = open_ome_zarr(tmp_path / "l.zarr")
    assert not seen.data[...].any()
    writer.write((1,), np.full((60, 70), 5), 1)
    assert (seen.data[1] == 5).all() and not seen.data[0].any()


def test_what_is_done_stays_until_what_it_depends_on_changes(tmp_path):
    image = open_ome_zarr(write_image(tmp_path / "x.zarr", ramp(3, 60, 70), "zyx"))
    target = tmp_path / "l.zarr"
    LabelsWriter(target, image, key="a").write((1,), np.ones((60, 70), int), 4)
    with (target / DONE).open("a") as file:
        file.write('\n{"key": "a", "pla')  # a crash
    again = LabelsWriter(target, image, key="a")
    assert again.is_done((1,)) and not again.is_done((0,)) and again.objects() == 4
    assert (open_ome_zarr(target).data[1] == 1).all()
    for how in ({"key": "b"}, {"key": "b", "again": True}):
        assert not LabelsWriter(target, image, **how).is_done((1,))
        assert not open_ome_zarr(target).data[1].any()


def test_what_was_not_made_here_is_not_replaced(tmp_path):
    path = write_image(tmp_path / "x.zarr", ramp(60, 70), "yx")
    with pytest.raises(InputError, match="is there already"):
        LabelsWriter(path, open_ome_zarr(path))
    assert open_ome_zarr(path).data.shape == (60, 70)


@VERSIONS
def test_axes_in_another_order(tmp_path, version):
    image = open_ome_zarr(write_image(tmp_path / "x.zarr", ramp(60, 3, 70), "xcy", version))
    writer = LabelsWriter(tmp_path / "l.zarr", image)
    plane = ramp(70, 60) % 7
    writer.write((), plane, 6)
    assert np.array_equal(open_ome_zarr(tmp_path / "l.zarr").data[...], plane.T)


@VERSIONS
def test_images_of_a_plate(tmp_path, version):
    images = {name: ramp(8, 9) for name in ("A/1/0", "A/1/1", "B/2/0")}
    plate = write_plate(tmp_path / "p.zarr", images, version)
    assert plate_images(plate) == [plate / name for name in images]
    assert plate_images(plate / "A/1/0") == []


def test_a_file_of_bioformats2raw(tmp_path):
    zarr.create_group(str(tmp_path / "x.zarr"), zarr_format=2).attrs["bioformats2raw.layout"] = 3
    write_image(tmp_path / "x.zarr" / "0", ramp(8, 9), "yx")
    assert open_ome_zarr(tmp_path / "x.zarr").data.shape == (8, 9)


def edited(path, name, change):
    values = json.loads((path / name).read_text())
    change(values)
    (path / name).write_text(json.dumps(values))


def pickled(values):
    values["filters"] = [{"id": "pickle"}]


def pickled_beside_a_bait(values):
    values["codecs"] = [{"name": "bytes"}]  # of the other format: zarr passes over it
    values["compressor"] = {"id": "pickle"}


def pickled_under_another_name(values):
    values["filters"] = [{"name": "zlib", "id": "pickle"}]  # zarr goes by the id


def pickled_within(values):
    inner = [{"name": "bytes"}, {"name": "numcodecs.pickle", "configuration": {}}]
    values["codecs"] = [{"name": "sharding_indexed", "configuration": {"codecs": inner}}]


def huge_chunks(values):
    values["chunks"] = [2**20, 2**20]


def outside(values):
    values["multiscales"][0]["datasets"][0]["path"] = "../other/0"


def other_axes(values):
    values["multiscales"][0]["axes"] = [{"name": "y"}, {"name": "y"}]


@pytest.mark.parametrize(
    ("version", "name", "change", "sentence"),
    [
        ("0.4", "0/.zarray", pickled, "packed by 'pickle'"),
        ("0.4", "0/.zarray", pickled_beside_a_bait, "packed by 'pickle'"),
        ("0.4", "0/.zarray", pickled_under_another_name, "packed by 'pickle'"),
        ("0.4", "0/.zarray", lambda v: v.update(filters="pickle"), "packed by 'pickle'"),
        ("0.5", "0/zarr.json", lambda v: v.update(codecs=None), "packed by 'None'"),
        ("0.5", "0/zarr.json", pickled_within, "packed by 'numcodecs.pickle'"),
        ("0.4", "0/.zarray", lambda v: v.update(compressor={"id": "bz2"}), "packed by 'bz2'"),
        ("0.4", "0/.zarray", lambda v: v.update(compressor={"id": "lzma"}), "packed by 'lzma'"),
        ("0.4", "0/.zarray", huge_chunks, "chunks of more than 2 GB"),
        ("0.4", ".zattrs", outside, "lies outside of it"),
        ("0.4", ".zattrs", other_axes, "not those of an image"),
        ("0.4", ".zattrs", lambda v: v.update(multiscales=[{}]), "is damaged"),
        ("0.4", ".zattrs", lambda v: v["multiscales"][0].update(version="0.3"), "OME-Zarr 0.3"),
        ("0.4", ".zattrs", lambda v: v.clear(), "it has no multiscales"),
        ("0.4", "0/.zarray", lambda v: v.update(shape=["x"]), "cannot be read"),
    ],
)
def test_a_strangers_file_is_refused_with_the_reason(tmp_path, version, name, change, sentence):
    write_image(tmp_path / "other", ramp(8, 9), "yx", version)
    path = write_image(tmp_path / "x.zarr", ramp(8, 9), "yx", version)
    edited(path, name, change)
    with pytest.raises(InputError, match=sentence):
        open_ome_zarr(path)


def test_metadata_that_are_too_large_are_not_parsed(tmp_path, monkeypatch):
    path = write_image(tmp_path / "x.zarr", ramp(8, 9), "yx")
    monkeypatch.setattr(ome_zarr, "MOST_METADATA", 100)
    with pytest.raises(InputError, match="is larger than"):
        open_ome_zarr(path)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("name", ["labels", "labels/cells"])
def test_labels_are_not_written_through_a_link_out_of_the_image(tmp_path, name):
    path = write_image(tmp_path / "x.zarr", ramp(8, 9), "yx")
    outside = tmp_path / "outside"
    (outside / "cells").mkdir(parents=True)
    (outside / DONE).touch()
    (outside / "cells" / DONE).touch()
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).symlink_to(outside)
    with pytest.raises(InputError, match="leads out of"):
        LabelsWriter(path / "labels" / "cells", open_ome_zarr(path))
    assert {p.name for p in outside.rglob("*")} == {"cells", DONE}


def test_without_zarr_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    path = write_image(tmp_path / "x.zarr", ramp(8, 9), "yx")
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)
    with pytest.raises(InputError, match=r"napari-unet-interactive\[zarr\]"):
        open_ome_zarr(path)
