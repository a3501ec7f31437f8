"""Eight bits: close to float32, tiled exactly, never chosen unasked, or refused in a sentence."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from napari_unet import cli
from napari_unet.core import drawn, int8, load_model
from napari_unet.core.config import ModelConfig
from napari_unet.core.device import choose_precision
from napari_unet.core.errors import InputError
from napari_unet.core.model_file import Model
from napari_unet.core.predict import predict_plane

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    return load_model("nuclei-fluorescence")


@pytest.fixture(scope="module")
def image():
    return drawn.nuclei((160, 224), seed=9)[0][None]


@pytest.mark.slow
def test_probabilities_are_those_of_float32_but_for_a_little(model, image):
    exact = predict_plane(image, model, device="cpu", precision="float32")
    small = predict_plane(image, model, device="cpu", precision="int8")
    assert small.dtype == np.float32 and small.shape == exact.shape
    assert not np.array_equal(small, exact)
    assert np.abs(small - exact).mean() < 0.01
    assert ((small[0] > 0.5) != (exact[0] > 0.5)).mean() < 0.005


@pytest.mark.slow
def test_tiles_are_what_the_whole_image_is(model, image):
    whole = predict_plane(image, model, device="cpu", precision="int8")
    tiled = predict_plane(image, model, device="cpu", precision="int8", tile=96)
    np.testing.assert_allclose(tiled, whole, atol=1e-6)


@pytest.mark.slow
def test_a_model_that_loses_too_much_is_refused(model, monkeypatch, image):
    monkeypatch.setattr(int8, "MOST_CHANGED", -1.0)
    monkeypatch.setattr(int8, "_ready", {})
    with pytest.raises(InputError, match="In 8 bits this model finds other pixels"):
        predict_plane(image, model, device="cpu", precision="int8")


def test_it_is_never_chosen_by_itself():
    assert choose_precision("auto", CPU) in ("float32", "bfloat16")
    assert choose_precision("int8", CPU) == "int8"


def test_a_graphics_card_is_refused():
    with pytest.raises(InputError, match="int8 is for the processor; choose the device cpu"):
        choose_precision("int8", torch.device("cuda"))


def test_valid_networks_are_refused():
    valid = Model.fresh(ModelConfig(architecture="unet-valid", width=2, depth=1))
    with pytest.raises(InputError, match="for same-padded networks of our own"):
        predict_plane(np.zeros((1, 40, 40), np.uint8), valid, device="cpu", precision="int8")


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_what_is_missing_is_said_in_one_sentence(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    small = Model.fresh(ModelConfig(width=2, depth=1))
    with pytest.raises(InputError, match=r"pip install \"napari-unet-interactive\[export\]\""):
        predict_plane(np.zeros((1, 40, 40), np.uint8), small, device="cpu", precision="int8")


def test_it_is_offered_for_segmenting_alone(capsys):
    words = ["finetune", "nuclei-fluorescence", ".", "-o", "x", "--precision", "int8"]
    assert cli.main(words) == 2
    assert "invalid choice: 'int8'" in capsys.readouterr().err
