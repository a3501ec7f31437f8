"""A network on a device, ready to answer for tiles; where memory is short it moves to the CPU."""

from __future__ import annotations

import copy
from typing import Protocol, cast
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_unet.core.device import (
    autocast_dtype,
    channels_last,
    choose_device,
    choose_precision,
    exact,
    free_memory,
    memory_order,
)
from napari_unet.core.errors import ComputeError, OutOfMemoryError
from napari_unet.core.model_file import Model
from napari_unet.core.models.blocks import fold_batch_norm
from napari_unet.core.models.network import Box, Network
from napari_unet.core.models.norms import with_measured_norms
from napari_unet.core.plan import Memory

__all__ = [
    "ReadyNetwork",
    "TileNetwork",
    "explained",
    "is_out_of_memory",
    "ready_network",
]

# What a RuntimeError says where memory was too short: of torch on a processor, of C++, of oneDNN,
# which computes convolutions there (seen with a limit of the address space), of CUDA's libraries,
# and of MPS.
OUT_OF_MEMORY = (
    "DefaultCPUAllocator",
    "bad_alloc",
    "could not create a primitive",
    "STATUS_ALLOC_FAILED",
    "out of memory",
)


class TileNetwork(Protocol):
    """What computes a tile; attributes and methods are those of `ReadyNetwork`."""

    device: torch.device
    precision: str

    @property
    def memory(self) -> Memory:
        """What is free on the device now."""
        ...

    def __call__(self, image_cyx: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
        """Return class probabilities of a part of a normalised image."""
        ...

    def give_back(self) -> None:
        """Return what is kept for later."""
        ...


class ReadyNetwork:
    """A model's network for inference: batch norm folded, channels last, on one device.

    Parameters
    ----------
    model : Model
        It is not changed.
    device, precision : str
        See `napari_unet.core.device`.
    sample : ndarray of float32, shape (B, C, [d,] h, w), optional
        Parts of the image, normalised, for networks with norms that look at it.
    """

    def __init__(
        self,
        model: Model,
        device: str,
        precision: str,
        sample: NDArray[np.float32] | None = None,
    ) -> None:
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self._dtype = autocast_dtype(self.precision)
        self._network = _inference_network(model, self.device, self._dtype)
        if sample is not None:
            with exact(self.device, self._dtype):
                parts = self._on_device(torch.from_numpy(sample))
                self._network = cast(Network, with_measured_norms(self._network, parts))

    @property
    def memory(self) -> Memory:
        """What is free on the device now."""
        return Memory(self.device.type, free_memory(self.device))

    def __call__(self, image_cyx: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
        """Return class probabilities (classes, [d,] h, w) of a part of a normalised image."""
        with torch.inference_mode(), exact(self.device, self._dtype):
            image = self._on_device(torch.from_numpy(image_cyx)[None])
            probability = self._network.part(image, box)[0].float().softmax(dim=0)
            return probability.cpu().numpy()

    def give_back(self) -> None:
        """Return to the device what torch keeps for later."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()

    def _on_device(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.to(device=self.device, memory_format=memory_order(batch.ndim - 2))


def ready_network(
    model: Model, device: str, precision: str, sample: NDArray[np.float32] | None = None
) -> TileNetwork:
    """Return a network that is ready for tiles; see `ReadyNetwork` for the parameters."""
    if precision != "int8":
        return ReadyNetwork(model, device, precision, sample)
    choose_precision(precision, choose_device(device))  # says where it cannot be
    from napari_unet.core.int8 import EightBitNetwork  # optional part

    return EightBitNetwork(model)


class _Float32(nn.Module):
    """A convolution that computes in float32 within a network that does not.

    Intensities have more than the 8 bits of a bfloat16: rounded to these, objects at IoU 0.9 are
    no longer the same. The first convolution is a hundredth of the work.
    """

    def __init__(self, convolution: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.convolution = convolution
        self._dtype = dtype

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.convolution(image.float()).to(self._dtype)  # type: ignore[no-any-return]


_folded: WeakKeyDictionary[nn.Module, dict[tuple[str, torch.dtype], Network]] = WeakKeyDictionary()


def _inference_network(model: Model, device: torch.device, dtype: torch.dtype) -> Network:
    """Return the network ready to run; kept for the next call."""
    ready = _folded.setdefault(model.network, {})
    key = (str(device), dtype)
    if key not in ready:
        network = fold_batch_norm(copy.deepcopy(model.network).eval())
        first = {} if dtype == torch.float32 else _first_convolutions(network, model)
        network = channels_last(network, device, dtype)
        for name, convolution in first.items():
            parent, _, own = name.rpartition(".")
            kept = _Float32(channels_last(convolution, device), dtype)
            setattr(network.get_submodule(parent), own, kept)
        ready[key] = cast(Network, network.requires_grad_(False))
    return ready[key]


def _first_convolutions(network: nn.Module, model: Model) -> dict[str, nn.Module]:
    """Return copies of those that see the image; another one as narrow does no harm."""
    return {
        f"down.0.{name}": copy.deepcopy(module)
        for name, module in network.get_submodule("down.0").named_modules()
        if isinstance(module, nn.Conv2d | nn.Conv3d)
        and module.in_channels == model.config.in_channels
    }


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was too short, on a graphics card or in the computer."""
    kinds = (torch.OutOfMemoryError, MemoryError, OutOfMemoryError)
    said = str(error)
    return isinstance(error, kinds) or any(sign in said for sign in OUT_OF_MEMORY)


def explained(error: RuntimeError | MemoryError) -> ComputeError:
    """Return what is told of an error of torch."""
    if isinstance(error, torch.OutOfMemoryError):
        return OutOfMemoryError(
            "There is not enough memory on the GPU; close other programs that use it, "
            "or compute on the CPU."
        )
    if is_out_of_memory(error):
        return OutOfMemoryError(
            "There was not enough memory; close other programs or use a smaller image."
        )
    return ComputeError(f"The network could not be run: {error}")
