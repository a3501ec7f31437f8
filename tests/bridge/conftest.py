"""A workspace on a viewer without a window."""

import pytest
import tifffile
from napari.components import ViewerModel
from napari.plugins import _initialize_plugins

from desks import Desk, noise
from napari_unet.bridge.workspace import Workspace
from napari_unet.engine.runner import InlineRunner
from napari_unet.session.session import Session


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def workspace(viewer):
    session = Session(InlineRunner())
    workspace = Workspace(viewer, session)
    yield workspace
    workspace.close()
    session.close()


@pytest.fixture(scope="session")
def readers():
    """napari's own, which a viewer without a window has not looked for."""
    _initialize_plugins()


@pytest.fixture
def desks(readers):
    opened = []

    def make():
        opened.append(Desk())
        return opened[-1]

    yield make
    for desk in opened:
        desk.close()


@pytest.fixture
def data(tmp_path):
    """A folder with images in it."""
    folder = tmp_path / "experiment"
    folder.mkdir()
    tifffile.imwrite(folder / "cells.tif", noise())
    return folder
