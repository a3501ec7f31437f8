"""Files are whole or not there."""

import os
import stat
from pathlib import Path

import pytest

from napari_unet.core.files import write_beside


def test_a_file_is_written_and_its_folder_made(tmp_path):
    path = tmp_path / "a" / "b" / "mine.bin"
    write_beside(path, b"one")
    write_beside(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_empty_files_are_files_too(tmp_path):
    write_beside(tmp_path / "empty", b"")
    assert (tmp_path / "empty").read_bytes() == b""


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_when_writing_fails_the_file_before_stays(tmp_path, monkeypatch, failing):
    def fail(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "mine.bin"
    path.write_bytes(b"before")
    monkeypatch.setattr({"fsync": os, "replace": Path}[failing], failing, fail)
    with pytest.raises(OSError, match="No space"):
        write_beside(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_on_the_disk_before_it_is_renamed(tmp_path, monkeypatch):
    path, done = tmp_path / "mine.bin", []
    path.write_bytes(b"before")
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: done.append(path.read_bytes()) or sync(fd))
    write_beside(path, b"after")
    assert done == [b"before"]


def test_a_folder_is_not_written_over(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(OSError, match="there"):
        write_beside(tmp_path / "there", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_file_is_no_folder_to_write_in(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        write_beside(tmp_path / "file" / "below", b"x")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
def test_others_may_read_it_as_any_file_of_that_user(tmp_path):
    before = os.umask(0o022)
    try:
        write_beside(tmp_path / "mine", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o644
