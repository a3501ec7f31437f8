"""A network that other programs have made: TorchScript, or ONNX by onnxruntime.

Its code is run by torch or by onnxruntime, so it belongs into a process without a viewer.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any  # onnxruntime is untyped

import torch
from torch import Tensor

from napari_unet.core.errors import ComputeError, InputError
from napari_unet.core.graph_config import WIDE, GraphConfig
from napari_unet.core.models.network import Network

__all__ = ["GraphNetwork"]

# Probabilities are kept off 0 and 1: their logarithm is taken.
NEAREST = 1e-6

Run = Callable[[Tensor], Tensor]


class GraphNetwork(Network):
    """Answers as our own networks do, with one logit a class for each pixel.

    Parameters
    ----------
    graph : Tensor of uint8, shape (bytes,)
        The file.
    config : GraphConfig
    """

    graph: Tensor

    def __init__(self, graph: Tensor, config: GraphConfig) -> None:
        super().__init__()
        self.register_buffer("graph", graph)
        self.config = config
        self._run: Run | None = None

    def __getstate__(self) -> dict[str, Any]:
        """A copy begins without what runs the graph, which cannot be copied."""
        return {**self.__dict__, "_run": None}

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, classes, H, W) of an image (B, C, H, W) in ranges of `GraphConfig`.

        Raises
        ------
        ComputeError
            If it cannot be run, or answers with another size.
        """
        if self._run is None:
            self._run = _runner(self.graph, self.config.kind)
        values = image.float() * WIDE * self.config.gain + self.config.offset
        if self.config.lowest is not None or self.config.highest is not None:
            values = values.clamp(self.config.lowest, self.config.highest)
        found = self._run(values).to(image.device).float()
        if found.ndim != 4 or found.shape[2:] != image.shape[2:]:
            raise ComputeError(
                f"The network answers an image of {tuple(image.shape[2:])} with "
                f"{tuple(found.shape)}; it cannot be used here."
            )
        return self.probabilities(_activated(found, self.config.activation)).log()

    def probabilities(self, answer: Tensor) -> Tensor:
        """Return the probability of each class, (B, classes, H, W), of what the graph answers."""
        if self.config.output == "classes":
            return answer.clamp(NEAREST, 1.0)
        inside = answer[:, :1]
        if self.config.output == "foreground and boundary":
            inside = inside * (1 - answer[:, 1:2])
        inside = inside.clamp(NEAREST, 1 - NEAREST)
        return torch.cat([1 - inside, inside], dim=1)


def _activated(answer: Tensor, activation: str) -> Tensor:
    if activation == "softmax":
        return answer.softmax(dim=1)
    return answer.sigmoid() if activation == "sigmoid" else answer


def _runner(graph: Tensor, kind: str) -> Run:
    content = graph.cpu().numpy().tobytes()
    return _onnx(content) if kind == "onnx" else _torchscript(content, graph.device)


def _torchscript(content: bytes, device: torch.device) -> Run:
    try:
        with warnings.catch_warnings():  # torch would have others use torch.export
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(  # type: ignore[no-untyped-call]
                io.BytesIO(content), map_location=device
            ).eval()
    except (RuntimeError, ValueError) as error:
        raise ComputeError("The network cannot be read as TorchScript.") from error
    return lambda image: _first(module(image))


def _onnx(content: bytes) -> Run:
    try:
        import onnxruntime  # optional
    except ImportError as error:
        raise InputError(
            "This model is an ONNX graph and needs onnxruntime; "
            'install it with: pip install "napari-unet-interactive[export]".'
        ) from error
    try:
        session: Any = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # of onnxruntime's own kinds
        raise ComputeError("The network cannot be read as ONNX.") from error
    name = session.get_inputs()[0].name

    def run(image: Tensor) -> Tensor:
        try:
            return torch.from_numpy(session.run(None, {name: image.cpu().numpy()})[0])
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise ComputeError(f"The network could not be run: {reason}.") from error

    return run


def _first(answer: Any) -> Tensor:
    if isinstance(answer, list | tuple) and answer:
        answer = answer[0]
    if not isinstance(answer, Tensor):
        raise ComputeError("The network answers with something that is no image.")
    return answer
