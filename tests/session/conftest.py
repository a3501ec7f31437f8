"""A home of its own for each test, and a tiny model."""

from __future__ import annotations

import pytest

from napari_unet.core.config import ModelConfig


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """The folder of the user's models; nothing is written into the real one."""
    monkeypatch.setenv("NAPARI_UNET_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """The path of an untrained model, width 4, depth 2."""
    from napari_unet.core.model_file import Model

    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    Model.fresh(ModelConfig(width=4, depth=2), name="tiny").save(path)
    return str(path)
