"""A journal on disk: what it keeps, what a full disk does, and when it is written anew."""

import errno
import os
import threading
import time

import numpy as np
import pytest

from napari_unet.session import journal as journal_module
from napari_unet.session.journal import Journal
from napari_unet.session.journal_file import read_head, read_records
from napari_unet.session.locks import is_locked
from session.fakes import ALL_SIZES, tile_of
from session.journals import arrays_in, assert_kept, kept_pair, stroke


@pytest.fixture
def kept(tmp_path):
    pair, journal = kept_pair(tmp_path / "journals")
    yield pair, journal
    journal.close()


def test_each_stroke_is_on_disk_and_the_sum_is_what_was_painted(kept):
    pair, journal = kept
    for place, number in ((0, 1), (2, 2), (0, 3)):
        stroke(pair, place, number, np.s_[number : number + 6, 4:20])
        assert journal.flush()
        assert_kept(journal.path, pair)
    assert read_head(journal.path).image.name == "cells"
    assert [record.strokes for _, record in read_records(journal.path)] == [1, 2, 3]


def test_undo_and_redo_are_kept_too(kept):
    pair, journal = kept
    stroke(pair, 0, 1)
    pair.uncheck((0,))
    pair.check_box((1,), np.s_[0:9, 0:9])
    for act in (pair.undo, pair.undo, pair.redo):
        act()
        assert journal.flush()
        assert_kept(journal.path, pair)
    last = [record for _, record in read_records(journal.path)][-1]
    assert last.strokes == pair.history.strokes == 2


def test_nothing_is_written_before_a_person_edits(kept, tmp_path):
    pair, journal = kept
    pair.place_tile((1,), tile_of((40, 50), np.s_[20:28, 20:28]))
    assert pair.accept((1,), pair.propose((1,), ALL_SIZES))
    assert journal.flush() and not (tmp_path / "journals").exists()
    stroke(pair, 0, 9)
    assert journal.flush()
    assert not arrays_in(journal.path)[0][1].any()  # nobody has painted there
    stroke(pair, 1, 9)
    assert journal.flush()
    assert_kept(journal.path, pair)


def test_of_many_segmentations_the_last_is_written(kept):
    pair, journal = kept
    for end in range(22, 30):
        pair.place_tile((1,), tile_of((40, 50), np.s_[20:end, 20:28]))
        assert pair.accept((1,), pair.propose((1,), ALL_SIZES))
    stroke(pair, 1, 9)
    assert journal.flush()
    assert_kept(journal.path, pair)
    assert len(list(read_records(journal.path))) == 2


def test_an_undone_segmentation_and_a_stroke_add_up(kept):
    pair, journal = kept
    for run, end in enumerate((24, 30)):
        pair.remade_by = run
        pair.place_tile((1,), tile_of((40, 50), np.s_[20:end, 20:28]))
        assert pair.accept((1,), pair.propose((1,), ALL_SIZES))
    pair.undo()
    stroke(pair, 1, 9)
    assert journal.flush()
    assert_kept(journal.path, pair)


def test_labels_that_were_opened_are_kept_with_the_first_stroke(kept):
    pair, journal = kept
    pair.labels[1, 10:20, 10:20] = 4
    pair.begin()
    assert journal.flush() and journal.path is None
    stroke(pair, 1, 5)
    assert journal.flush()
    assert_kept(journal.path, pair)
    assert [record.strokes for _, record in read_records(journal.path)] == [0, 1]


def test_it_is_locked_as_long_as_it_is_open(kept):
    pair, journal = kept
    stroke(pair, 0, 1)
    assert journal.flush()
    assert is_locked(journal.path)
    journal.close()
    assert not is_locked(journal.path) and journal.path.is_file()


def test_closing_writes_what_waits(kept):
    pair, journal = kept
    for number in range(1, 30):
        stroke(pair, number % 3, number, np.s_[number : number + 3, 2:40])
    journal.close()
    assert_kept(journal.path, pair)


def test_a_large_journal_is_written_anew_and_goes_on(kept, monkeypatch):
    monkeypatch.setattr(journal_module, "COMPACT_FROM", 3000)
    pair, journal = kept
    journal._compact_at = 3000
    sizes = []
    for number in range(1, 60):
        stroke(pair, number % 3, number, np.s_[number % 30 : number % 30 + 6, 3:30])
        assert journal.flush()
        sizes.append(journal.path.stat().st_size)
    assert max(sizes) < 3500 and min(np.diff(sizes)) < 0
    assert_kept(journal.path, pair)
    assert [record.strokes for _, record in read_records(journal.path)][-1] == 59
    assert is_locked(journal.path)
    assert [file.suffix for file in journal.path.parent.iterdir()].count(".part") == 0


def news_of(journal):
    """What a journal has to say, as soon as it says anything."""
    end = time.monotonic() + 60
    while not (news := journal.take_news()):
        assert time.monotonic() < end, "it says nothing"
        time.sleep(0.005)
    return news


def full_disk(monkeypatch, room):
    """Writes fail once so many bytes were written; the last one is cut off, as on a real disk."""
    real = os.write
    left = [room]

    def write(descriptor, data):
        part = bytes(data)[: left[0]]
        if not part:
            raise OSError(28, "No space left on device")
        left[0] -= len(part)
        return real(descriptor, part)

    monkeypatch.setattr(journal_module.os, "write", write)
    return left


@pytest.mark.parametrize("room", [0, 5, 300, 700])
def test_a_full_disk_is_told_once_and_loses_nothing(kept, monkeypatch, room):
    monkeypatch.setattr(journal_module, "RETRY_S", 0.05)
    pair, journal = kept
    left = full_disk(monkeypatch, room)
    for number in range(1, 6):
        stroke(pair, 0, number, np.s_[number : number + 3, 2:40])
    [(sentence, is_failure)] = news_of(journal)
    assert is_failure and "No space left" in sentence and "painting goes on" in sentence
    assert not journal.flush(0.2) and not journal.take_news()
    stroke(pair, 1, 9)
    left[0] = 10**9
    assert journal.flush()
    assert journal.take_news() == [("Corrections are kept on disk again.", False)]
    assert_kept(journal.path, pair)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    pair, journal = kept_pair(tmp_path / "file" / "journals")
    stroke(pair, 0, 1)
    [(sentence, is_failure)] = news_of(journal)
    assert is_failure and str(tmp_path / "file") in sentence
    journal.close()
    assert pair.undo()


def test_a_read_only_folder_is_told_once_and_loses_nothing(kept, monkeypatch):
    monkeypatch.setattr(journal_module, "RETRY_S", 0.05)
    pair, journal = kept

    def refuse(path, *_):
        raise PermissionError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(journal_module.os, "open", refuse)
    stroke(pair, 0, 1)
    [(sentence, is_failure)] = news_of(journal)
    assert is_failure and "Read-only" in sentence and "painting goes on" in sentence
    stroke(pair, 1, 9)
    assert not journal.flush(0.2) and not journal.take_news()
    monkeypatch.undo()
    assert news_of(journal) == [("Corrections are kept on disk again.", False)]
    assert journal.flush()
    assert_kept(journal.path, pair)
    assert not list(journal.path.parent.glob("*.part"))


def test_an_image_that_cannot_be_read_is_kept_by_its_name(tmp_path):
    class Broken:
        shape, dtype = (3, 40, 50), np.dtype(np.uint8)

        def __getitem__(self, index):
            raise RuntimeError("the server is away")

    pair, _ = kept_pair(tmp_path)
    object.__setattr__(pair.image, "data", Broken())
    journal = Journal(tmp_path, pair.image)
    pair.ledger.keep = journal.append
    stroke(pair, 0, 1)
    assert journal.flush()
    assert read_head(journal.path).image.checksum == ""
    journal.close()


def test_painting_never_waits_for_the_disk(kept, monkeypatch):
    pair, journal = kept
    slow = threading.Event()
    real = os.fsync
    monkeypatch.setattr(
        journal_module.os, "fsync", lambda descriptor: (slow.wait(20), real(descriptor))
    )
    for number in range(1, 20):
        stroke(pair, 0, number, np.s_[number : number + 3, 2:40])
    assert not journal.flush(0.05)
    slow.set()
    assert journal.flush()
    assert_kept(journal.path, pair)


def test_something_is_done_after_all_is_on_disk(kept):
    pair, journal = kept
    seen = []
    stroke(pair, 0, 1)
    journal.then(lambda: seen.append(arrays_in(journal.path)[0].max()))
    assert journal.flush()
    assert seen == [1]
