"""The size of a pixel, as TIFF files tell it."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_unet.formats.spacing import read_spacing

STACK = np.zeros((3, 5, 6), np.uint8)


@pytest.mark.parametrize(
    ("unit", "micrometres"), [("micron", 1), (r"\u00B5m", 1), ("um", 1), ("nm", 1e-3), ("mm", 1e3)]
)
def test_imagej_s_unit_and_resolution(tmp_path, unit, micrometres):
    metadata = {"axes": "ZYX", "unit": unit, "spacing": 2.0}
    tifffile.imwrite(
        tmp_path / "a.tif", STACK, imagej=True, resolution=(4.0, 2.0), metadata=metadata
    )
    found = read_spacing(tmp_path / "a.tif")
    wanted = {"Y": 0.5 * micrometres, "X": 0.25 * micrometres, "Z": 2 * micrometres}
    assert found == pytest.approx(wanted)


def test_ome_s_physical_size(tmp_path):
    metadata = {
        "axes": "ZYX",
        "PhysicalSizeX": 250,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.5,
        "PhysicalSizeZ": 2,
        "PhysicalSizeZUnit": "µm",
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata=metadata)
    assert read_spacing(tmp_path / "a.ome.tif") == pytest.approx({"Z": 2, "Y": 0.5, "X": 0.25})


@pytest.mark.parametrize(
    "metadata", [{"unit": "pixel"}, {"unit": "furlong"}, {}, {"unit": "um", "spacing": -1}]
)
def test_what_is_not_told_is_not_known(tmp_path, metadata):
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(4, 4), metadata=metadata)
    assert read_spacing(tmp_path / "a.tif") is None


def test_a_resolution_of_nothing_is_not_known(tmp_path):
    options = {"imagej": True, "metadata": {"unit": "um"}}
    tifffile.imwrite(tmp_path / "a.tif", STACK, resolution=(0, 0), **options)
    assert read_spacing(tmp_path / "a.tif") is None


def test_pictures_do_not_tell_it(tmp_path):
    (tmp_path / "a.png").touch()
    assert read_spacing(tmp_path / "a.png") is None
