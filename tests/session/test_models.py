"""Models are chosen, loaded from files, saved under names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from napari_unet.core.errors import InputError, ModelFileError
from napari_unet.core.events import TeachSummary
from napari_unet.session.model_shelf import DEFAULT_MODEL
from napari_unet.session.session import Session
from session.fakes import FakeRunner

SUMMARY = TeachSummary(0.5, 0.8, 9, 3, True, 1.0, 10)


@pytest.fixture
def signals(session):
    """Names of what was emitted."""
    seen = []
    for name in ("models_changed", "versions_changed", "state_changed"):
        getattr(session, name).connect(lambda name=name: seen.append(name))
    return seen


def test_it_starts_with_the_bundled_model(session):
    assert Path(session.model_path).stem == DEFAULT_MODEL
    assert DEFAULT_MODEL in [card.name for card in session.models()]
    assert session.model[1].name == DEFAULT_MODEL
    assert session.versions.current.model == session.model_path


def test_choosing_a_model_makes_it_current_and_keeps_the_versions_of_the_other(
    session, signals, tiny_model
):
    first = session.model_path
    session.versions.add(tiny_model, SUMMARY)
    session.choose_model(tiny_model)
    assert signals == ["models_changed", "versions_changed", "state_changed"]
    assert session.model_path == tiny_model
    assert [version.title for version in session.versions.items] == ["tiny"]
    assert session.model[0].width == 4
    session.choose_model(tiny_model)
    assert len(signals) == 3
    session.choose_model(DEFAULT_MODEL)
    assert session.model_path == first
    assert session.versions.current.title == "taught 1"


def test_a_model_that_is_not_there_is_refused_and_the_current_one_stays(session, signals):
    before = session.model_path
    with pytest.raises(ModelFileError, match="There is no model named 'cats'"):
        session.choose_model("cats")
    assert session.model_path == before and signals == []


def test_a_loaded_file_is_in_the_list_once(session, tiny_model):
    known = len(session.models())
    session.load_model_file(tiny_model)
    session.choose_model(DEFAULT_MODEL)
    session.load_model_file(tiny_model)
    assert session.model_path == tiny_model
    assert [card.path for card in session.models()][known:] == [tiny_model]


def test_a_loaded_file_of_the_library_is_in_the_list_once(session, home, tiny_model):
    own = home / "models" / "own.safetensors"
    own.parent.mkdir(parents=True)
    shutil.copy(tiny_model, own)
    known = len(session.models())
    session.load_model_file(str(own))
    assert len(session.models()) == known


def test_a_relative_path_is_the_same_file(session, tiny_model, monkeypatch):
    monkeypatch.chdir(Path(tiny_model).parent)
    session.load_model_file("tiny.safetensors")
    assert session.model_path == tiny_model


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}      ", b"GIF89a" * 99])
def test_a_file_that_is_no_model_is_refused(session, signals, tmp_path, content):
    before, known = session.model_path, len(session.models())
    path = tmp_path / "holiday.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"holiday\.safetensors"):
        session.load_model_file(str(path))
    assert session.model_path == before and signals == []
    assert len(session.models()) == known


def test_a_loaded_file_that_is_gone_leaves_the_list(session, tmp_path, tiny_model):
    path = tmp_path / "brief.safetensors"
    shutil.copy(tiny_model, path)
    session.load_model_file(str(path))
    known = len(session.models())
    path.unlink()
    assert len(session.models()) == known - 1


def test_saving_puts_the_current_version_into_the_list(session, signals, heard, tiny_model):
    session.versions.add(tiny_model, SUMMARY)
    path = session.save_model_as(" My cells ")
    assert path.stem == "my-cells"
    assert signals == ["models_changed"]
    assert heard == [
        ("Saved as 'My cells'; it is in the list of models from now on.", False),
    ]
    saved = session.models()[-1]
    assert (saved.title, saved.path) == ("My cells", str(path))
    session.choose_model(saved.path)
    assert session.model[0].width == 4


@pytest.mark.parametrize("title", ["", "Nuclei Fluorescence"])
def test_a_name_that_cannot_be_used_changes_nothing(session, signals, heard, home, title):
    with pytest.raises(InputError):
        session.save_model_as(title)
    assert signals == [] and heard == []
    assert not (home / "models").exists()


def test_going_to_a_version_says_so_once(session, signals, tiny_model):
    session.versions.add(tiny_model, SUMMARY)
    session.go_to_version(0)
    session.go_to_version(0)
    assert signals == ["versions_changed"]
    assert session.model[1].name == DEFAULT_MODEL
    with pytest.raises(InputError):
        session.go_to_version(2)


def test_nothing_is_written_before_something_is_saved(home):
    session = Session(FakeRunner())
    session.models()
    session.close()
    assert not home.exists()
