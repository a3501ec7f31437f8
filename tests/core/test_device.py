import pytest
import torch
from torch import nn

from napari_unet.core import device as device_module
from napari_unet.core.device import (
    autocast_dtype,
    channels_last,
    choose_device,
    choose_precision,
    device_name,
    exact,
)
from napari_unet.core.errors import InputError

CPU, CUDA, MPS = (torch.device(name) for name in ("cpu", "cuda", "mps"))


@pytest.fixture
def there(monkeypatch):
    """Pretend which accelerators are there."""

    def pretend(cuda: int = 0, mps: bool = False, bf16: bool = True) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(0, False, "cpu"), (0, True, "mps"), (1, False, "cuda")]
)
def test_auto_takes_the_best_that_is_there(there, cuda, mps, expected):
    there(cuda, mps)
    assert choose_device("auto").type == expected
    assert choose_device("cpu").type == "cpu"


def test_a_second_gpu_can_be_named(there):
    there(cuda=2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_what_is_not_there_is_refused(there, name):
    there()
    with pytest.raises(InputError, match=f"'{name}' is not there; use auto or cpu"):
        choose_device(name)


def test_a_gpu_beyond_the_last_is_refused(there):
    there(cuda=2)
    with pytest.raises(InputError, match="'cuda:2' is not there"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "", "meta", "cuda:x", "cpu:-1"])
def test_what_is_no_device_is_refused(there, name):
    there(cuda=1)
    with pytest.raises(InputError, match="not known; use auto, cpu, cuda or mps"):
        choose_device(name)


@pytest.mark.parametrize(
    ("device", "bf16", "faster", "expected"),
    [
        (CUDA, True, False, "bfloat16"),
        (CUDA, False, False, "float16"),
        (MPS, True, True, "float32"),
        (CPU, True, True, "bfloat16"),
        (CPU, True, False, "float32"),
    ],
)
def test_auto_precision_is_what_the_device_is_fast_in(
    there, monkeypatch, device, bf16, faster, expected
):
    there(cuda=1, bf16=bf16)
    monkeypatch.setattr(device_module, "_is_bfloat16_faster_on_cpu", lambda: faster)
    assert choose_precision("auto", device) == expected


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_a_named_precision_is_taken(name):
    assert choose_precision(name, CPU) == name
    assert autocast_dtype(name) == getattr(torch, name)


def test_another_precision_is_refused():
    with pytest.raises(InputError, match="'int4' is not known; use auto, float32"):
        choose_precision("int4", CPU)


def test_the_processor_is_tried_once():
    device_module._is_bfloat16_faster_on_cpu.cache_clear()
    assert choose_precision("auto", CPU) in ("float32", "bfloat16")
    choose_precision("auto", CPU)
    assert device_module._is_bfloat16_faster_on_cpu.cache_info().misses == 1


def test_channels_last_changes_the_order_in_memory_and_not_the_weights():
    convolution = nn.Conv2d(3, 4, 3)
    weight = convolution.weight.detach().clone()
    moved = channels_last(convolution, CPU, torch.bfloat16)
    assert moved.weight.is_contiguous(memory_format=torch.channels_last)
    assert moved.weight.dtype == torch.bfloat16
    torch.testing.assert_close(moved.weight.float(), weight, rtol=1e-2, atol=0)


@pytest.mark.parametrize(
    ("device", "dtype", "allowed"),
    [(CUDA, torch.float32, False), (CUDA, torch.bfloat16, True), (CPU, torch.float32, True)],
)
def test_float32_on_a_gpu_is_not_rounded_meanwhile(monkeypatch, device, dtype, allowed):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    with pytest.raises(KeyError), exact(device, dtype):
        assert torch.backends.cudnn.allow_tf32 is allowed
        raise KeyError
    assert torch.backends.cudnn.allow_tf32 is True


def test_devices_have_names_for_people(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H200")
    assert [device_name(d) for d in (CPU, MPS, CUDA)] == [
        "this computer",
        "Apple GPU",
        "NVIDIA H200",
    ]
