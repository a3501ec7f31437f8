"""What holds for every test."""

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """No test reads or writes the models of the person who runs it, but those in here."""
    monkeypatch.setenv("NAPARI_UNET_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
