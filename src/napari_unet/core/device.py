"""Which device and precision to compute with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import nn

from napari_unet.core.errors import InputError

__all__ = [
    "autocast_dtype",
    "channels_last",
    "choose_device",
    "choose_precision",
    "device_name",
    "exact",
    "free_memory",
    "memory_order",
]

UNKNOWN_FREE = 4_000_000_000  # bytes, where nobody can tell (chosen)

PRECISIONS = ("auto", "float32", "bfloat16", "float16")  # of all tasks; planes take int8 too


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of that name; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    InputError
        If the device is unknown or not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"Device {name!r} is not known; use auto, cpu, cuda or mps.")
    missing = (device.type == "cuda" and not _has_gpu(device.index)) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise InputError(f"Device {name!r} is not there; use auto or cpu.")
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """Return "float32", "bfloat16", "float16" or "int8"; "auto" takes the fastest that is safe.

    It never takes "int8", see `napari_unet.core.int8`: how much is lost with a model and images of
    another kind than those measured is not known.
    """
    known = *PRECISIONS, "int8"
    if name not in known:
        raise InputError(f"Precision {name!r} is not known; use {', '.join(known)}.")
    if name == "int8" and device.type != "cpu":
        raise InputError("The precision int8 is for the processor; choose the device cpu with it.")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    if device.type == "cpu" and _is_bfloat16_faster_on_cpu():
        return "bfloat16"
    return "float32"


def autocast_dtype(precision: str) -> torch.dtype:
    """Return the torch dtype of a precision's name."""
    if precision == "int8":
        raise InputError("The precision int8 is for segmenting planes; choose auto.")
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    return dtypes[precision]


def channels_last(
    network: nn.Module, device: torch.device, dtype: torch.dtype | None = None
) -> nn.Module:
    """Move a network to a device in the memory order that convolutions are fastest in."""
    network = network.to(device=device, dtype=dtype)
    axes = 3 if any(isinstance(module, nn.Conv3d) for module in network.modules()) else 2
    # torch's annotations leave out this argument.
    return network.to(memory_format=memory_order(axes))  # type: ignore[call-overload,no-any-return]


def memory_order(axes: int) -> torch.memory_format:
    """Return the memory order for images or weights of so many spatial axes; see above."""
    return torch.channels_last if axes == 2 else torch.channels_last_3d


@contextmanager
def exact(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Keep float32 what it says: CUDA would round what it multiplies to 10 bits (TF32)."""
    if device.type != "cuda" or dtype != torch.float32:
        yield
        return
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def device_name(device: torch.device) -> str:
    """Return what a person calls the device."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return "Apple GPU" if device.type == "mps" else "this computer"


def free_memory(device: torch.device) -> int:
    """Return how many bytes are free on a device, those that torch keeps for later included."""
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    try:
        import psutil  # optional: not on every GPU server
    except ImportError:
        return UNKNOWN_FREE
    return int(psutil.virtual_memory().available)


def _has_gpu(index: int | None) -> bool:
    return torch.cuda.is_available() and (index or 0) < torch.cuda.device_count()


@lru_cache(maxsize=1)
def _is_bfloat16_faster_on_cpu() -> bool:
    """Try one convolution in both precisions: processors without support are far slower."""
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        convolution = channels_last(nn.Conv2d(32, 32, 3, padding=1), torch.device("cpu"), dtype)
        image = torch.ones(1, 32, 128, 128, dtype=dtype)
        image = image.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            convolution(image)
            times = []
            for _ in range(3):
                start = time.perf_counter()
                convolution(image)
                times.append(time.perf_counter() - start)
        seconds[dtype] = min(times)
    return seconds[torch.bfloat16] < 0.9 * seconds[torch.float32]
