"""Corrections on disk: read back as they were, the newest of each plane."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.session import memory as memory_module
from napari_unet.session.memory import Memory, Remembered, memory_dir, name_of


def corrections(seed=0, channels=1, name="My cells, day 2", shape=(30, 40)):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 4000, (channels, *shape)).astype(np.uint16)
    labels = rng.integers(0, 70_000, shape).astype(np.int32)
    return Remembered(name, Example(image, labels, rng.random(shape) < 0.3, axes="CYX", diameter=9))


@pytest.fixture
def memory(tmp_path):
    return Memory(tmp_path / "training")


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_it_is_read_as_it_was(memory, channels):
    one = corrections(channels=channels)
    memory.keep([one])
    (again,) = Memory(memory.folder).recall(channels, set())
    np.testing.assert_array_equal(again.image_cyx, one.example.image_cyx)
    assert again.image_cyx.dtype == np.uint16
    np.testing.assert_array_equal(again.labels, one.example.labels)
    np.testing.assert_array_equal(again.mask, one.example.mask)
    assert again.replayed and again.diameter is None


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float32, np.float64])
def test_images_of_any_kind_come_back(memory, dtype):
    image = (np.arange(1200).reshape(30, 40) % 2).astype(dtype)
    memory.keep([Remembered("x", Example(image, np.ones((30, 40), np.int32)))])
    (again,) = memory.recall(1, set())
    np.testing.assert_array_equal(again.image_cyx[0], image)


def test_newer_corrections_of_a_plane_take_the_place_of_older_ones(memory):
    old, other = corrections(), corrections(seed=1)
    memory.keep([old, other])
    new = Remembered(old.name, Example(old.example.image, old.example.labels, axes="CYX"))
    names = memory.keep([new])
    assert memory.count == 2
    assert [example.mask.all() for example in memory.recall(1, set())].count(True) == 1
    (left,) = memory.recall(1, names)
    np.testing.assert_array_equal(left.labels, other.example.labels)


def test_planes_are_told_apart_by_what_is_in_them(memory):
    one, other = corrections(), corrections(seed=1)
    assert name_of(one) != name_of(other)
    assert name_of(one).startswith("my-cells-day-2-")
    assert name_of(corrections(name="../.. /")).startswith("image-")
    memory.keep([one, other])
    assert sorted(path.name for path in (memory.folder / "checked").iterdir()) == sorted(
        f"{name_of(each)}.tif" for each in (one, other)
    )


def test_images_of_other_channels_are_not_learnt_along(memory):
    memory.keep([corrections(channels=2), corrections(seed=1)])
    assert len(memory.recall(1, set())) == len(memory.recall(2, set())) == 1
    assert memory.recall(3, set()) == []


def test_what_is_broken_or_half_written_is_left_out(memory):
    names = memory.keep([corrections(), corrections(seed=1), corrections(seed=2)])
    first, second, _ = sorted(names)
    (memory.folder / "labels" / f"{first}.tif").write_bytes(b"not a TIFF")
    (memory.folder / "images" / f"{second}.tif").unlink()
    (memory.folder / "images" / "alone.tif").write_bytes(b"")
    assert len(memory.recall(1, set())) == 1


def test_of_large_planes_only_the_surroundings_are_kept(memory, monkeypatch):
    monkeypatch.setattr(memory_module, "LARGE", 1000)
    monkeypatch.setattr(memory_module, "AROUND", 3)
    labels = np.zeros((60, 80), np.int32)
    labels[20:30, 50:60] = 4
    one = Remembered("big", Example(np.random.default_rng(0).random((60, 80)), labels, labels > 0))
    memory.keep([one])
    (again,) = memory.recall(1, set())
    assert again.labels.shape == (16, 16) and again.mask.sum() == 100
    np.testing.assert_array_equal(again.image_cyx[0], one.example.image[17:33, 47:63])


def test_files_are_read_once(memory, monkeypatch):
    memory.keep([corrections()])
    (first,) = memory.recall(1, set())
    assert memory.recall(1, set())[0] is first
    memory.keep([corrections()])
    assert memory.recall(1, set())[0] is not first


def test_it_can_be_forgotten(memory):
    memory.forget()  # nothing there yet
    memory.keep([corrections()])
    memory.forget()
    assert memory.count == 0 and memory.recall(1, set()) == [] and not memory.folder.exists()


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="could not be written"):
        Memory(tmp_path / "file" / "training").keep([corrections()])


def test_each_model_has_its_own(home):
    assert memory_dir("nuclei-fluorescence") == home / "training" / "nuclei-fluorescence"
    assert memory_dir("../x") == home / "training" / "x"


def test_the_command_line_reads_it(memory):
    from napari_unet.commands.data import read_examples
    from napari_unet.commands.inputs import Reading

    one = corrections()
    memory.keep([one])
    (named,) = read_examples(memory.folder, Reading(axes=None, channel=None))
    np.testing.assert_array_equal(named.example.mask, one.example.mask)


def test_what_is_not_remembered_yet_is_marked_as_recent(memory):
    one = corrections()
    assert (memory.marked(one).recent == one.example.mask).all()
    memory.keep([one])
    assert not memory.marked(one).recent.any()
    labels, checked = one.example.labels.copy(), one.example.mask.copy()
    labels[:5] += 1
    checked[20:] = True
    more = replace(one.example, labels=labels, checked=checked)
    expected = checked & ~one.example.mask
    expected[:5] |= checked[:5]
    np.testing.assert_array_equal(memory.marked(Remembered(one.name, more)).recent, expected)


def test_what_cannot_be_compared_is_not_marked(memory, monkeypatch):
    monkeypatch.setattr(memory_module, "LARGE", 100)
    monkeypatch.setattr(memory_module, "AROUND", 2)
    part, broken = corrections(), corrections(seed=1)
    part.example.checked[:, 10:] = False
    memory.keep([part, broken])
    (memory.folder / "labels" / f"{name_of(broken)}.tif").write_bytes(b"not a TIFF")
    assert memory.marked(part).recent is None
    assert memory.marked(broken).recent is None
