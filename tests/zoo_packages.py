"""Packages as the zoo has them, made without any of our own code."""

import hashlib
import io
import warnings
import zipfile
from functools import cache

import numpy as np
import pytest
import torch
import yaml
from torch import nn


class Blobs(nn.Module):
    """Bright blobs on dark ground, by a Laplacian: foreground and boundary, or one of them."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels
        self.smooth = nn.Conv2d(1, 1, 5, padding=2, bias=False)
        nn.init.constant_(self.smooth.weight, 1 / 25)

    def forward(self, image):
        inside = torch.sigmoid(4 * (self.smooth(image) - 0.5))
        if self.channels == 1:
            return inside
        edge = 4 * inside * (1 - inside)
        return torch.cat([inside, edge], dim=1)


def image(seed=0, side=64):
    """Four bright squares, as a camera gives them."""
    rng = np.random.default_rng(seed)
    plane = rng.normal(400, 10, (side, side))
    for y, x in ((8, 8), (8, 40), (40, 8), (40, 40)):
        plane[y : y + 14, x : x + 14] += 900
    return plane.astype(np.float32)


def torchscript(network):
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the zoo is full of it all the same
        torch.jit.save(torch.jit.script(network), out)
    return out.getvalue()


def onnx_graph():
    """sigmoid(4 (x - 0.5)), built by hand."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    size = [None, 1, None, None]
    numbers = [("half", -0.5), ("four", 4.0)]
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["raw", "half"], ["moved"]),
            helper.make_node("Mul", ["moved", "four"], ["steep"]),
            helper.make_node("Sigmoid", ["steep"], ["probability"]),
        ],
        "blobs",
        [helper.make_tensor_value_info("raw", TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, size)],
        [numpy_helper.from_array(np.float32(value), name) for name, value in numbers],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model.SerializeToString()


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def described(files, kind="torchscript", version="0.5.3", *, processing=None, **more):
    """What bioimageio.yaml says; `more` replaces parts of it."""
    weights = next(name for name in files if name.startswith("weights"))

    def file(name):
        return {"source": name, "sha256": hashlib.sha256(files[name]).hexdigest()}

    space = {"type": "space", "size": {"min": 64, "step": 16}}
    channels = np.load(io.BytesIO(files["out.npy"])).shape[1]
    if processing is None:
        kwargs = {"axes": ["channel", "y", "x"]}
        processing = [{"id": "zero_mean_unit_variance", "kwargs": kwargs}]
    axes_in = [{"type": "batch"}, {"type": "channel", "channel_names": ["raw"]}]
    axes_out = [
        {"type": "batch"},
        {"type": "channel", "channel_names": [f"channel{n}" for n in range(channels)]},
    ]
    size = [{"tensor_id": "raw", "axis_id": name} for name in "yx"]
    values = {
        "format_version": version,
        "type": "model",
        "name": "Friendly Blobs",
        "description": "Finds blobs.",
        "authors": [{"name": "A. Stranger"}],
        "license": "CC-BY-4.0",
        "inputs": [
            {
                "id": "raw",
                "axes": [*axes_in, {**space, "id": "y"}, {**space, "id": "x"}],
                "test_tensor": file("in.npy"),
                "preprocessing": processing,
            }
        ],
        "outputs": [
            {
                "id": "probability",
                "axes": [
                    *axes_out,
                    {"type": "space", "id": "y", "size": size[0], "halo": 8},
                    {"type": "space", "id": "x", "size": size[1], "halo": 8},
                ],
                "test_tensor": file("out.npy"),
            }
        ],
        "weights": {kind: file(weights)},
    }
    return values | more


def described_in_0_4(files):
    """The same in the older format."""
    return {
        "format_version": "0.4.10",
        "type": "model",
        "name": "Friendly Blobs",
        "description": "Finds blobs.",
        "authors": [{"name": "A. Stranger"}],
        "test_inputs": ["in.npy"],
        "test_outputs": ["out.npy"],
        "inputs": [
            {
                "name": "raw",
                "axes": "bcyx",
                "data_type": "float32",
                "shape": {"min": [1, 1, 64, 64], "step": [0, 0, 16, 16]},
                "preprocessing": [
                    {
                        "name": "zero_mean_unit_variance",
                        "kwargs": {"mode": "per_sample", "axes": "cyx"},
                    }
                ],
            }
        ],
        "outputs": [{"name": "probability", "axes": "bcyx", "halo": [0, 0, 8, 8]}],
        "weights": {"torchscript": {"source": "weights.pt"}},
    }


def prepared(plane):
    """Mean 0 and standard deviation 1, as the description says."""
    return ((plane - plane.mean()) / (plane.std() + 1e-6)).astype(np.float32)[None, None]


def files_of(channels=2):
    """Weights and test arrays, of a network that torch runs; made once."""
    return dict(_files_of(channels))


@cache
def _files_of(channels):
    network = Blobs(channels).eval()
    with torch.no_grad():
        answer = network(torch.from_numpy(prepared(image()))).numpy()
    content = torchscript(network)
    return {"weights.pt": content, "in.npy": npy(image()[None, None]), "out.npy": npy(answer)}


def write(path, files, values, folder=""):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{folder}bioimageio.yaml", yaml.safe_dump(values))
        for name, content in files.items():
            archive.writestr(f"{folder}{name}", content)
    return path
