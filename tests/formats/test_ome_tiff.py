"""Labels as OME-TIFF come back as they were, and a file of another shape is refused unread."""

import numpy as np
import pytest
import tifffile

from napari_unet.core.errors import InputError
from napari_unet.formats.ome_tiff import read_labels_of_shape, write_mask, write_ome_labels
from napari_unet.formats.spacing import read_spacing


@pytest.mark.parametrize("shape", [(9, 7), (1, 9, 7), (3, 9, 7), (2, 3, 9, 7), (2, 1, 3, 4, 9, 7)])
@pytest.mark.parametrize("highest", [40, 2**31 - 1])
def test_labels_come_back(tmp_path, shape, highest):
    labels = np.random.default_rng(0).integers(0, 30, shape).astype(np.int32)
    labels.flat[5] = highest
    path = tmp_path / "a.ome.tif"
    write_ome_labels(path, labels, "cells & \x07nuclei", (0.25, "µm"))
    back = read_labels_of_shape(path, shape)
    assert back.dtype == np.int32
    np.testing.assert_array_equal(back, labels)
    assert read_spacing(path) == {"Y": 0.25, "X": 0.25}


@pytest.mark.parametrize("shape", [(9, 7), (1, 9, 7), (2, 3, 9, 7), (2, 1, 3, 4, 9, 7), (5, 9, 3)])
def test_masks_come_back(tmp_path, shape):
    mask = np.random.default_rng(0).integers(0, 3, shape, np.uint8)
    write_mask(tmp_path / "a.tif", mask)
    np.testing.assert_array_equal(read_labels_of_shape(tmp_path / "a.tif", shape), mask != 0)


def test_a_file_of_another_shape_is_not_decoded(tmp_path, monkeypatch):
    path = tmp_path / "a.ome.tif"
    write_ome_labels(path, np.zeros((4000, 4000), np.int32), "large")

    def decode(*_, **__):
        raise AssertionError("it was decoded")

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", decode)
    with pytest.raises(InputError, match=r"covers \(4000, 4000\) pixels and its image \(9, 7\)"):
        read_labels_of_shape(path, (9, 7))


@pytest.mark.parametrize("content", [b"", b"II*\0", b"no image at all", b"II*\0\xff\xff\xff\xff"])
def test_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "a.ome.tif"
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_labels_of_shape(path, (9, 7))


def test_truncated_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "a.ome.tif"
    noise = np.random.default_rng(0).integers(0, 60_000, (200, 200)).astype(np.int32)
    write_ome_labels(path, noise, "cells")
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(InputError):
        read_labels_of_shape(path, (200, 200))
    with pytest.raises(InputError, match="no file"):
        read_labels_of_shape(tmp_path / "b.ome.tif", (9, 7))


def test_numbers_that_are_no_labels_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((9, 7), 2**32 - 1, np.uint32))
    with pytest.raises(InputError, match="no labels of its image"):
        read_labels_of_shape(path, (9, 7))
    tifffile.imwrite(path, np.full((9, 7), 0.5, np.float32))
    with pytest.raises(InputError, match="labels are whole numbers"):
        read_labels_of_shape(path, (9, 7))
