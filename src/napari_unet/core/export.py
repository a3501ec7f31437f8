"""The network for other programs: TorchScript, ONNX, or a state dict with its source.

What is exported takes an image that was normalised, (B, C, Y, X) float32, of a model of volumes
(B, C, Z, Y, X), and returns the probability of each class, (B, classes, y, x). Its sizes are
free, so long as the network can take them: see `napari_unet.core.models.unet`. A same-padded
network mirrors the border of its input as `napari_unet.core.tiling` does, so that an image gives
what `predict_plane` gives.
"""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import io
import json
import logging
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any  # onnxruntime is optional

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_unet.core.errors import ComputeError, InputError
from napari_unet.core.model_file import Model
from napari_unet.core.models.blocks import fold_batch_norm
from napari_unet.core.tiling import border_of, network_geometries

__all__ = [
    "MAX_ERROR",
    "architecture_source",
    "probabilities",
    "to_onnx",
    "to_state_dict",
    "to_torchscript",
]

# A probability that is off by more is a fault of the export.
MAX_ERROR = 1e-4

OURS = __name__.partition(".")[0]

OPSET = 18  # of ONNX: what torch's exporter writes without converting

# Stands below the network's source: what a state dict is loaded into.
WITH_PROBABILITIES = '''
class ProbabilityNetwork({base}):
    """Returns probabilities of the classes; the image is continued by mirroring."""

    def __init__(self, *args, border: Sequence[int] = (), **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.border = border  # along each axis of space

    def forward(self, image: Tensor) -> Tensor:
        if not self.border:
            return super().forward(image).softmax(dim=1)
        around = [width for width in reversed(self.border) for _ in range(2)]
        image = nn.functional.pad(image, around, mode="reflect")
        inside = tuple(slice(width, -width) for width in self.border)
        return super().forward(image)[(slice(None), slice(None), *inside)].softmax(dim=1)
'''


class _Probabilities(nn.Module):
    """As the source above, round a network that is there."""

    def __init__(self, network: nn.Module, border: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.border = border

    def forward(self, image: Tensor) -> Tensor:
        if self.border:
            around = [width for width in reversed(self.border) for _ in range(2)]
            image = nn.functional.pad(image, around, mode="reflect")
        logits: Tensor = self.network(image)
        if self.border:
            inside = tuple(slice(width, -width) for width in self.border)
            logits = logits[(slice(None), slice(None), *inside)]
        return logits.softmax(dim=1)


def probabilities(
    model: Model, image_bcyx: NDArray[np.float32], *, mirrored: bool = True
) -> NDArray[np.float32]:
    """Return what an exported network is to return, of an image or volume of a legal size."""
    with torch.inference_mode():
        border = border_of(model.config) if mirrored else []
        network = _Probabilities(model.network.eval(), border)
        found = network(torch.from_numpy(image_bcyx))
        return found.numpy()  # type: ignore[no-any-return]  # numpy() is untyped


def to_torchscript(model: Model) -> bytes:
    """Return the network as TorchScript, with its config as the extra file napari_unet.json.

    Raises
    ------
    ComputeError
        If it does not compute the same.
    """
    content = io.BytesIO()
    with warnings.catch_warnings():  # torch would have us use torch.export, which others cannot
        warnings.simplefilter("ignore", DeprecationWarning)
        # Of shapes that a trace might fix: whether it did is checked at another size.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        example = torch.from_numpy(_noise(model, 0))
        traced = torch.jit.trace(_folded(model), example)  # type: ignore[no-untyped-call]
        extra = {"napari_unet.json": json.dumps(model.config.to_json())}
        torch.jit.save(traced, content, _extra_files=extra)
        content.seek(0)
        again = torch.jit.load(content)  # type: ignore[no-untyped-call]

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return again(torch.from_numpy(image)).numpy()  # type: ignore[no-any-return]

    _check(model, run, "TorchScript")
    return content.getvalue()


def to_onnx(model: Model, *, mirrored: bool = True) -> bytes:
    """Return the network as ONNX, checked where onnxruntime is installed.

    Without `mirrored` it takes tiles, around which there is a halo already.

    Raises
    ------
    InputError
        If onnx or onnxscript is missing.
    ComputeError
        If it does not compute the same.
    """
    try:
        import onnx  # noqa: F401  # optional, as is the next
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            "ONNX needs onnx and onnxscript; "
            'install them with: pip install "napari-unet-interactive[export]".'
        ) from error
    axes = range(2, 2 + len(model.config.spatial_axes))
    free = dict.fromkeys((0, *axes), torch.export.Dim.DYNAMIC)
    example = np.concatenate([_noise(model, 0)] * 2)  # a batch of one would be taken for fixed
    with warnings.catch_warnings(), _quiet("torch.onnx"):
        warnings.simplefilter("ignore")  # torch's own, of its own parts
        program = torch.onnx.export(
            _folded(model, mirrored=mirrored),
            (torch.from_numpy(example),),
            dynamo=True,
            dynamic_shapes=(free,),
            input_names=["input"],
            output_names=["probability"],
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    entry = proto.metadata_props.add()
    entry.key, entry.value = "napari_unet", json.dumps(model.config.to_json())
    content: bytes = proto.SerializeToString()
    run = _onnx_runner(content)
    if run is not None:
        _check(model, run, "ONNX", mirrored=mirrored)
    return content


def to_state_dict(model: Model) -> bytes:
    """Return the weights as torch.save writes them, for `architecture_source`."""
    content = io.BytesIO()
    torch.save(model.network.state_dict(), content)
    return content.getvalue()


def architecture_source(model: Model) -> str:
    """Return the network's own source as one file that needs torch alone.

    Its class `ProbabilityNetwork` takes what the network takes, and the border as `_Probabilities`.
    """
    network = type(model.network)
    parts = [
        f'"""The network {model.config.architecture!r} of napari-unet (BSD-3-Clause)."""',
        "from __future__ import annotations",
        *_sources(network.__module__, set()),
        WITH_PROBABILITIES.format(base=network.__name__),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _sources(name: str, known: set[str]) -> list[str]:
    """Return the source of one of our modules after that of all that it needs of ours."""
    if name in known:
        return []
    known.add(name)
    tree = ast.parse(inspect.getsource(importlib.import_module(name)))
    needed: list[str] = []
    kept: list[ast.stmt] = []
    for statement in tree.body:
        origin = statement.module or "" if isinstance(statement, ast.ImportFrom) else ""
        if origin.startswith(OURS):
            needed += _sources(origin, known)
        elif origin != "__future__":
            kept.append(statement)
    return [*needed, ast.unparse(ast.Module(kept, []))]


@contextmanager
def _quiet(name: str) -> Generator[None]:
    """Keep a library from telling of parts of its own that are not installed."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _folded(model: Model, *, mirrored: bool = True) -> nn.Module:
    network = fold_batch_norm(copy.deepcopy(model.network).eval())
    return _Probabilities(network, border_of(model.config) if mirrored else []).eval()


def _noise(model: Model, more: int) -> NDArray[np.float32]:
    """Normalised values of a legal size; `more` makes it longer than it is wide."""
    geometries = network_geometries(model.config)
    halos = 0 if model.config.is_volumetric else 2  # volumes are dear, and need not be so large
    sides = [one.patch_side(halos * one.halo + 4 * one.grid) for one in geometries]
    longer = geometries[-2]
    sides[-2] = longer.patch_side(sides[-2] + more * longer.grid)
    rng = np.random.default_rng(0)
    shape = (1, model.config.in_channels, *sides)
    return rng.normal(0.3, 0.5, shape).astype(np.float32)


def _check(
    model: Model,
    run: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    name: str,
    *,
    mirrored: bool = True,
) -> None:
    """Compare with our own, at a size that the export has not seen."""
    image = _noise(model, 2)
    error = float(np.abs(run(image) - probabilities(model, image, mirrored=mirrored)).max())
    if not error <= MAX_ERROR:
        raise ComputeError(
            f"The {name} export differs from the model by {error:.1e}; it was not written."
        )


def _onnx_runner(content: bytes) -> Callable[[NDArray[np.float32]], NDArray[np.float32]] | None:
    try:
        import onnxruntime  # optional
    except ImportError:
        return None
    session: Any = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        (found,) = session.run(None, {"input": image})
        return found  # type: ignore[no-any-return]  # onnxruntime is untyped

    return run
