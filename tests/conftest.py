"""What holds for every test."""

import gc
import os

import pytest

# The tests run side by side, one on each core; torch reads this when it is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# napari's preferences of the person who runs the tests, and ours among them, are left alone.
os.environ["NAPARI_CONFIG"] = ""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """No test reads or writes the models of the person who runs it, but those in here."""
    monkeypatch.setenv("NAPARI_UNET_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def imported():
    """Leave what is imported, half a million objects, out of each later search for garbage."""
    import napari._qt.qt_viewer  # noqa: F401

    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def make_napari_viewer(imported, make_napari_viewer):
    """napari's own, which collects garbage several times a test."""
    return make_napari_viewer
