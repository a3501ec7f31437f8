"""A save is all or nothing, whenever it is interrupted."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from napari_unet.core.errors import InputError
from napari_unet.session import saved_folder
from napari_unet.session.locks import lock, unlock
from napari_unet.session.saved_folder import (
    SAVED,
    SESSION,
    file_in,
    find_session,
    folder_for,
    read_saved,
    write_saved,
)
from session.test_saved import IMAGE
from session.test_saved import SAVED as WHAT

OLD = replace(WHAT, images=(IMAGE,), current=0)
NEW = replace(WHAT, images=(IMAGE, replace(IMAGE, file="more")), current=1)


def put(path, text):
    path.write_text(text)


def files(text, *names):
    return {
        (part, name): partial(put, text=f"{text} {part} {name}")
        for name in names
        for part in ("labels", "checked")
    }


@pytest.fixture
def folder(tmp_path):
    """A session that was saved before, and a picture that somebody put beside it."""
    folder = tmp_path / "session"
    assert write_saved(folder, OLD, files("old", "cells")) == ""
    (folder / "notes.txt").write_text("mine")
    return folder


def assert_whole(folder):
    """Everything is of the older session, or everything of the newer."""
    saved = read_saved(folder)
    text = {0: "old", 1: "new"}[saved.current]
    assert saved == {0: OLD, 1: NEW}[saved.current]
    for image in saved.images:
        for part in ("labels", "checked"):
            assert file_in(folder, part, image.file).read_text() == f"{text} {part} {image.file}"
    assert (folder / "notes.txt").read_text() == "mine"
    return text


def names_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_save_takes_the_place_of_the_one_before(folder):
    write_saved(folder, NEW, files("new", "cells", "more"))
    assert assert_whole(folder) == "new"
    assert names_in(folder) == [
        *("checked/cells.tif", "checked/more.tif", "labels/cells.ome.tif", "labels/more.ome.tif"),
        *("notes.txt", "session.json"),
    ]


class Stopped(BaseException):
    """As a kill: nothing is tidied up after it."""


def calls(monkeypatch, name, owner, act):
    """Do `act` with the number of the call before each call."""
    real, count = getattr(owner, name), iter(range(10_000))

    def call(*args, **kwargs):
        act(next(count))
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize("step", range(7))
def test_a_kill_at_any_rename_leaves_one_whole_session(folder, monkeypatch, step):
    """The first rename makes the newer one count, the others move its files."""

    def stop(number):
        if number == step:
            raise Stopped

    with monkeypatch.context() as patch:
        calls(patch, "replace", Path, stop)
        patch.setattr(saved_folder, "_remove", lambda _: None)
        try:
            write_saved(folder, NEW, files("new", "cells", "more"))
            assert step == 6
        except Stopped:
            assert step < 6
    assert assert_whole(folder) == ("old" if step == 0 else "new")
    write_saved(folder, NEW, files("new", "cells", "more"))  # the next save tidies up
    assert assert_whole(folder) == "new"
    assert not any(name.startswith(".") for name in names_in(folder))


@pytest.mark.parametrize("step", range(4))
def test_what_fails_while_writing_leaves_the_older_session(folder, step):
    def fail(path):
        raise OSError(28, "No space left on device")

    new = files("new", "cells", "more")
    new[list(new)[step]] = fail
    before = names_in(folder)
    with pytest.raises(InputError) as caught:
        write_saved(folder, NEW, new)
    assert str(caught.value) == (
        f"The session could not be saved in {folder}: No space left on device; what was saved "
        "there before is whole. Make room there, or choose another folder."
    )
    assert assert_whole(folder) == "old" and names_in(folder) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything is allowed here")
def test_a_folder_that_cannot_be_written_is_told(folder):
    folder.chmod(0o500)
    try:
        with pytest.raises(InputError, match=r"could not be saved in .*: Permission denied"):
            write_saved(folder, NEW, files("new", "cells", "more"))
    finally:
        folder.chmod(0o700)
    assert assert_whole(folder) == "old"


def test_a_file_in_the_way_of_the_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="could not be saved in"):
        write_saved(tmp_path / "file" / "session", NEW, {})


def test_a_read_only_disk_is_told(folder, monkeypatch):
    def fail(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(InputError, match=r"could not be saved in .*: Read-only file system"):
        write_saved(folder, NEW, files("new", "cells", "more"))
    monkeypatch.undo()
    assert assert_whole(folder) == "old"


def test_a_file_that_another_program_holds_open_is_told_and_moved_later(folder, monkeypatch):
    """As on Windows: the session is whole, and the next save puts the file in its place."""
    real = Path.replace

    def refuse(self, target):
        if self.name == "cells.ome.tif":
            raise PermissionError(13, "it is used by another process", str(target))
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        warning = write_saved(folder, NEW, files("new", "cells", "more"))
    assert "cells.ome.tif is in use (it is used by another process)" in warning
    assert assert_whole(folder) == "new"
    write_saved(folder, OLD, files("old", "cells"))
    assert assert_whole(folder) == "old" and not (folder / SAVED).exists()


def test_two_windows_do_not_save_at_once(folder):
    lock(folder / SESSION)
    with pytest.raises(InputError, match="Another window is saving"):
        write_saved(folder, NEW, {})
    unlock(folder / SESSION)
    write_saved(folder, NEW, files("new", "cells", "more"))


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_out_of_the_folder_are_not_followed(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "cells.ome.tif").write_text("secret")
    target = folder / "labels" / "cells.ome.tif"
    target.unlink()
    target.symlink_to(outside / "cells.ome.tif")
    with pytest.raises(InputError, match="leads out of"):
        file_in(folder, "labels", "cells")
    target.unlink()
    (folder / "labels").rmdir()
    (folder / "labels").symlink_to(outside)
    write_saved(folder, NEW, files("new", "cells", "more"))
    assert (outside / "cells.ome.tif").read_text() == "secret"
    assert [path.name for path in outside.iterdir()] == ["cells.ome.tif"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_linked_folder_of_a_half_save_is_not_emptied(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("mine")
    (folder / SAVED).symlink_to(outside)
    with pytest.raises(InputError, match="could not be saved"):
        write_saved(folder, NEW, files("new", "cells", "more"))
    assert (outside / "precious.txt").exists()


def test_a_session_gets_a_folder_of_its_own(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".DS_Store").write_text("")
    assert folder_for(folder) == folder
    assert folder_for(tmp_path / "empty") == tmp_path / "empty"
    assert folder_for(tmp_path / "new") == tmp_path / "new"
    assert folder_for(tmp_path) == tmp_path / "napari-unet session"
    assert find_session(tmp_path) is None
    write_saved(folder_for(tmp_path), OLD, files("old", "cells"))
    assert find_session(tmp_path) == folder_for(tmp_path) == tmp_path / "napari-unet session"
