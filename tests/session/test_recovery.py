"""What is found after a crash: by whom it was left, of which image, and how old."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest

from napari_unet.core.errors import InputError
from napari_unet.session import keeper as keeper_module
from napari_unet.session.identity import identify
from napari_unet.session.image import Image
from napari_unet.session.journal import journals_dir
from napari_unet.session.keeper import Keeper
from napari_unet.session.locks import has_other_owner, is_locked, lock, unlock
from napari_unet.session.pair import Pair
from napari_unet.session.recovery import find_kept, remove_old
from session.journals import SHAPE, kept_pair, noise, stroke


def left_behind(folder, seed=0, strokes=2, name="cells"):
    """The journal of a process that has ended, and what was painted."""
    pair, journal = kept_pair(folder, name, seed)
    for number in range(1, strokes + 1):
        stroke(pair, number % 3, number, np.s_[number : number + 6, 4:20])
    journal.close()
    return journal.path, pair


def new_pair(seed=0, name="cells"):
    return Pair(
        Image(name, noise(seed), "ZYX"), np.zeros(SHAPE, np.int32), np.zeros(SHAPE, np.uint8)
    )


# Which image it is


def test_an_image_is_known_by_its_pixels_under_another_name():
    image = Image("cells", noise(0), "ZYX")
    assert identify(image).is_same(identify(Image("other", noise(0), "CYX", (0,))))
    for other in (noise(1), noise(0).astype(np.uint16), noise(0)[:, :-1]):
        assert not identify(image).is_same(identify(Image("cells", other, "ZYX")))


@pytest.mark.parametrize("at", [(0, 0, 0), (1, 20, 25), (2, 39, 49), (0, 39, 0)])
def test_a_single_pixel_of_a_small_image_tells(at):
    other = noise(0)
    other[at] += 1
    image = Image("cells", noise(0), "ZYX")
    assert not identify(image).is_same(identify(Image("cells", other, "ZYX")))


def test_of_a_large_image_little_is_read():
    class Counting:
        shape, dtype = (900, 30000, 40000), np.dtype(np.uint16)
        read = 0

        def __getitem__(self, index):
            part = np.zeros([s.stop - s.start for s in index if isinstance(s, slice)])
            Counting.read += part.size
            return part

    assert identify(Image("huge", Counting(), "ZYX")).checksum
    assert Counting.read == 3 * 9 * 64 * 64


@pytest.mark.parametrize(
    ("shape", "axes"), [((40, 50, 3), "YXC"), ((5, 5), "YX"), ((2, 3, 9, 70), "TCYX")]
)
def test_images_of_other_axes_are_known_too(shape, axes):
    image = Image("a", noise(0, shape), axes)
    assert identify(image).checksum and identify(image).is_same(identify(image))


def test_images_that_cannot_be_read_are_the_same_only_by_name():
    one = replace(identify(Image("cells", noise(0), "ZYX")), checksum="")
    assert one.is_same(one) and not one.is_same(replace(one, name="other"))


# Who has it


def test_a_lock_is_taken_once_and_given_up(tmp_path):
    path = tmp_path / "a.journal"
    assert not is_locked(path) and lock(path) and is_locked(path)
    assert not lock(path) and not has_other_owner(path)
    unlock(path)
    assert not is_locked(path) and lock(path)


def test_a_lock_of_a_running_process_holds_and_of_a_dead_one_does_not(tmp_path):
    path = tmp_path / "a.journal"
    code = (
        "import sys, time; from pathlib import Path; from napari_unet.session.locks import lock;"
        "print(lock(Path(sys.argv[1])), flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline().strip() == b"True"
        assert is_locked(path) and has_other_owner(path) and not lock(path)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert not is_locked(path) and lock(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        '{"pid": -1, "started": 0}',
        '{"pid": "x", "started": 0}',
        f'{{"pid": {os.getpid()}, "started": {psutil.Process().create_time() - 100}}}',
        "[" * 100_000,
    ],
    ids=[
        "empty",
        "text",
        "list",
        "nothing",
        "odd",
        "no number",
        "number of another process",
        "nested",
    ],
)
def test_a_lock_that_says_nothing_true_is_taken_over(tmp_path, text):
    path = tmp_path / "a.journal"
    (tmp_path / "a.journal.lock").write_text(text)
    assert not is_locked(path) and lock(path) and is_locked(path)


# What is found


def test_newest_corrections_of_this_image_are_found_first(tmp_path):
    first, _ = left_behind(tmp_path)
    second, _ = left_behind(tmp_path, strokes=5)
    left_behind(tmp_path, seed=1)
    (tmp_path / "foreign.journal").write_bytes(b"foreign")
    found = find_kept(tmp_path, identify(new_pair().image))
    assert [kept.path for kept in found] == [second, first]
    assert [kept.strokes for kept in found] == [5, 2]


def test_what_is_in_use_or_holds_no_stroke_is_not_found(tmp_path):
    pair, journal = kept_pair(tmp_path)
    stroke(pair, 0, 1)
    assert journal.flush()
    identity = identify(pair.image)
    assert find_kept(tmp_path, identity) == []
    pair.undo()
    journal.close()
    assert find_kept(tmp_path, identity) == []
    assert find_kept(tmp_path / "nowhere", identity) == []


def test_the_sentence_says_when_and_how_many(tmp_path):
    left_behind(tmp_path, strokes=1)
    [kept] = find_kept(tmp_path, identify(new_pair().image))
    then = time.mktime((2026, 3, 5, 14, 32, 0, 0, 0, -1))
    assert replace(kept, time=then).sentence == (
        "Corrections of 5 March, 14:32 (1 stroke) can be restored."
    )
    today = time.localtime(kept.time)
    assert f"of {today.tm_hour:02}:{today.tm_min:02} (1 stroke)" in kept.sentence


@pytest.mark.parametrize(
    ("days", "most_bytes", "left"), [(14, 10**9, 2), (14, 1, 0), (2, 10**9, 1)], ids=str
)
def test_old_journals_go_and_the_oldest_where_there_are_too_many(tmp_path, days, most_bytes, left):
    old, _ = left_behind(tmp_path)
    left_behind(tmp_path)
    pair, journal = kept_pair(tmp_path)
    stroke(pair, 0, 1)
    assert journal.flush()
    for path in (old, journal.path):
        os.utime(path, (time.time() - 5 * 86400,) * 2)
    remove_old(tmp_path, days=days, most_bytes=most_bytes)
    assert journal.path.is_file()  # it is in use
    assert len(list(tmp_path.glob("*.journal"))) == left + 1
    assert old.is_file() == (left == 2)
    journal.close()


# The keeper


@pytest.fixture
def keeper():
    keeper = Keeper()
    yield keeper
    keeper.close()


def pump(keeper):
    end = time.monotonic() + 20
    keeper.pump()
    while keeper.busy:
        assert time.monotonic() < end
        time.sleep(0.002)
        keeper.pump()


def test_what_was_left_behind_is_offered_and_restored_as_one_step(keeper):
    path, painted = left_behind(journals_dir())
    told, restored = [], []
    keeper.found.connect(lambda: told.append(len(keeper.kept)))
    keeper.restored.connect(restored.append)
    pair = new_pair(name="under another name")
    keeper.follow(pair)
    keeper.look(pair.image)
    pump(keeper)
    assert told == [1]
    stroke(pair, 1, 77, np.s_[30:35, 30:35])
    before = pair.labels.copy()
    keeper.restore(pair)
    pump(keeper)
    assert told == [1, 0] and restored == [pair]
    np.testing.assert_array_equal(pair.labels, painted.labels)
    np.testing.assert_array_equal(pair.checked, painted.checked)
    assert pair.next_number() > painted.labels.max()
    assert keeper.flush()
    [journal] = journals_dir().glob("*.journal")
    assert journal != path  # the old one has gone, what it held is in the new one
    pair.undo()
    np.testing.assert_array_equal(pair.labels, before)


def test_the_old_journal_stays_until_the_new_one_holds_it(keeper, monkeypatch):
    path, painted = left_behind(journals_dir())
    pair = new_pair()
    keeper.follow(pair)
    keeper.look(pair.image)
    pump(keeper)
    monkeypatch.setattr("napari_unet.session.journal.os.write", no_room)
    keeper.restore(pair)
    pump(keeper)
    np.testing.assert_array_equal(pair.labels, painted.labels)
    assert path.is_file()


def no_room(descriptor, data):
    raise OSError(28, "No space left on device")


def test_discarding_removes_it_and_offers_the_one_before(keeper):
    first, _ = left_behind(journals_dir())
    second, _ = left_behind(journals_dir(), strokes=3)
    keeper.look(new_pair().image)
    pump(keeper)
    keeper.discard()
    assert not second.exists() and [kept.path for kept in keeper.kept] == [first]
    keeper.discard()
    assert list(journals_dir().iterdir()) == [] and keeper.kept == []


def test_what_another_window_has_taken_is_not_restored_twice(keeper):
    path, _ = left_behind(journals_dir())
    pair = new_pair()
    keeper.look(pair.image)
    pump(keeper)
    assert lock(path)
    for act in (keeper.discard, lambda: keeper.restore(pair)):
        with pytest.raises(InputError):
            act()
    assert not pair.labels.any() and path.is_file()


def test_labels_of_another_shape_are_not_restored_into(keeper):
    left_behind(journals_dir())
    pair = new_pair()
    keeper.look(pair.image)
    pump(keeper)
    image = Image("cells", noise(0), "CYX", (0,))
    other = Pair(image, np.zeros((40, 50), np.int32), np.zeros((40, 50), np.uint8))
    with pytest.raises(InputError, match="other axes"):
        keeper.restore(other)
    assert len(keeper.kept) == 1


def test_two_windows_on_one_image_are_told(keeper):
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path; from session.journals import kept_pair, stroke\n"
        "pair, journal = kept_pair(Path(sys.argv[1])); stroke(pair, 0, 1)\n"
        "print(journal.flush(), flush=True); time.sleep(60)"
    )
    tests = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120
    command = [sys.executable, "-c", code, str(journals_dir()), tests]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline().strip() == b"True"
        said = []
        keeper.said.connect(lambda sentence, is_failure: said.append((sentence, is_failure)))
        pair = new_pair()
        keeper.follow(pair)
        keeper.look(pair.image)
        pump(keeper)
        assert keeper.kept == []  # the other is alive
        stroke(pair, 0, 5)
        stroke(pair, 1, 5)
        assert keeper.flush()
        keeper.pump()
        [(sentence, is_failure)] = said
        assert "another napari window" in sentence and not is_failure
        assert len(list(journals_dir().glob("*.journal"))) == 2
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    keeper.look(pair.image)
    pump(keeper)
    assert [kept.strokes for kept in keeper.kept] == [1]


def test_a_pair_that_is_let_go_can_be_restored_at_once(keeper):
    pair = new_pair()
    keeper.follow(pair)
    stroke(pair, 0, 5)
    keeper.let_go(pair)
    stroke(pair, 0, 6)  # nobody keeps that
    keeper.look(pair.image)
    pump(keeper)
    assert [kept.strokes for kept in keeper.kept] == [1]


def test_a_file_that_is_gone_is_not_restored(keeper):
    path, _ = left_behind(journals_dir())
    pair = new_pair()
    keeper.look(pair.image)
    pump(keeper)
    path.unlink()
    with pytest.raises(InputError, match="another window"):
        keeper.restore(pair)
    with pytest.raises(InputError, match="nothing"):
        keeper.restore(pair)


def test_a_file_that_cannot_be_read_is_told(keeper, monkeypatch):
    left_behind(journals_dir())
    pair = new_pair()
    keeper.look(pair.image)
    pump(keeper)

    def fail(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(keeper_module, "kept_planes", fail)
    keeper.restore(pair)
    with pytest.raises(InputError, match="Input/output error"):
        pump(keeper)
    assert not keeper.busy
