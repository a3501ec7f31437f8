"""The images beside the repository, for tests that want real microscopy.

Import `data_folder` and mark the test ``real_data``. Where the images are absent the test is
skipped; with ``NAPARI_UNET_REQUIRE_DATA=1``, which `.ci/run` sets, it fails instead.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["data_folder"]

ROOT = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def data_folder(name: str) -> Path:
    """Return the folder of the set `name`; it holds ``images/`` and ``labels/``.

    ``NAPARI_UNET_DATA`` names another folder of sets.
    """
    folder = Path(os.environ.get("NAPARI_UNET_DATA", ROOT)) / name
    if not folder.is_dir():
        reason = f"The images {name} are not at {folder}."
        if os.environ.get("NAPARI_UNET_REQUIRE_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
