"""Versions are stepped through, kept in files, and saved without a change of their weights."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from napari_unet.core.errors import InputError, ModelFileError
from napari_unet.core.events import TeachSummary
from napari_unet.core.library import available_models, find_model, read_model_header
from napari_unet.session import versions as versions_module
from napari_unet.session.versions import Version, Versions, new_version_path, save_version

SUMMARY = TeachSummary(0.5, 0.8, 9, 3, True, 1.0, 10)


def test_a_model_starts_as_its_only_version(tiny_model):
    versions = Versions.of(tiny_model)
    assert versions.items == [Version(tiny_model, "tiny")]
    assert versions.current is versions.base


def test_a_taught_version_becomes_current_and_none_is_lost(tiny_model):
    versions = Versions.of(tiny_model)
    assert versions.next_title == "taught 1"
    first = versions.add("one.safetensors", SUMMARY)
    assert versions.current == first
    assert (first.model, first.title, first.summary) == ("one.safetensors", "taught 1", SUMMARY)
    assert datetime.now(UTC) - datetime.fromisoformat(first.created) < timedelta(minutes=5)
    assert versions.go_to(0) is versions.base
    second = versions.add("two.safetensors", SUMMARY)
    assert [version.title for version in versions.items] == ["tiny", "taught 1", "taught 2"]
    assert versions.current is second
    assert versions.go_to(1) is first


@pytest.mark.parametrize("index", [-1, 1])
def test_a_version_that_is_not_there_is_refused(tiny_model, index):
    versions = Versions.of(tiny_model)
    with pytest.raises(InputError, match="no version"):
        versions.go_to(index)
    assert versions.index == 0


def test_a_model_that_is_not_there_has_no_versions(tmp_path):
    with pytest.raises(ModelFileError):
        Versions.of(str(tmp_path / "none.safetensors"))


def test_each_version_gets_a_file_of_its_own_named_after_the_first_model(home):
    first = new_version_path("/somewhere/Nuclei big.safetensors")
    assert first.parent == home / "versions"
    assert first.name.endswith("-nuclei-big.safetensors")
    second = new_version_path(str(first))
    assert second.name > first.name
    assert len(second.name) == len(first.name)  # stamps do not pile up
    assert not first.parent.exists()  # made on the first save


def test_the_oldest_files_go_when_there_are_many(home, monkeypatch):
    monkeypatch.setattr(versions_module, "KEPT_VERSIONS", 3)
    made = []
    for count in range(1, 7):
        path = new_version_path("tiny.safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        made.append(path)
        there = sorted(path.parent.iterdir())
        assert there == made[-min(count, 4) :]


def test_a_file_that_cannot_be_dropped_stays(home, monkeypatch):
    monkeypatch.setattr(versions_module, "KEPT_VERSIONS", 0)
    stuck = home / "versions" / "0-stuck.safetensors"
    stuck.mkdir(parents=True)
    new_version_path("tiny")
    assert stuck.exists()


@pytest.fixture
def teach(tiny_model):
    """Write a taught version, as the worker does: of which version, its number, its scores."""
    from napari_unet.core.model_file import load_model

    def teach(parent, number, summary=SUMMARY, origin=None, taught=None):
        base = read_model_header(tiny_model)[1]
        path = new_version_path(parent)
        card = replace(
            read_model_header(parent)[1],
            name=path.stem,
            title=f"tiny, taught {number}",
            parent=Path(parent).stem,
            origin=base.identity if origin is None else origin,
            taught=asdict(summary) if taught is None else taught,
        )
        replace(load_model(parent), card=card).save(path)
        return str(path)

    return teach


def test_what_was_taught_before_is_there_again(tiny_model, home, teach):
    first = teach(tiny_model, 1)
    second = teach(first, 2, replace(SUMMARY, after=0.9, noun="patch", rehearsed=True))
    third = teach(tiny_model, 3)
    teach(tiny_model, 4, origin="another model")
    (home / "versions" / "9-broken.safetensors").write_bytes(b"no model")
    versions = Versions.of(tiny_model)
    assert [item.model for item in versions.items] == [tiny_model, first, second, third]
    assert [item.title for item in versions.items] == ["tiny", "taught 1", "taught 2", "taught 3"]
    assert versions.items[2].summary == replace(SUMMARY, after=0.9, noun="patch", rehearsed=True)
    assert versions.index == 0 and versions.next_title == "taught 4"


def test_back_is_what_it_was_taught_from(tiny_model, teach):
    first = teach(tiny_model, 1)
    teach(first, 2)
    teach(first, 3)
    teach(tiny_model, 4)
    versions = Versions.of(tiny_model)
    assert versions.before == 0
    came_from = []
    for index in range(1, 5):
        versions.go_to(index)
        came_from.append(versions.before)
    assert came_from == [0, 1, 1, 0]


@pytest.mark.parametrize("taught", [{}, {"before": "x"}, {"before": 1.0, "odd": 2.0}])
def test_a_card_with_an_odd_summary_is_a_version_without_one(tiny_model, teach, taught):
    teach(tiny_model, 1, taught=taught)
    assert Versions.of(tiny_model).items[1].summary is None


def test_a_version_is_renamed_in_its_file(tiny_model, teach):
    path = teach(tiny_model, 1)
    teach(tiny_model, 2)
    before = header_and_weights(path)[1]
    versions = Versions.of(tiny_model)
    versions.go_to(1)
    assert versions.rename("  with mitoses ").title == "with mitoses"
    assert header_and_weights(path)[1] == before
    assert list(Path(path).parent.glob(".*")) == []
    again = Versions.of(tiny_model)
    assert [item.title for item in again.items] == ["tiny", "with mitoses", "taught 2"]
    assert again.items[1].summary == SUMMARY
    with pytest.raises(InputError, match="already; choose another"):
        versions.rename("taught 2")
    with pytest.raises(InputError, match="Give the version a name"):
        versions.rename(" ")
    versions.go_to(0)
    with pytest.raises(InputError, match="cannot be renamed"):
        versions.rename("mine")


def test_a_deleted_version_is_put_away_and_the_one_before_is_current(tiny_model, home, teach):
    first = teach(tiny_model, 1)
    second = teach(first, 2)
    teach(second, 3)
    versions = Versions.of(tiny_model)
    versions.go_to(2)
    assert versions.delete().model == first
    assert (
        not Path(second).exists() and (home / "versions" / "deleted" / Path(second).name).is_file()
    )
    assert [item.title for item in versions.items] == ["tiny", "taught 1", "taught 3"]
    versions.go_to(2)
    assert versions.before == 0  # its parent is gone
    assert versions.next_title == "taught 4"
    assert len(Versions.of(tiny_model).items) == 3
    versions.go_to(0)
    with pytest.raises(InputError, match="cannot be deleted"):
        versions.delete()


def test_a_version_that_cannot_be_put_away_stays(tiny_model, home, teach):
    path = teach(tiny_model, 1)
    (home / "versions" / "deleted").write_text("a file where the folder should be")
    versions = Versions.of(tiny_model)
    versions.go_to(1)
    with pytest.raises(ModelFileError, match="could not be moved"):
        versions.delete()
    assert Path(path).is_file() and versions.index == 1 and len(versions.items) == 2


def header_and_weights(path):
    data = Path(path).read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def test_saving_changes_name_and_title_and_not_a_bit_of_the_weights(tiny_model, home):
    path = save_version(Version(tiny_model, "taught 1"), "  My Cells, Day 2 ")
    assert path == home / "models" / "my-cells-day-2.safetensors"
    (before, weights), (after, saved) = header_and_weights(tiny_model), header_and_weights(path)
    assert saved == weights
    del before["__metadata__"], after["__metadata__"]
    assert before == after
    config, card = read_model_header(path)
    old_config, old_card = read_model_header(tiny_model)
    assert config == old_config
    assert (card.name, card.title) == ("my-cells-day-2", "My Cells, Day 2")
    assert card.history == old_card.history
    original = load_file(tiny_model)
    for name, array in load_file(path).items():
        np.testing.assert_array_equal(array, original[name])
    assert find_model("my-cells-day-2") == path
    assert [one.title for one in available_models()][-1] == "My Cells, Day 2"
    assert list(path.parent.iterdir()) == [path]


def test_a_saved_model_can_be_loaded_and_computes(tiny_model):
    from napari_unet.core.model_file import load_model

    save_version(Version(tiny_model, ""), "mine")
    assert load_model("mine").card.title == "mine"


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_others_may_read_it_as_the_user_lets_them(tiny_model, umask, mode):
    old = os.umask(umask)
    try:
        path = save_version(Version(tiny_model, ""), "mine")
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("title", ["", "  ", "-_/.!"])
def test_a_title_without_letters_is_refused(tiny_model, title):
    with pytest.raises(InputError, match="at least one letter"):
        save_version(Version(tiny_model, ""), title)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("細胞 核", "細胞-核"),
        ("Zellen größer", "zellen-größer"),
        ("../../etc/passwd", "etc-passwd"),
        ("x" * 300, "x" * 60),
    ],
)
def test_names_take_letters_of_any_script_and_stay_in_the_folder(tiny_model, home, title, name):
    path = save_version(Version(tiny_model, ""), title)
    assert path == home / "models" / f"{name}.safetensors"
    assert read_model_header(path)[1].title == title


@pytest.mark.parametrize("title", ["Mine!", "Nuclei, fluorescence"], ids=["own", "bundled"])
def test_a_name_that_is_taken_is_refused(tiny_model, title):
    taken = save_version(Version(tiny_model, ""), "mine")
    before = taken.read_bytes()
    with pytest.raises(InputError, match="already; choose another name"):
        save_version(Version(tiny_model, ""), title)
    assert taken.read_bytes() == before
    assert list(taken.parent.iterdir()) == [taken]


def test_a_folder_that_cannot_be_written_becomes_a_sentence(tiny_model, home):
    home.write_text("a file where the folder should be")
    with pytest.raises(ModelFileError, match=r"^The model could not be saved in .*\.$"):
        save_version(Version(tiny_model, ""), "mine")


def test_a_version_whose_file_is_gone_becomes_a_sentence(home, tmp_path):
    with pytest.raises(ModelFileError, match="There is no model file"):
        save_version(Version(str(tmp_path / "gone.safetensors"), "taught 1"), "mine")
    assert not (home / "models").exists()
