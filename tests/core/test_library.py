"""The models on disk: bundled ones, the user's own, and what is no model."""

from pathlib import Path

import pytest

from napari_unet.core.errors import ModelFileError
from napari_unet.core.library import (
    available_models,
    bundled_models_dir,
    find_model,
    read_model_header,
    user_models_dir,
)
from napari_unet.core.model_file import load_model
from small_scenes import small_model


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The user's folder, in a temporary home."""
    monkeypatch.setenv("NAPARI_UNET_HOME", str(tmp_path))
    return tmp_path / "models"


def listed():
    return [Path(card.path).name for card in available_models()]


def test_the_environment_names_the_folder(own):
    assert user_models_dir() == own
    assert not own.exists()


def test_without_it_the_folder_is_in_the_home_folder(own, monkeypatch, tmp_path):
    monkeypatch.delenv("NAPARI_UNET_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert user_models_dir() == tmp_path / ".napari-unet" / "models"


def test_the_bundled_models_are_listed_where_there_are_no_own_ones(own):
    assert "nuclei-fluorescence.safetensors" in listed()
    assert not own.exists()


def test_own_models_come_last_and_the_newest_at_the_end(own):
    import os

    for age, name in ((2, "b"), (1, "c"), (3, "a")):
        path = own / f"{name}.safetensors"
        small_model().save(path)
        os.utime(path, (1e9 - age, 1e9 - age))
    names = listed()
    assert names[-3:] == ["a.safetensors", "b.safetensors", "c.safetensors"]
    assert len(names) == 3 + len(list(bundled_models_dir().glob("*.safetensors")))


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80\x04.", b"PK\x03\x04", b"\xff" * 64, (2).to_bytes(8, "little") + b"{}"],
    ids=["empty", "pickle", "zip", "noise", "foreign"],
)
def test_a_broken_file_does_not_break_the_list(own, content):
    small_model().save(own / "good.safetensors")
    (own / "bad.safetensors").write_bytes(content)
    (own / "dangling.safetensors").symlink_to(own / "nothing")
    (own / "folder.safetensors").mkdir()
    (own / "notes.txt").write_text("not a model")
    assert listed()[-1] == "good.safetensors"
    assert "bad.safetensors" not in listed()


def test_a_file_where_the_folder_should_be_does_not_break_the_list(own):
    own.write_text("")
    assert "nuclei-fluorescence.safetensors" in listed()


def test_a_model_is_found_by_name_and_by_path(own):
    path = own / "mine.safetensors"
    small_model().save(path)
    assert find_model("mine") == find_model(path) == find_model(str(path)) == path
    assert load_model("mine").card.path == str(path)


def test_an_unknown_name_is_told_with_those_that_there_are(own):
    small_model().save(own / "mine.safetensors")
    with pytest.raises(ModelFileError, match=r"'yours'; there are: .*nuclei-fluorescence, mine\."):
        find_model("yours")


def test_the_header_alone_says_what_a_model_is(own):
    model = small_model().save(own / "mine.safetensors")
    assert read_model_header(model.card.path) == (model.config, model.card)
