"""A network in 8 bits by ONNX Runtime, on the processor; needs the optional extra ``export``.

Weights have 8 bits for each channel; those of the features are found once on drawn scenes, so a
model gives the same whatever it sees first, and tiles what the whole image gives. It is never
chosen by itself: what is lost is measured for fluorescent nuclei alone (docs/measured.md).
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any  # onnxruntime is untyped
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_unet.core import drawn
from napari_unet.core.device import free_memory
from napari_unet.core.errors import ComputeError, InputError
from napari_unet.core.export import probabilities, to_onnx
from napari_unet.core.model_file import Model
from napari_unet.core.models.network import Box
from napari_unet.core.normalize import normalize
from napari_unet.core.plan import Memory
from napari_unet.core.tiling import network_geometry

__all__ = ["MOST_CHANGED", "EightBitNetwork"]

_log = logging.getLogger(__name__)

SIDE = 256  # of a drawn scene
SCENES = 4  # of each kind on which the ranges of features are found (chosen)
KINDS = (drawn.varied_nuclei, drawn.cells)

# On scenes that were not used for it: of the pixels that are foreground with or without 8 bits,
# this part may be so with one of them alone (chosen).
MOST_CHANGED = 0.1

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]

_ready: WeakKeyDictionary[nn.Module, Run] = WeakKeyDictionary()


class EightBitNetwork:
    """Answers for tiles as `ReadyNetwork` does.

    Parameters
    ----------
    model : Model
        Of planes, same-padded. Its network is exported and quantised at the first use, which
        takes some seconds, and kept.

    Raises
    ------
    InputError
        If ONNX Runtime is not installed, the network cannot be exported, or 8 bits are too few.
    """

    precision = "int8"

    def __init__(self, model: Model) -> None:
        self.device = torch.device("cpu")
        if model.network not in _ready:
            _ready[model.network] = _quantised(model)
        self._run = _ready[model.network]

    @property
    def memory(self) -> Memory:
        """What is free now."""
        return Memory("cpu", free_memory(self.device))

    def __call__(self, image_cyx: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
        """Return class probabilities (classes, h, w) of a part of a normalised image."""
        try:
            found = self._run(image_cyx[None])
        except Exception as error:  # its errors have no common class that is public
            if "alloc" in str(error).lower():
                raise MemoryError(str(error)) from error
            raise ComputeError(f"ONNX Runtime could not run the network: {error}") from error
        rows, columns = (slice(*ends) for ends in zip(box.start, box.stop, strict=True))
        return np.ascontiguousarray(found[0, :, rows, columns])

    def give_back(self) -> None:
        """Nothing is kept for later."""


def _quantised(model: Model) -> Run:
    """Export a network, find the ranges of its features, and see that 8 bits are enough."""
    model.must_be_of_planes("segmented in 8 bits")
    if network_geometry(model.config).valid or model.config.graph is not None:
        raise InputError(
            "The precision int8 is for same-padded networks of our own; choose auto for this model."
        )
    content = to_onnx(model, mirrored=False)  # says where it cannot be
    try:
        import onnxruntime  # optional, as is what follows
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise InputError(
            "The precision int8 needs ONNX Runtime; "
            'install it with: pip install "napari-unet-interactive[export]".'
        ) from error
    with tempfile.TemporaryDirectory() as folder, _quiet():
        plain, prepared, small = (Path(folder) / f"{n}.onnx" for n in ("plain", "ready", "int8"))
        plain.write_bytes(content)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            small,
            _Scenes(model),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        options: Any = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        session: Any = onnxruntime.InferenceSession(
            small.read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        (found,) = session.run(None, {"input": image})
        return found  # type: ignore[no-any-return]  # onnxruntime is untyped

    _check(model, run)
    return run


def _check(model: Model, run: Run) -> None:
    """Compare with float32 on drawn scenes that were not used to find the ranges.

    Raises
    ------
    InputError
        If too much is lost.
    """
    changed = either = 0
    for image in _scenes(model, SCENES, SCENES + 1):
        small, exact = (
            1 - found[0, 0] >= model.config.threshold
            for found in (run(image), probabilities(model, image, mirrored=False))
        )
        changed += int((small ^ exact).sum())
        either += int((small | exact).sum())
    part = changed / max(1, either)
    _log.info("In 8 bits %.1f %% of the foreground of drawn scenes is another.", 100 * part)
    if part > MOST_CHANGED:
        raise InputError(
            f"In 8 bits this model finds other pixels on drawn scenes ({100 * part:.0f} % of the "
            "foreground); choose the precision auto."
        )


class _Scenes:
    """What the quantiser reads: normalised scenes of different looks."""

    def __init__(self, model: Model) -> None:
        self._images = _scenes(model, 0, SCENES)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next input, None after the last."""
        image = next(self._images, None)
        return None if image is None else {"input": image}


def _scenes(model: Model, first: int, last: int) -> Iterator[NDArray[np.float32]]:
    """Draw scenes as the model sees them, (1, C, Y, X)."""
    for draw in KINDS:
        for seed in range(first, last):
            image = normalize(draw((SIDE, SIDE), seed)[0][None], model.config.percentiles)
            yield np.repeat(image[None], model.config.in_channels, axis=1)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser from writing advice on standard output and in the log."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
