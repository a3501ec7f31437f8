"""Exported networks compute the same as ours, at sizes they have not seen."""

from __future__ import annotations

import io
import json
import sys
import types

import numpy as np
import pytest
import torch

from napari_unet.core import export
from napari_unet.core.architectures import OF_PLANES
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import ComputeError, InputError
from napari_unet.core.model_file import Model
from napari_unet.core.predict import predict_plane
from napari_unet.core.predict_volume import predict_volume
from napari_unet.core.tiling import network_geometries, network_geometry
from napari_unet.formats.bioimageio import network_arguments

KINDS = {
    "same-padded": ModelConfig(width=2, depth=2, compress=0.1),
    "valid": ModelConfig(architecture="unet-valid", width=2, depth=1),
    "classes": ModelConfig(
        in_channels=3, width=2, depth=1, classes=("background", "a", "b"), semantic=True
    ),
} | {
    name: ModelConfig(architecture=name, width=2, depth=2)
    for name in OF_PLANES
    if not name.startswith("unet-v") and name != "unet"
}
KINDS["volumes"] = ModelConfig(architecture="unet-3d", width=2, depth=2, anisotropy=2.0)


@pytest.fixture(params=KINDS)
def model(request):
    """With batch norm that is not the identity, as after training."""
    model = Model.fresh(KINDS[request.param])
    generator = torch.Generator().manual_seed(1)
    for module in model.network.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return model


def images(model):
    """Of three sizes, alone and two at a time."""
    rng = np.random.default_rng(0)
    *slow, geometry, _ = network_geometries(model.config)
    for count, about in ((1, 50), (1, 90), (2, 70)):
        sides = [one.patch_side(about // 4) for one in slow]
        about = about // 2 if slow else about
        sides += [geometry.patch_side(about), geometry.patch_side(about + 30)]
        yield rng.random((count, model.config.in_channels, *sides)).astype(np.float32)


def test_what_is_to_be_computed_is_what_segmenting_computes(model):
    image = next(images(model))
    found = export.probabilities(model, image)
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)
    as_it_is = np.array([[0.0, 1.0]] * model.config.in_channels)
    predict = predict_volume if model.config.is_volumetric else predict_plane
    ours = predict(image[0], model, precision="float32", ranges=as_it_is)
    halo = network_geometry(model.config).halo if "valid" in model.config.architecture else 0
    inside = np.s_[..., halo : ours.shape[-2] - halo, halo : ours.shape[-1] - halo]
    assert np.allclose(found[0], ours[inside], atol=export.MAX_ERROR)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # of loading it
def test_torchscript_gives_the_same_at_any_size(model):
    content = io.BytesIO(export.to_torchscript(model))
    extra = {"napari_unet.json": ""}
    again = torch.jit.load(content, _extra_files=extra)
    for image in images(model):
        found = again(torch.from_numpy(image)).detach().numpy()
        assert np.abs(found - export.probabilities(model, image)).max() < export.MAX_ERROR
    assert ModelConfig.from_json(json.loads(extra["napari_unet.json"])) == model.config


def test_the_source_and_the_state_dict_give_the_same_with_torch_alone(model, monkeypatch):
    module = types.ModuleType("network_of_a_package")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    space = module.__dict__
    source = export.architecture_source(model)
    assert "import napari_unet" not in source and "from napari_unet" not in source
    exec(compile(source, "network.py", "exec"), space)
    again = space["ProbabilityNetwork"](**network_arguments(model.config)).eval()
    again.load_state_dict(torch.load(io.BytesIO(export.to_state_dict(model)), weights_only=True))
    for image in images(model):
        found = again(torch.from_numpy(image)).detach().numpy()
        assert np.abs(found - export.probabilities(model, image)).max() < export.MAX_ERROR


@pytest.mark.slow  # torch's exporter takes ten seconds
def test_onnx_gives_the_same_at_any_size(model):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(export.to_onnx(model), providers=["CPUExecutionProvider"])
    for image in images(model):
        (found,) = session.run(["probability"], {"input": image})
        assert np.abs(found - export.probabilities(model, image)).max() < export.MAX_ERROR
    assert "napari_unet" in session.get_modelmeta().custom_metadata_map


def test_what_does_not_compute_the_same_is_not_written(monkeypatch, model):
    original = export._folded

    def spoilt(model):
        network = original(model)
        network.network.head.bias.data[0] += 0.01
        return network

    monkeypatch.setattr(export, "_folded", spoilt)
    with pytest.raises(ComputeError, match="differs from the model by"):
        export.to_torchscript(model)


def test_without_onnx_a_sentence_says_how_to_get_it(monkeypatch, model):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install .*\[export\]"):
        export.to_onnx(model)
