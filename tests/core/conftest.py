"""What tests of the core share."""

import pytest

from napari_unet.core import optimise


@pytest.fixture
def each_step_reported(monkeypatch):
    """A run tells the loss of each step; by the clock, a slow machine would tell of fewer."""
    monkeypatch.setattr(optimise, "REPORT_EVERY_S", 0.0)
