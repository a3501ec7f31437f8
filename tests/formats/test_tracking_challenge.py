"""The Cell Tracking Challenge's folders: frames, gaps, and who is whose daughter."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_unet.core.errors import InputError
from napari_unet.formats.annotations import Annotations, Track
from napari_unet.formats.labels import read_labels, write_labels


def frames(*numbers: list[int]) -> np.ndarray:
    """One frame for each list, with a pixel for each number."""
    labels = np.zeros((len(numbers), 4, 9), np.int32)
    for frame, present in zip(labels, numbers, strict=True):
        for number in present:
            frame[1, number] = number
    return labels


def test_a_mother_and_her_daughters_come_back(tmp_path):
    labels = frames([1], [1], [2, 3], [2, 3])
    tracks = (Track(1, 0, 1), Track(2, 2, 3, 1), Track(3, 2, 3, 1))
    write_labels(tmp_path / "01_GT", Annotations(labels, "TYX", tracks=tracks))
    lines = (tmp_path / "01_GT" / "TRA" / "man_track.txt").read_text()
    assert lines == "1 0 1 0\n2 2 3 1\n3 2 3 1\n"
    assert sorted(file.name for file in (tmp_path / "01_GT" / "SEG").iterdir()) == [
        f"man_seg{frame:03d}.tif" for frame in range(4)
    ]
    for folder in ("01_GT", "01_GT/SEG", "01_GT/TRA"):
        read = read_labels(tmp_path / folder)
        assert np.array_equal(read.labels, labels)
        assert (read.axes, read.tracks, read.checked) == ("TYX", tracks, None)


def test_an_object_that_was_away_comes_back_as_its_own_daughter(tmp_path):
    write_labels(tmp_path / "01_GT", frames([4], [], [4], [4, 5]), "TYX")
    read = read_labels(tmp_path / "01_GT" / "TRA")
    assert read.tracks == (Track(4, 0, 0), Track(5, 3, 3), Track(6, 2, 3, 4))
    assert read.labels[2:, 1, 4].tolist() == [6, 6]
    assert read_labels(tmp_path / "01_GT" / "SEG").labels[2:, 1, 4].tolist() == [4, 4]


def test_a_result_is_masks_and_one_text(tmp_path):
    write_labels(tmp_path / "02_RES", frames([1], [1]), "TYX")
    assert sorted(file.name for file in (tmp_path / "02_RES").iterdir()) == [
        "mask000.tif",
        "mask001.tif",
        "res_track.txt",
    ]
    assert np.array_equal(read_labels(tmp_path / "02_RES").labels, frames([1], [1]))


def test_frames_that_the_truth_leaves_out_are_not_checked(tmp_path):
    folder = tmp_path / "01_GT" / "SEG"
    folder.mkdir(parents=True)
    tifffile.imwrite(folder / "man_seg002.tif", frames([3])[0].astype(np.uint16))
    read = read_labels(tmp_path / "01_GT", (5, 4, 9))
    assert read.checked.all(axis=(1, 2)).tolist() == [False, False, True, False, False]
    write_labels(tmp_path / "02_GT", read)
    assert [file.name for file in (tmp_path / "02_GT" / "SEG").iterdir()] == ["man_seg002.tif"]
    assert np.array_equal(read_labels(tmp_path / "02_GT", (5, 4, 9)).checked, read.checked)


def test_slices_of_volumes_go_to_their_place(tmp_path):
    folder = tmp_path / "01_GT" / "SEG"
    folder.mkdir(parents=True)
    tifffile.imwrite(folder / "man_seg_001_002.tif", frames([3])[0].astype(np.uint16))
    read = read_labels(tmp_path / "01_GT", (2, 4, 4, 9))
    assert read.axes == "TZYX"
    assert np.argwhere(read.labels).tolist() == [[1, 2, 1, 3]]
    assert read.checked.any(axis=(2, 3)).tolist() == [[False] * 4, [False, False, True, False]]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.zeros((3, 3), int), "needs frames over time"),
        (np.full((2, 3, 3), 70_000), "numbers up to 65535"),
    ],
)
def test_what_the_layout_cannot_hold_is_refused(tmp_path, labels, sentence):
    with pytest.raises(InputError, match=sentence):
        write_labels(tmp_path / "01_GT", labels)


def test_damaged_folders_are_refused(tmp_path):
    write_labels(tmp_path / "01_RES", frames([1], [1]), "TYX")
    (tmp_path / "01_RES" / "res_track.txt").write_text("1 2 3\n1 0 1 0 0 0\n")
    with pytest.raises(InputError, match="each line has four numbers"):
        read_labels(tmp_path / "01_RES")
    (tmp_path / "01_RES" / "res_track.txt").unlink()
    tifffile.imwrite(tmp_path / "01_RES" / "mask002.tif", np.zeros((3, 3), np.uint16))
    with pytest.raises(InputError, match="and others of"):
        read_labels(tmp_path / "01_RES")


def test_a_frame_number_that_would_fill_the_memory_is_refused(tmp_path):
    write_labels(tmp_path / "01_RES", np.zeros((1, 200, 200), np.int32), "TYX")
    file = tmp_path / "01_RES" / "mask000.tif"
    file.rename(file.with_name("mask99999.tif"))
    with pytest.raises(InputError, match="asks for labels of the shape"):
        read_labels(tmp_path / "01_RES")
