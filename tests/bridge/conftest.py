"""A workspace on a viewer without a window."""

import pytest
from napari.components import ViewerModel

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
