"""COCO: run lengths and polygons against pycocotools, several images, hostile files."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.formats.annotations import Annotations
from napari_unet.formats.coco import read_coco, write_coco
from napari_unet.formats.rle import (
    counts_to_mask,
    counts_to_text,
    mask_to_counts,
    text_to_counts,
)


def masks(count: int):
    rng = np.random.default_rng(0)
    for number in range(count):
        yield rng.random(rng.integers(1, 40, 2)) < (0, 0.02, 0.5, 0.98, 1)[number % 5]


def test_run_lengths_by_hand():
    mask = np.array([[0, 1, 1], [0, 0, 1]], bool)  # down the columns: 0 0 1 0 1 1
    assert mask_to_counts(mask) == [2, 1, 1, 2]
    assert mask_to_counts(~mask) == [0, 2, 1, 1, 2]
    assert counts_to_text([2, 1, 1, 2]) == "2111"  # the last is the difference to the second, 1
    assert counts_to_text([100]) == "T3"  # 100 is 3 times 32 and 4: 4 with more to follow, then 3


def test_run_lengths_come_back():
    for mask in masks(50):
        counts = mask_to_counts(mask)
        assert text_to_counts(counts_to_text(counts)) == counts
        assert np.array_equal(counts_to_mask(counts, mask.shape), mask)


def test_run_lengths_are_those_of_pycocotools():
    coco = pytest.importorskip("pycocotools.mask")
    for mask in masks(50):
        theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
        assert counts_to_text(mask_to_counts(mask)) == theirs.decode()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # their own
def test_pycocotools_sees_the_same_objects(tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    labels = np.random.default_rng(0).integers(0, 4, (30, 40)).astype(np.int32)
    labels[5:15, 5:15], labels[20:25, 20:30] = 7, 8
    labels[8:10, 8:10] = 0
    write_coco(tmp_path / "a.json", Annotations(labels), "a.tif")
    values = coco.COCO()
    values.dataset = json.loads((tmp_path / "a.json").read_text())
    values.createIndex()
    for one in values.anns.values():
        theirs = values.annToMask(one).astype(bool)
        assert np.array_equal(theirs, labels == one["label"])
        assert one["area"] == theirs.sum()
        left, top, width, height = one["bbox"]
        rows, columns = np.nonzero(theirs)
        assert (left, top) == (columns.min(), rows.min())
        assert (width, height) == (np.ptp(columns) + 1, np.ptp(rows) + 1)


def data_set(*annotations, images=1):
    return {
        "images": [
            {"id": 10 + n, "file_name": f"folder/{'ab'[n]}.png", "width": 8, "height": 6}
            for n in range(images)
        ],
        "annotations": list(annotations),
        "categories": [{"id": 3, "name": "nucleus"}],
    }


def annotation(number=1, **values):
    square = [[1, 1, 4, 1, 4, 3, 1, 3]]
    usual = {"id": number, "image_id": 10, "category_id": 3, "segmentation": square, "iscrowd": 0}
    return usual | values


def read(tmp_path, values, **options):
    (tmp_path / "a.json").write_text(json.dumps(values))
    return read_coco(tmp_path / "a.json", **options)


def test_polygons_and_run_lengths_of_both_kinds_are_read(tmp_path):
    # rows 1 and 2 of column 0
    listed = {"size": [6, 8], "counts": [1, 2, 45]}
    text = {"size": [6, 8], "counts": counts_to_text([46, 2])}
    found = read(
        tmp_path,
        data_set(
            annotation(1), annotation(2, segmentation=listed), annotation(5, segmentation=text)
        ),
    )
    expected = np.zeros((6, 8), int)
    expected[1:3, 1:4], expected[1:3, 0], expected[4:6, 7] = 1, 2, 5
    assert np.array_equal(found.labels, expected)
    assert found.classes == {1: "nucleus", 2: "nucleus", 5: "nucleus"}


def test_run_lengths_of_many_objects_take_no_more_room_than_the_objects(tmp_path):
    size = 1000
    shown = [
        {"size": [size, size], "counts": [size * column, 3, size * (size - column) - 3]}
        for column in range(300)
    ]
    values = data_set(*[annotation(n + 1, segmentation=one) for n, one in enumerate(shown)])
    values["images"][0] |= {"width": size, "height": size}
    tracemalloc.start()
    labels = read(tmp_path, values).labels
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.count_nonzero(labels) == 900
    assert peak < 60 * size**2  # a mask of the plane for each would take 300


def test_objects_as_large_as_the_image_are_kept_in_memory_one_at_a_time(tmp_path):
    size = 1000
    full = {"size": [size, size], "counts": [0, size**2]}
    values = data_set(*[annotation(n + 1, segmentation=full) for n in range(60)])
    values["images"][0] |= {"width": size, "height": size}
    tracemalloc.start()
    assert (read(tmp_path, values).labels == 60).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 * size**2  # all masks at once would take 60 beside the rest


def test_a_crowd_is_not_checked(tmp_path):
    crowd = {"size": [6, 8], "counts": [1, 2, 45]}
    found = read(tmp_path, data_set(annotation(), annotation(2, segmentation=crowd, iscrowd=1)))
    assert np.argwhere(~found.checked).tolist() == [[1, 0], [2, 0]]
    assert found.labels.max() == 1


def test_of_several_images_the_named_one_is_read(tmp_path):
    values = data_set(annotation(1), annotation(2, image_id=11), images=2)
    assert np.unique(read(tmp_path, values, image="b.tif").labels).tolist() == [0, 2]
    with pytest.raises(InputError, match="is of 2 images; give the one that is meant"):
        read(tmp_path, values)
    with pytest.raises(InputError, match="is of 0 called c images"):
        read(tmp_path, values, image="c.tif")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"images": []}, "is no COCO file"),
        ({"images": [], "annotations": []}, "is of no images"),
        ({"images": [{}], "annotations": []}, "is no COCO file"),
        ({"images": [{"id": 1, "width": 1e6, "height": 1e6}], "annotations": []}, "asks for"),
        ({"images": [{"id": 1, "width": -1, "height": 2}], "annotations": []}, "asks for"),
        (data_set(annotation(segmentation={"size": [6, 8], "counts": [1, 2]})), "do not make up"),
        (data_set(annotation(segmentation={"size": [6, 8], "counts": [2**62] * 4})), "do not make"),
        (data_set(annotation(segmentation={"size": [6, 8], "counts": [-5, 53]})), "do not make"),
        (data_set(annotation(segmentation={"size": [6, 8], "counts": "o" * 99})), "not COCO's"),
        (data_set(annotation(segmentation={"size": [6, 8], "counts": "o"})), "in the middle"),
        (data_set(annotation(segmentation={"size": [60, 80], "counts": "0"})), "of the image|of"),
        (data_set(annotation(segmentation=[[1, 2, 3]])), "is no COCO file"),
        (data_set(annotation(segmentation=7)), "is no COCO file"),
        (data_set(annotation(segmentation={"size": [6, 8]})), "'counts' is missing"),
        (data_set(annotation(segmentation={"size": 6, "counts": "0"})), "is no COCO file"),
    ],
)
def test_what_is_no_coco_is_refused(tmp_path, values, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        read(tmp_path, values)
    assert "\n" not in str(caught.value)


def test_an_image_of_another_size_is_refused(tmp_path):
    with pytest.raises(InputError, match="the image that belongs to it"):
        read(tmp_path, data_set(annotation()), shape=(9, 9))
