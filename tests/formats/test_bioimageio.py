"""BioImage.IO packages: what is in them, and that it fits together."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.tiling import network_geometry
from napari_unet.formats.bioimageio import Contents, write_package

CARD = ModelCard("mine", "My nuclei / 2", "Finds nuclei.", licence="CC0", scores={"AP 0.50": 0.871})
CONTENTS = Contents(
    model=b"model",
    state_dict=b"state",
    torchscript=b"script",
    onnx=b"onnx",
    source="class ProbabilityUNet: ...",
    torch_version="2.13.0",
    onnx_opset=18,
    test_input=np.zeros((1, 1, 64, 64), np.float32),
    test_output=np.zeros((1, 2, 64, 64), np.float32),
    cover=b"png",
)


def packed(tmp_path, config=None, contents=CONTENTS):
    path = tmp_path / "p.zip"
    config = config or ModelConfig()
    write_package(path, config, CARD, contents, authors=["A B"], licence="CC-BY-4.0")
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(files["bioimageio.yaml"]), files


def sources(values):
    if isinstance(values, dict):
        if "sha256" in values:
            yield values["source"], values["sha256"]
        for value in values.values():
            yield from sources(value)
    elif isinstance(values, list):
        for value in values:
            yield from sources(value)


def test_every_file_that_is_named_is_there_with_its_checksum(tmp_path):
    values, files = packed(tmp_path)
    named = dict(sources(values))
    assert set(named) | {values["documentation"], *values["covers"], "bioimageio.yaml"} == set(
        files
    )
    for name, checksum in named.items():
        assert hashlib.sha256(files[name]).hexdigest() == checksum


def test_it_says_who_made_it_under_which_licence_and_what_it_does(tmp_path):
    values, files = packed(tmp_path)
    assert values["authors"] == [{"name": "A B"}]
    assert values["license"] == "CC-BY-4.0"
    assert values["name"] == "My nuclei   2"  # a slash may not be in it
    readme = files["README.md"].decode()
    assert "# Validation" in readme
    assert "AP 0.50 0.871" in readme
    assert "one-pixel gaps" in readme


def test_normalisation_is_ours(tmp_path):
    scale, clip = packed(tmp_path, ModelConfig(percentiles=(2.0, 99.0)))[0]["inputs"][0][
        "preprocessing"
    ]
    assert scale["kwargs"] == {"axes": ["y", "x"], "min_percentile": 2.0, "max_percentile": 99.0}
    assert clip["kwargs"] == {"min": -1.0, "max": 5.0}


@pytest.mark.parametrize("architecture", ["unet", "unet-valid"])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_sizes_are_those_that_the_network_takes(tmp_path, architecture, depth):
    config = ModelConfig(architecture=architecture, depth=depth)
    geometry = network_geometry(config)
    values, _ = packed(tmp_path, config)
    size = values["inputs"][0]["axes"][2]["size"]
    for side in (size["min"], size["min"] + size["step"], size["min"] + 5 * size["step"]):
        assert geometry.patch_side(side) == side
    out = values["outputs"][0]["axes"][2]
    assert size["min"] > 2 * geometry.halo
    if geometry.valid:
        assert out["size"]["offset"] == -2 * geometry.halo
    else:
        assert out["halo"] == geometry.halo


def test_without_onnx_or_picture_the_rest_is_there(tmp_path):
    values, files = packed(tmp_path, contents=replace(CONTENTS, onnx=None, cover=None))
    assert set(values["weights"]) == {"pytorch_state_dict", "torchscript"}
    assert "covers" not in values
    assert not {"weights.onnx", "cover.png"} & set(files)


def test_test_tensors_hold_no_pickle(tmp_path):
    _, files = packed(tmp_path)
    for name in ("test_input.npy", "test_output.npy"):
        assert np.load(io.BytesIO(files[name]), allow_pickle=False).dtype == np.float32


def test_neighbouring_slices_are_named_as_channels(tmp_path):
    values, files = packed(tmp_path, ModelConfig(in_channels=6, slices=3))
    names = values["inputs"][0]["axes"][1]["channel_names"]
    assert names[:3] == ["channel0 slice -1", "channel0 slice +0", "channel0 slice +1"]
    assert names[5] == "channel1 slice +1"
    assert b"channels are 3 neighbouring slices" in files["README.md"]


def test_a_short_name_is_made_as_long_as_the_format_asks_for(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "CARD", ModelCard("ab"))
    assert packed(tmp_path)[0]["name"] == "U-Net ab"
