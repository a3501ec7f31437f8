"""Cellpose's files are read, and what a pickle would run is not run."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.formats.cellpose_seg import read_npy

MASKS = np.arange(20, dtype=np.uint16).reshape(4, 5)


def seg_file(masks) -> dict:
    """What Cellpose 3 saves."""
    return {
        "outlines": masks.astype(np.uint8),
        "colors": np.random.default_rng(0).integers(0, 255, (3, 3)).astype(np.int64),
        "masks": masks,
        "chan_choose": [np.int64(0), 0],
        "filename": "a.tif",
        "flows": [np.zeros((4, 5, 3), np.uint8), [np.zeros((2, 4, 5), np.float32)], None],
        "ismanual": np.zeros(3, bool),
        "manual_changes": [],
        "diameter": np.float64(30.0),
        "est_diam": {1.5, "a"},
        "empty": np.array([None, "a"], object),
    }


def npy(path, payload: bytes):
    """A .npy file of one object whose pickle is `payload`."""
    np.save(path, np.array({}, object), allow_pickle=True)
    head = path.read_bytes()
    path.write_bytes(head[: head.index(b"\n") + 1] + payload)
    return path


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, ">u4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_masks_are_read(tmp_path, dtype, order):
    masks = np.array(MASKS.astype(dtype), order=order)
    np.save(tmp_path / "a_seg.npy", seg_file(masks), allow_pickle=True)
    read = read_npy(tmp_path / "a_seg.npy")
    assert np.array_equal(read.labels, MASKS)
    assert read.axes == "YX"
    assert read.checked is None


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_every_protocol_of_pickle_is_read(tmp_path, protocol):
    seg = {"masks": MASKS.copy(), "diameter": np.float64(30), "names": {1, 2}}
    payload = pickle.dumps(np.array(seg, object), protocol)
    if protocol == 5:
        payload = pickle.dumps(np.array({"masks": MASKS.copy()}, object), 4)
    assert np.array_equal(read_npy(npy(tmp_path / "a.npy", payload)).labels, MASKS)


def test_a_volume_is_read(tmp_path):
    np.save(tmp_path / "a_seg.npy", {"masks": np.ones((2, 3, 4), int)}, allow_pickle=True)
    assert read_npy(tmp_path / "a_seg.npy").axes == "ZYX"


def test_a_plain_array_is_read(tmp_path):
    np.save(tmp_path / "a.npy", MASKS)
    assert np.array_equal(read_npy(tmp_path / "a.npy").labels, MASKS)


class Evil:
    """Unpickled, it would make a file."""

    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


@pytest.mark.parametrize(
    "make",
    [
        lambda path: Evil(os.system, f"touch {path}"),
        lambda path: Evil(eval, f"open({str(path)!r}, 'w').close()"),
        lambda path: Evil(getattr, "a", "format"),
        lambda path: Evil(np.save, str(path), np.zeros(3)),
        lambda path: Evil(np.fromfile, str(path)),
        lambda path: Evil(np.lib.format.open_memmap, str(path), "w+", "u1", (9,)),
        lambda path: Evil(bytearray, 10**13),
        lambda path: Evil(__import__, "os"),
        lambda path: Evil(np.zeros, 10**13),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_program_is_refused_and_not_run(tmp_path, make, protocol):
    mark = tmp_path / "evil.npy"
    content = {"masks": MASKS.copy(), "other": make(mark)}
    payload = pickle.dumps(np.array(content, object), protocol=4)
    if protocol != 4:
        payload = pickle.dumps(content["other"], protocol=protocol)
    path = npy(tmp_path / "a_seg.npy", payload)
    with pytest.raises(InputError, match=r"not only arrays|cannot be read") as caught:
        read_npy(path)
    assert "run" in str(caught.value)
    assert not mark.exists()


@pytest.mark.parametrize(
    "payload",
    [
        b"cos\nsystem\n(S'touch evil'\ntR.",  # GLOBAL
        b"(S'touch evil'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'touch evil'\no.",  # OBJ
        b"\x80\x02cos\nsystem\n)\x81.",  # NEWOBJ
        b"\x80\x02\x82\x01.",  # EXT1
        b"Pabc\n.",  # PERSID
        b"\x80\x05\x96\xff\xff\xff\xff\xff\x00\x00\x00.",  # BYTEARRAY8 of 2**40
        b"]r\xff\xff\xff\x7f.",  # LONG_BINPUT far out: the memo would take 32 GB
        b"cnumpy\nndarray\n(I10000000000000\ntR.",  # an array of 10**13, which is none of ours
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",  # BINUNICODE8 of 2**63
        b"cnumpy\nndarray\n}S'x'\nI1\nsb.",  # BUILD on a class
        b"",
        b"text",
    ],
)
def test_each_way_to_run_or_to_fill_the_memory_is_refused(tmp_path, monkeypatch, payload):
    monkeypatch.chdir(tmp_path)
    path = npy(tmp_path / "a_seg.npy", payload)
    with pytest.raises(InputError) as caught:
        read_npy(path)
    assert "\n" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["a_seg.npy"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"outlines": MASKS}, "has no masks"),
        ({"masks": None}, "has no masks"),
        ({"masks": MASKS / 2}, "whole numbers"),
        ({"masks": np.zeros(4, int)}, "no labels of a plane"),
        ([MASKS], "has no masks|no labels"),
    ],
)
def test_a_file_without_masks_is_refused(tmp_path, content, sentence):
    whole = np.empty((), object)
    whole[()] = content
    np.save(tmp_path / "a.npy", whole, allow_pickle=True)
    with pytest.raises(InputError, match=sentence):
        read_npy(tmp_path / "a.npy")


def test_a_plain_array_of_a_huge_declared_shape_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((4, 4), np.uint8))
    path.write_bytes(path.read_bytes().replace(b"(4, 4), }        ", b"(400000, 400000),}"[:17]))
    with pytest.raises(InputError):
        read_npy(path)
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (400000, 400000), }"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(9))
    with pytest.raises(InputError, match="asks for labels of the shape"):
        read_npy(path)
    head = head.replace(b"400000", b"30000")
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(9))
    with pytest.raises(InputError, match="cannot be read"):
        read_npy(path)
