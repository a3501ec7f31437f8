"""A session's folder on the command line: learnt from, and opened."""

from __future__ import annotations

import argparse
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_unet import cli, sample_data
from napari_unet.commands.inputs import Reading
from napari_unet.commands.session_data import session_examples
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.model_file import Model
from napari_unet.session.image import Image
from napari_unet.session.save_run import Snapshot, save_session
from napari_unet.session.saved import SavedSettings
from napari_unet.session.saved_models import versions_to_save
from napari_unet.session.versions import Versions

SIZES = {"typed": 11.0, "measured": None, "checked": None, "used_diameter": None}


@pytest.fixture
def session(tmp_path):
    """A stack of which one plane is checked on its left half, and an image with classes."""
    pixels, truth = (np.stack(pair) for pair in zip(*map(nuclei, range(2)), strict=True))
    tifffile.imwrite(tmp_path / "stack.tif", pixels)
    checked = np.zeros(truth.shape, np.uint8)
    checked[1, :, :32] = 1
    stack = Image("stack", pixels, "TYX", path=str(tmp_path / "stack.tif"))
    colour = np.zeros((64, 64, 3), np.uint8)
    colour[..., 1] = pixels[0]
    tifffile.imwrite(tmp_path / "colour.tif", colour, photometric="rgb")
    painted = Image("colour", colour, "YXC", (1,), path=str(tmp_path / "colour.tif"))
    kinds = (truth[0] > 0).astype(np.int32)
    folder = tmp_path / "session"
    save_session(
        folder,
        [
            Snapshot(stack, truth, checked, SIZES),
            Snapshot(painted, kinds, np.ones_like(checked[0]), SIZES, "", ("a",), ("#000000",)),
        ],
        SavedSettings(),
        versions_to_save(Versions.of("nuclei-fluorescence"), [], ""),
    )
    return SimpleNamespace(folder=folder, pixels=pixels, truth=truth, checked=checked, kinds=kinds)


def nuclei(seed):
    image, truth = sample_data.nuclei((64, 64), seed)
    return image.astype(np.uint8), truth.astype(np.int32)


def test_planes_with_anything_checked_are_examples(session):
    [named] = session_examples(session.folder, Reading())
    assert named.name == "stack" and named.example.diameter == 11.0
    np.testing.assert_array_equal(named.example.image_cyx[0], session.pixels[1])
    np.testing.assert_array_equal(named.example.labels, session.truth[1])
    np.testing.assert_array_equal(named.example.mask, session.checked[1] != 0)


def test_classes_are_asked_for_by_their_names(session):
    [named] = session_examples(session.folder, Reading(), ["a"])
    np.testing.assert_array_equal(named.example.labels, session.kinds)
    np.testing.assert_array_equal(named.example.image_cyx[0], session.pixels[0])
    with pytest.raises(InputError, match="classes of colour are a; give them to --classes"):
        session_examples(session.folder, Reading(), ["b"])


def test_what_cannot_be_learnt_from_is_told(session):
    with pytest.raises(InputError, match="leave --axes and --channel out"):
        session_examples(session.folder, Reading("TYX"))
    stack = session.folder.parent / "stack.tif"
    tifffile.imwrite(stack, session.pixels + 1)
    with pytest.raises(InputError, match="has changed since the session was saved"):
        session_examples(session.folder, Reading())
    tifffile.imwrite(stack, session.pixels[0])
    with pytest.raises(InputError, match=r"has the shape \(64, 64\) and had \(2, 64, 64\)"):
        session_examples(session.folder, Reading())
    stack.unlink()
    with pytest.raises(InputError, match="any more; open the session in the dock"):
        session_examples(session.folder, Reading())


def test_finetune_learns_from_a_session(capsys, session, tmp_path):
    model, taught = tmp_path / "tiny.safetensors", tmp_path / "taught.safetensors"
    Model.fresh(ModelConfig(width=2, depth=1, diameter=20.0), "tiny").save(model)
    words = ["--steps", "2", "--patch", "32", "--batch", "1", "--device", "cpu"]
    code = cli.main(["finetune", str(model), str(session.folder), "-o", str(taught), *words])
    out, said = capsys.readouterr()
    assert code == (0 if taught.exists() else 1)
    assert "Learnt from" in out or "did not help" in said


def test_view_opens_a_session_and_files(session, monkeypatch):
    from napari_unet.commands import view

    opened = []
    viewer = SimpleNamespace(open=lambda path, plugin: opened.append(("file", path)))
    monkeypatch.setattr(view, "check_viewer", lambda: None)
    monkeypatch.setattr(view, "open_viewer", lambda: viewer)
    monkeypatch.setattr("napari.run", lambda: None)
    monkeypatch.setattr("napari_unet.widgets.workbench.Workbench.of", lambda viewer: "bench")
    monkeypatch.setattr(
        "napari_unet.widgets.session_menu.open_session",
        lambda bench, path: opened.append((bench, path)),
    )
    image = session.folder.parent / "stack.tif"
    view.run(argparse.Namespace(images=[str(session.folder), str(image)]))
    assert opened == [("bench", session.folder), ("file", image)]
