"""A tiny model, and a session with a network that is not there."""

from __future__ import annotations

import pytest

from napari_unet.core.config import ModelConfig
from napari_unet.session.session import Session
from session.fakes import FakeRunner


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """The path of an untrained model, width 4, depth 2."""
    from napari_unet.core.model_file import Model

    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    Model.fresh(ModelConfig(width=4, depth=2), name="tiny").save(path)
    return str(path)


@pytest.fixture
def runner():
    return FakeRunner()


@pytest.fixture
def session(runner):
    """A session whose network is the test; `said` in `heard`."""
    session = Session(runner)
    yield session
    session.close()


@pytest.fixture
def heard(session):
    """All sentences with whether they are about a failure."""
    heard = []
    session.said.connect(lambda sentence, is_failure: heard.append((sentence, is_failure)))
    return heard
