"""GeoJSON: what QuPath writes is read, and what is written is what QuPath reads."""

from __future__ import annotations

import json
import uuid

import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.formats import json_file
from napari_unet.formats.annotations import Annotations
from napari_unet.formats.geojson import read_geojson, write_geojson

SHAPE = (12, 14)
SQUARE = [[2, 3], [6, 3], [6, 8], [2, 8], [2, 3]]
HOLE = [[3, 4], [5, 4], [5, 6], [3, 6], [3, 4]]


def feature(*rings, kind="Polygon", plane=None, **properties):
    coordinates = list(rings) if kind == "Polygon" else [[ring] for ring in rings]
    geometry = {"type": kind, "coordinates": coordinates}
    if plane:
        geometry["plane"] = plane
    return {"type": "Feature", "id": "x-1", "geometry": geometry, "properties": properties}


def read(tmp_path, values, shape=SHAPE, axes=None):
    (tmp_path / "a.geojson").write_text(json.dumps(values))
    return read_geojson(tmp_path / "a.geojson", shape, axes)


def test_a_polygon_with_a_hole(tmp_path):
    found = read(tmp_path, [feature(SQUARE, HOLE)])
    expected = np.zeros(SHAPE, int)
    expected[3:8, 2:6], expected[4:6, 3:5] = 1, 0
    assert np.array_equal(found.labels, expected)
    assert found.ids == {1: "x-1"}


def test_parts_of_a_multipolygon_are_one_object(tmp_path):
    far = [[8, 1], [10, 1], [10, 3], [8, 3], [8, 1]]
    one = feature(SQUARE, far, kind="MultiPolygon")
    found = read(tmp_path, {"type": "FeatureCollection", "features": [one]})
    assert found.labels[4, 4] == found.labels[1, 9] == 1


def test_classification_is_the_class_and_a_whole_name_the_number(tmp_path):
    one = feature(SQUARE, name="17", classification={"name": "Tumor", "color": [200, 0, 0]})
    found = read(tmp_path, one)
    assert found.labels.max() == 17
    assert found.classes == {17: "Tumor"}


def test_the_class_ignore_of_qupath_is_not_checked(tmp_path):
    one = feature(SQUARE, HOLE, classification={"name": "Ignore*"})
    found = read(tmp_path, [one])
    assert not found.labels.any()
    assert np.count_nonzero(~found.checked) == 4 * 5 - 4


def test_points_are_left_out_and_said(tmp_path):
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}}
    found = read(tmp_path, [feature(SQUARE), point])
    assert found.notes == ("1 of 2 objects are no areas and were left out.",)


@pytest.mark.parametrize(
    ("axes", "plane", "at"),
    [("TZYX", {"c": -1, "z": 2, "t": 1}, (1, 2)), ("ZTYX", {"z": 1, "t": 2}, (1, 2))],
)
def test_the_plane_is_found_by_z_and_t(tmp_path, axes, plane, at):
    found = read(tmp_path, [feature(SQUARE, plane=plane)], (2, 3, *SHAPE), axes)
    assert found.labels[at].any()
    assert np.count_nonzero(found.labels.any(axis=(2, 3))) == 1
    with pytest.raises(InputError, match="the image that belongs to it"):
        read(tmp_path, [feature(SQUARE, plane={"z": 7})], (2, 3, *SHAPE), axes)


def test_what_is_written_is_a_collection_of_closed_rings_with_unique_ids(tmp_path):
    labels = np.zeros((2, *SHAPE), np.int32)
    labels[0, 3:8, 2:6], labels[0, 4:6, 3:5], labels[1, 1, 1] = 4, 0, 9
    given = Annotations(labels, "ZYX", classes={4: "Tumor"}, ids={9: "my own"})
    write_geojson(tmp_path / "a.geojson", given)
    values = json.loads((tmp_path / "a.geojson").read_text())
    one, other = values["features"]
    assert one["properties"]["classification"] == {"name": "Tumor"}
    assert one["properties"]["objectType"] == "annotation"
    assert [ring[0] == ring[-1] for ring in one["geometry"]["coordinates"]] == [True, True]
    assert other["geometry"]["plane"] == {"c": -1, "z": 1, "t": 0}
    assert uuid.UUID(one["id"])
    assert other["id"] == "my own"
    before = (tmp_path / "a.geojson").read_bytes()
    write_geojson(tmp_path / "a.geojson", given)
    assert (tmp_path / "a.geojson").read_bytes() == before  # identifiers too


def test_an_object_in_several_planes_has_an_identifier_for_each(tmp_path):
    labels = np.zeros((3, *SHAPE), np.int32)
    labels[:, 2:4, 2:4] = 5
    write_geojson(tmp_path / "a.geojson", Annotations(labels, "ZYX", ids={5: "mine"}))
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert features[0]["id"] == "mine"
    assert len({one["id"] for one in features}) == 3


def test_more_axes_than_qupath_has_are_refused(tmp_path):
    labels = np.ones((2, 2, *SHAPE), np.int32)
    with pytest.raises(InputError, match="one axis beside time"):
        write_geojson(tmp_path / "a.geojson", Annotations(labels, "QZYX"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("text", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ('{"type": "Topology"}', "has no features"),
        ("[1, 2]", "has no features"),
        ('[{"type": "Feature"}]', "no GeoJSON that QuPath would write"),
        (json.dumps([feature([["a", "b"], [1, 2], [3, 4]])]), "no GeoJSON that QuPath would"),
        (json.dumps([feature([[1e300, 0], [1, 2], [3, 4]])]), "far out of any image"),
        (json.dumps([feature([[0, 0], [1, 2], [3, 4]])]).replace("[0, 0]", "[NaN, 0]"), "far out"),
        (json.dumps([feature(3)]), "no GeoJSON that QuPath would write"),
    ],
)
def test_what_is_no_geojson_is_refused(tmp_path, content, sentence):
    (tmp_path / "a.geojson").write_text(content)
    with pytest.raises(InputError, match=sentence) as caught:
        read_geojson(tmp_path / "a.geojson", SHAPE)
    assert "\n" not in str(caught.value)


def test_a_file_larger_than_the_bound_is_not_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(json_file, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="split it"):
        read(tmp_path, [feature(SQUARE)])
