"""A real napari with the dock, and one worker process for all tests."""

import pytest

from napari_unet.engine.process import ProcessRunner
from person import SCREEN, Shared, User


@pytest.fixture(scope="session")
def worker():
    runner = ProcessRunner()
    yield runner
    runner.close()


@pytest.fixture
def user(make_napari_viewer, worker):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(*SCREEN)
    user = User(viewer, Shared(worker))
    yield user
    user.bench.close()
    user.__dict__.clear()  # pytest keeps the user longer than napari's fixture lets a viewer live
