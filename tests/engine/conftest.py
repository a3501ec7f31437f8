"""A tiny model, an image with round cells, and a wait that ends."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_unet.core.config import ModelConfig


@pytest.fixture(scope="session", autouse=True)
def _one_thread_in_workers():
    """Tiny images: threads cost more than they bring, above all on a busy computer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def model_path(tmp_path_factory):
    import torch

    from napari_unet.core.model_file import Model

    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    Model.fresh(ModelConfig(width=4, depth=2), name="tiny").save(path)
    return str(path)


@pytest.fixture(scope="session")
def cells():
    """An image (96, 96) of bright discs on a grid, and their labels."""
    y, x = np.mgrid[:96, :96]
    inside = (y % 24 - 12) ** 2 + (x % 24 - 12) ** 2 < 64
    labels = np.where(inside, 1 + (y // 24) * 4 + x // 24, 0).astype(np.int32)
    noise = np.random.default_rng(0).normal(0, 10, inside.shape)
    return (100 * inside + 50 + noise).astype(np.float32), labels


@pytest.fixture(scope="session")
def one_cell(cells):
    """Too little to keep any aside: whatever is learnt from it is saved."""
    image, labels = cells
    return image[:24, :24], labels[:24, :24]


@pytest.fixture(scope="session")
def wait_until():
    def wait(is_true, seconds=20.0):
        end = time.monotonic() + seconds
        while not is_true():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.005)

    return wait
