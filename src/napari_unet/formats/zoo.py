"""Read a BioImage.IO package that other programs have made: https://bioimage.io, 0.4 and 0.5.

What is taken is a graph, TorchScript or ONNX, with one image in and one out, in planes. Nothing in
the package is unpickled or run here, and none of it is unpacked to the disk.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any  # YAML values: their types are checked where they are read

import numpy as np
import yaml
from numpy.typing import NDArray

from napari_unet.core.architectures import ARCHITECTURES
from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.errors import InputError, NapariUnetError
from napari_unet.core.graph_config import GraphConfig
from napari_unet.formats.cellpose_seg import npy_header
from napari_unet.formats.safe_zip import MAX_TOTAL_BYTES, entry_names, read_zip

__all__ = ["Package", "is_package", "read_package"]

DESCRIPTIONS = ("bioimageio.yaml", "rdf.yaml")
OUR_MODEL = "model.safetensors"
MAX_DESCRIPTION = 2**22  # bytes (chosen: a hundred times the largest of the zoo)
KINDS = {"torchscript": "torchscript", "onnx": "onnx"}
BOUNDARY = re.compile(r"bound|border|edge|contour|membrane", re.IGNORECASE)
SHAPE = "bcyx"
DEEPEST = 7


class _NotTakenError(InputError):
    """Why a package cannot be used; completed with its name."""


@dataclass(frozen=True, eq=False)
class Package:
    """What a package holds.

    Attributes
    ----------
    config, card : ModelConfig, ModelCard
        How its graph is used, and what it says of itself.
    graph : bytes
        The file of weights; empty where `ours` is not.
    test_input, test_output : ndarray, shape (1, C, Y, X)
        What the graph is to answer an image with, after its activation.
    ours : bytes
        A model file of ours, where we have made the package.
    """

    config: ModelConfig
    card: ModelCard
    graph: bytes
    test_input: NDArray[Any]
    test_output: NDArray[np.float32]
    ours: bytes = b""


def is_package(path: Path) -> bool:
    """Whether a zip file describes itself as a package of BioImage.IO."""
    try:
        return any(Path(name).name in DESCRIPTIONS for name in entry_names(path))
    except InputError:
        return False


def read_package(path: Path) -> Package:
    """Read a package.

    Raises
    ------
    InputError
        If it is damaged, or holds no network that can be used here, with the reason why.
    """
    files = _Files(path)
    try:
        return _read(files)
    except _NotTakenError as error:
        raise InputError(f"{path.name} cannot be used in Segment: {error}") from error
    except NapariUnetError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise InputError(
            f"{path.name} is damaged: its description does not say what it should ({error!r})."
        ) from error


class _Files:
    """The files of a package by the names that its description calls them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        names = entry_names(path)
        found = [name for name in names if Path(name).name in DESCRIPTIONS]
        if not found:
            raise InputError(f"{path.name} is no package of BioImage.IO: nothing describes it.")
        name = min(found, key=len)
        self._folder = name[: -len(Path(name).name)]
        text = self._content(name, MAX_DESCRIPTION)
        try:
            values = _described(text)
        except InputError:
            raise
        except (yaml.YAMLError, RecursionError, ValueError) as error:  # a date that is none
            raise InputError(f"{path.name} is damaged: its description is no YAML.") from error
        if not isinstance(values, dict):
            raise InputError(f"{path.name} is damaged: its description is empty.")
        self.values: dict[str, Any] = values

    def read(self, file: Any) -> bytes:
        """Return a file, named by itself or described with its checksum."""
        source = file["source"] if isinstance(file, dict) else file
        if not isinstance(source, str) or "://" in source:
            raise _NotTakenError(f"{source} is not in the package; download the complete one.")
        content = self._content(self._folder + source.removeprefix("./"))
        wanted = file.get("sha256") if isinstance(file, dict) else None
        if wanted and hashlib.sha256(content).hexdigest() != wanted:
            raise InputError(f"{self._path.name} is damaged: {source} is not what it was.")
        return content

    def array(self, file: Any) -> NDArray[Any]:
        """Return a test array (1, C, Y, X)."""
        content = io.BytesIO(self.read(file))
        shape, dtype = npy_header(content)
        if dtype.kind not in "buif" or len(shape) != 4:
            raise _NotTakenError("its test images are not of one batch of channels of planes.")
        if math.prod(shape) * dtype.itemsize > content.getbuffer().nbytes:  # numpy takes the memory
            raise InputError(f"{self._path.name} is damaged: a test image is cut off.")
        content.seek(0)
        array: NDArray[Any] = np.load(content, allow_pickle=False)
        return array

    def _content(self, name: str, largest: int = MAX_TOTAL_BYTES) -> bytes:
        for found, content in read_zip(self._path, name.lower(), largest=largest):
            if found == name:
                return content
        raise InputError(f"{self._path.name} is damaged: it has no {Path(name).name}.")


def _described(text: bytes) -> Any:
    """Read YAML whose aliases, written out, make no more text than a description may have.

    Ten aliases of ten aliases of ten aliases, and so on, are a few lines that unfold to gigabytes
    as soon as somebody makes a text of them, or merges them.

    Raises
    ------
    InputError
        If they make more, or one leads to itself.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None and _written_out(root, {}) > MAX_DESCRIPTION:
        raise InputError("Its description unfolds to more text than any has; it is not read.")
    return yaml.safe_load(text)


def _written_out(node: yaml.Node, known: dict[int, float]) -> float:
    """Return how many letters a node makes with all aliases in it."""
    if id(node) not in known:
        known[id(node)] = math.inf  # until it is known: whoever leads here leads to itself
        parts = node.value
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in parts for part in pair]
        is_text = isinstance(node, yaml.ScalarNode)
        known[id(node)] = (
            len(parts) + 1 + sum(() if is_text else (_written_out(part, known) for part in parts))
        )
    return known[id(node)]


def _read(files: _Files) -> Package:
    values = files.values
    if values.get("type", "model") != "model":
        raise _NotTakenError(f"it is no model but a {values['type']}.")
    version = str(values.get("format_version", ""))
    if not version.startswith(("0.4.", "0.5.")):
        raise _NotTakenError(f"its format is {version or 'not told'}; 0.4 and 0.5 are read.")
    inputs, outputs = (_only(values[name], name) for name in ("inputs", "outputs"))
    ours = _ours(files)
    kind, weights = _weights(values["weights"])
    test_input = files.array(inputs.get("test_tensor") or values["test_inputs"][0])
    test_output = files.array(outputs.get("test_tensor") or values["test_outputs"][0])
    if test_input.shape[2:] != test_output.shape[2:]:
        raise _NotTakenError("its answer has another size than the image.")
    graph = replace(_normalised(inputs.get("preprocessing") or ()), kind=kind)
    graph = replace(graph, activation=_activation(outputs.get("postprocessing") or ()))
    graph, classes = _meaning(graph, _channel_names(outputs), test_output)
    config = ModelConfig(
        in_channels=test_input.shape[1],
        classes=classes,
        depth=_depth(inputs, outputs),
        percentiles=_percentiles(inputs.get("preprocessing") or ()),
        semantic=graph.output == "classes" and len(classes) > 2,
        graph=graph,
    )
    content = files.read(weights)
    return Package(config, _card(values), content, test_input, test_output, ours)


def _ours(files: _Files) -> bytes:
    if "napari_unet" not in (files.values.get("config") or {}):
        return b""
    for file in files.values.get("attachments") or ():
        if isinstance(file, dict) and file.get("source") == OUR_MODEL:
            return files.read(file)
    return b""


def _only(tensors: list[dict[str, Any]], what: str) -> dict[str, Any]:
    if len(tensors) != 1:
        raise _NotTakenError(f"it has {len(tensors)} {what}; one is needed.")
    tensor = tensors[0]
    axes = _axes(tensor)
    if sorted(axes) != sorted(SHAPE):
        raise _NotTakenError(f"its {what} have the axes {axes}; planes of channels are needed.")
    if axes != SHAPE:
        raise _NotTakenError(f"its {what} have their axes in the order {axes}, not {SHAPE}.")
    return tensor


def _axes(tensor: dict[str, Any]) -> str:
    axes = tensor["axes"]
    if isinstance(axes, str):  # 0.4
        return axes
    letters = {"batch": "b", "channel": "c", "time": "t", "index": "i"}
    return "".join(letters.get(axis["type"]) or str(axis["id"]) for axis in axes)


def _weights(weights: dict[str, Any]) -> tuple[str, Any]:
    for name, kind in KINDS.items():
        if weights.get(name):
            return kind, weights[name]
    known = ", ".join(sorted(weights)) or "none"
    raise _NotTakenError(
        f"its weights are {known}. A state dict needs the program that made it, which is not run "
        "here; weights as TorchScript or ONNX are needed."
    )


def _steps(processing: Iterable[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(str(one.get("id") or one["name"]), one.get("kwargs") or {}) for one in processing]


def _normalised(processing: Iterable[dict[str, Any]]) -> GraphConfig:
    """What happens to an image before it enters; the kind of graph is filled in later."""
    graph = GraphConfig("torchscript")
    for name, values in _steps(processing):
        is_cut = graph.lowest is not None or graph.highest is not None
        if name == "ensure_dtype" and str(values.get("dtype", "float32")).startswith("float"):
            continue
        if is_cut and name != "clip":
            raise _NotTakenError(f"it cuts values off before {name}.")
        if name == "clip":
            graph = replace(graph, lowest=values.get("min"), highest=values.get("max"))
        elif name == "scale_linear":
            graph = _moved(graph, _one(values.get("gain", 1)), _one(values.get("offset", 0)))
        elif name == "fixed_zero_mean_unit_variance" or values.get("mode") == "fixed":
            width = _one(values["std"])
            graph = _moved(graph, 1 / width, -_one(values["mean"]) / width)
        elif name in ("scale_range", "zero_mean_unit_variance"):
            _check_reference(name, values)
            graph = replace(
                graph,
                normalisation="percentiles" if name == "scale_range" else "mean",
                together=any(axis in ("c", "channel") for axis in values.get("axes") or SHAPE),
                gain=1.0,
                offset=0.0,
            )
        else:
            raise _NotTakenError(f"it prepares images by {name}, which is not known here.")
    return graph


def _check_reference(name: str, values: dict[str, Any]) -> None:
    axes = {"channel": "c", "batch": "b"}
    named = {axes.get(str(axis), str(axis)) for axis in values.get("axes") or SHAPE}
    if values.get("mode", "per_sample") != "per_sample" or not {"y", "x"} <= named:
        raise _NotTakenError(f"its {name} is not of each image by itself.")


def _moved(graph: GraphConfig, gain: float, offset: float) -> GraphConfig:
    return replace(graph, gain=graph.gain * gain, offset=graph.offset * gain + offset)


def _one(value: Any) -> float:
    """A number, or several that are equal."""
    values = {float(one) for one in (value if isinstance(value, list) else [value])}
    if len(values) != 1:
        raise _NotTakenError("it treats its channels differently.")
    return values.pop()


def _percentiles(processing: Iterable[dict[str, Any]]) -> tuple[float, float]:
    for name, values in _steps(processing):
        if name == "scale_range":
            return float(values.get("min_percentile", 0)), float(values.get("max_percentile", 100))
    return ModelConfig().percentiles


def _activation(processing: Iterable[dict[str, Any]]) -> str:
    activation = "none"
    for name, _ in _steps(processing):
        if name in ("sigmoid", "softmax") and activation == "none":
            activation = name
        elif name not in ("ensure_dtype", "clip"):
            raise _NotTakenError(f"it makes {name} of what the network answers.")
    return activation


def _channel_names(tensor: dict[str, Any]) -> list[str]:
    if isinstance(tensor["axes"], str):
        return []
    channel = next(axis for axis in tensor["axes"] if axis["type"] == "channel")
    names = channel.get("channel_names")
    return [str(name) for name in names] if isinstance(names, list) else []


def _meaning(
    graph: GraphConfig, names: list[str], answer: NDArray[Any]
) -> tuple[GraphConfig, tuple[str, ...]]:
    """What the channels of an answer are, by their names and by the answer to the test image."""
    count = answer.shape[1]
    low, high = float(answer.min()), float(answer.max())
    if not (low >= -0.01 and high <= 1.01):  # a little more than rounding
        raise _NotTakenError(
            f"it answers with numbers from {low:.3g} to {high:.3g}, not with probabilities."
        )
    has_boundary = count == 2 and len(names) == 2 and BOUNDARY.search(names[1]) is not None
    adds_up = bool(np.allclose(answer.sum(axis=1), 1, atol=0.01))
    if count == 1:
        return replace(graph, output="foreground"), ("background", "cell")
    if adds_up and not has_boundary:
        known = names if len(set(names)) == count else [f"class {n}" for n in range(count)]
        return replace(graph, output="classes"), ("background", *known[1:])
    if count == 2:
        return replace(graph, output="foreground and boundary"), ("background", "cell")
    raise _NotTakenError(f"it answers with {count} channels that are not classes of one pixel.")


def _depth(inputs: dict[str, Any], outputs: dict[str, Any]) -> int:
    """Return the depth of a U-Net that takes the same sizes and sees as far."""
    least, step, halo = 1, 1, 0
    for number, name in enumerate("yx", start=2):
        size = _size(inputs, number, name)
        least, step = max(least, int(size["min"])), math.lcm(step, max(1, int(size["step"])))
        halo = max(halo, _halo(outputs, number, name))
    depth = max(1, (step - 1).bit_length())
    if 2**depth % step:
        raise _NotTakenError(f"its sizes are multiples of {step}, which is no power of two.")
    reach = ARCHITECTURES["unet"].reach
    while depth < DEEPEST and (5 * 2**depth < least or reach(depth) < halo or depth < 4):
        depth += 1
    if depth > DEEPEST or 5 * 2**depth < least or reach(depth) < halo:
        raise _NotTakenError(f"it needs images of {least} pixels with {halo} around each tile.")
    return depth


def _size(tensor: dict[str, Any], number: int, name: str) -> dict[str, Any]:
    if isinstance(tensor["axes"], str):
        shape = tensor["shape"]
        size = {key: shape[key][number] for key in ("min", "step")} if "step" in shape else shape
    else:
        size = next(axis for axis in tensor["axes"] if axis.get("id") == name)["size"]
    if not isinstance(size, dict) or not {"min", "step"} <= set(size) or not int(size["step"]):
        raise _NotTakenError("it takes images of one size only.")
    return size


def _halo(tensor: dict[str, Any], number: int, name: str) -> int:
    if isinstance(tensor["axes"], str):
        return int((tensor.get("halo") or [0, 0, 0, 0])[number])
    return int(next(axis for axis in tensor["axes"] if axis.get("id") == name).get("halo") or 0)


def _card(values: dict[str, Any]) -> ModelCard:
    name = str(values["name"])
    authors = [str(one.get("name", "")) for one in values.get("authors") or ()]
    source = f"BioImage.IO package {values.get('id', '')}".strip()
    data = values.get("training_data") or {}
    return ModelCard(
        name=re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "package",
        title=name,
        purpose=" ".join(str(values.get("description", "")).split()),
        data=f"Made by {', '.join(filter(None, authors)) or 'an author who is not named'}. "
        f"{data.get('id', '')}".strip(),
        licence=str(values.get("license", "")),
        history=(f"Taken from a {source}.",),
        created=str(values.get("timestamp", "")),
    )
