"""Write a model as a BioImage.IO package: https://bioimage.io, format 0.5.

A zip file with bioimageio.yaml, weights in several formats, the network's source, what a test is
to give, and a README that says how objects are made of probabilities. It is written without
bioimageio's own libraries; JSON is YAML as well.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # YAML values

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.files import write_beside
from napari_unet.core.normalize import HIGHEST, LOWEST
from napari_unet.core.tiling import border_of, network_geometries

__all__ = ["Contents", "network_arguments", "write_package"]

FORMAT = "0.5.4"  # the oldest that has all that is said here, so that most can read it

U_NET = {
    "text": "Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image "
    "Segmentation. MICCAI 2015.",
    "doi": "10.1007/978-3-319-24574-4_28",
}


@dataclass(frozen=True, eq=False)
class Contents:
    """What is put into a package.

    Attributes
    ----------
    model : bytes
        Our own model file, attached.
    state_dict, torchscript : bytes
        Weights.
    onnx : bytes or None
        Weights, where ONNX could be written.
    source : str
        Of the network, for the state dict.
    torch_version : str
        That wrote the weights.
    onnx_opset : int
    test_input : ndarray of float32, shape (1, C, [Z,] Y, X)
        An image as it comes, not normalised.
    test_output : ndarray of float32, shape (1, classes, [z,] y, x)
        Probabilities.
    cover : bytes or None
        A PNG picture.
    """

    model: bytes
    state_dict: bytes
    torchscript: bytes
    onnx: bytes | None
    source: str
    torch_version: str
    onnx_opset: int
    test_input: NDArray[np.float32]
    test_output: NDArray[np.float32]
    cover: bytes | None = None


def write_package(
    path: Path,
    config: ModelConfig,
    card: ModelCard,
    contents: Contents,
    *,
    authors: list[str],
    licence: str,
) -> None:
    """Write the package beside its place, then rename it.

    Parameters
    ----------
    path : Path
    config, card : ModelConfig, ModelCard
        Of the model.
    contents : Contents
    authors : list of str
        Their names.
    licence : str
        Of the weights, by its SPDX identifier.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    files: dict[str, bytes] = {
        "README.md": _readme(config, card).encode(),
        "weights.pt": contents.state_dict,
        "weights_torchscript.pt": contents.torchscript,
        "network.py": contents.source.encode(),
        "test_input.npy": _npy(contents.test_input),
        "test_output.npy": _npy(contents.test_output),
        "model.safetensors": contents.model,
    }
    if contents.onnx is not None:
        files["weights.onnx"] = contents.onnx
    if contents.cover is not None:
        files["cover.png"] = contents.cover
    values = _description(config, card, contents, files)
    values |= {"authors": [{"name": name} for name in authors], "license": licence}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        described = {"bioimageio.yaml": json.dumps(values, indent=2).encode()}
        for name, content in (described | files).items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    write_beside(path, out.getvalue())


def _description(
    config: ModelConfig, card: ModelCard, contents: Contents, files: dict[str, bytes]
) -> dict[str, Any]:
    def file(name: str) -> dict[str, str]:
        return {"source": name, "sha256": hashlib.sha256(files[name]).hexdigest()}

    weights: dict[str, Any] = {
        "pytorch_state_dict": file("weights.pt")
        | {
            "architecture": file("network.py")
            | {"callable": "ProbabilityNetwork", "kwargs": network_arguments(config)},
            "pytorch_version": contents.torch_version,
        },
        "torchscript": file("weights_torchscript.pt")
        | {"pytorch_version": contents.torch_version, "parent": "pytorch_state_dict"},
    }
    if "weights.onnx" in files:
        weights["onnx"] = file("weights.onnx") | {
            "opset_version": contents.onnx_opset,
            "parent": "pytorch_state_dict",
        }
    values: dict[str, Any] = {
        "format_version": FORMAT,
        "type": "model",
        "name": _name(card.title or card.name),
        "description": (card.purpose or card.title or card.name)[:1024],
        "documentation": "README.md",
        "cite": [U_NET],
        "tags": [
            "unet",
            "3d" if config.is_volumetric else "2d",
            "pytorch",
            "segmentation",
            "napari-unet",
            *config.classes[1:],
        ],
        "inputs": [_input(config, file("test_input.npy"))],
        "outputs": [_output(config, file("test_output.npy"))],
        "weights": weights,
        "attachments": [file("model.safetensors")],
        "config": {"napari_unet": {"config": config.to_json(), "card": card.to_json()}},
    }
    if card.created:
        values["timestamp"] = card.created
    if "cover.png" in files:
        values["covers"] = ["cover.png"]
    return values


def _name(title: str) -> str:
    """Return a title as the format allows it: 5 to 128 letters, digits and a few signs."""
    name = re.sub(r"[^\w ()-]", " ", title)[:128]
    return name if len(name) >= 5 else f"U-Net {name}"


def network_arguments(config: ModelConfig) -> dict[str, Any]:
    """Return what `ProbabilityNetwork` of the exported source is called with."""
    is_unet = config.architecture in ("unet", "unet-valid")  # one class for both
    return {
        "border": border_of(config),
        "in_channels": config.in_channels,
        "classes": len(config.classes),
        "width": config.width,
        "depth": config.depth,
        "dropout": config.dropout,
        "compress": config.compress,
        "norm": config.network_norm,
        **({"valid": config.architecture == "unet-valid"} if is_unet else {}),
        **({"strides": config.strides} if config.is_volumetric else {}),
    }


def _input(config: ModelConfig, test: dict[str, str]) -> dict[str, Any]:
    low, high = config.percentiles
    channels = [f"channel{number}" for number in range(config.image_channels)]
    if config.slices > 1:
        reach = config.slices // 2
        steps = range(-reach, reach + 1)
        channels = [f"{channel} slice {step:+d}" for channel in channels for step in steps]
    space = [
        {
            "type": "space",
            "id": name.lower(),
            "size": {"min": one.patch_side(2 * one.halo + 1), "step": one.grid},
        }
        for name, one in zip(config.spatial_axes, network_geometries(config), strict=True)
    ]
    return {
        "id": "image",
        "description": "As it comes; it is normalised by its percentiles.",
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": channels},
            *space,
        ],
        "data": {"type": "float32"},
        "test_tensor": test,
        "preprocessing": [
            {
                "id": "scale_range",
                "kwargs": {
                    "axes": list(config.spatial_axes.lower()),
                    "min_percentile": low,
                    "max_percentile": high,
                },
            },
            {"id": "clip", "kwargs": {"min": LOWEST, "max": HIGHEST}},
        ],
    }


def _output(config: ModelConfig, test: dict[str, str]) -> dict[str, Any]:
    axes: list[dict[str, Any]] = [
        {"type": "batch"},
        {"type": "channel", "channel_names": list(config.classes)},
    ]
    space = zip(config.spatial_axes.lower(), network_geometries(config), strict=True)
    for name, geometry in space:
        size = {"tensor_id": "image", "axis_id": name}
        axis: dict[str, Any] = {"type": "space", "id": name, "size": size}
        if geometry.valid:
            axis["size"] = size | {"offset": -2 * geometry.halo}
        else:
            axis["halo"] = geometry.halo
        axes.append(axis)
    return {
        "id": "probability",
        "description": "Of each class; the first is background.",
        "axes": axes,
        "data": {"type": "float32"},
        "test_tensor": test,
    }


def _npy(array: NDArray[Any]) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def _steps_to_objects(config: ModelConfig) -> str:
    steps = [
        "Foreground is where 1 minus the probability of the first class is at least "
        f"{config.threshold:g}.",
        f"Connected pixels (by edge or corner) are objects; those of fewer than {config.min_size} "
        "are left out (at the border of the image a quarter is enough) and small holes are filled.",
        "Objects with a waist are cut by a watershed on their distance transform "
        f"(split {config.split:g}).",
        "The one-pixel gaps that training opens between touching objects are closed: pixels that "
        "have two different objects next to them, and no others.",
    ]
    if config.object_score:
        steps.append(
            "Objects at a second, higher threshold are compared by a score of their looks."
        )
    lines = [f"{number}. {step}" for number, step in enumerate(steps, start=1)]
    lines += ["", "These steps are not part of the weights. napari-unet does them."]
    return "\n".join(lines)


def _told_of_slices(config: ModelConfig) -> str:
    if config.slices == 1:
        return ""
    return (
        f" channels are {config.slices} neighbouring slices, the one that is answered for in the "
        "middle, the outermost one repeated beyond the ends of the stack;"
    )


def _readme(config: ModelConfig, card: ModelCard) -> str:
    scores = ", ".join(f"{name} {value:.3f}" for name, value in card.scores.items()) or "none known"
    size = (
        "It takes images as they are."
        if config.diameter is None
        else f"It knows objects of about {config.diameter:.0f} pixels: rescale the image so that "
        "its objects are so wide, and the result back."
    )
    if config.semantic:
        after = "The likeliest class of each pixel whose probability of the background is below "
        after += f"{1 - config.threshold:g}."
    else:
        after = _steps_to_objects(config)
    return f"""# {card.title or card.name}

{card.purpose}

{size}

## Use

With the attached model file, which holds the same weights and all settings:

```bash
pip install napari-unet-interactive
napari-unet segment IMAGES -o LABELS --model model.safetensors
```

With other programs:{_told_of_slices(config)}
percentiles {config.percentiles[0]:g} and {config.percentiles[1]:g} of each \
channel become 0 and 1, values are cut off at {LOWEST:g} and {HIGHEST:g}, and the network \
returns the probabilities of {", ".join(config.classes)}.

## From probabilities to objects

{after}

## Data

{card.data or "Not told."} {card.licence and f"Licence: {card.licence}."}

{card.failures and f"It fails on: {card.failures}"}

## Validation

Scores on images held out of training: {scores}. On images of your own with labels:
`napari-unet segment` and then `napari-unet evaluate TRUTH LABELS`.
"""
