"""The bytes of a journal: cut off or damaged anywhere, what comes before is good."""

import json
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_unet.session.compact import compacted, kept_planes
from napari_unet.session.journal_file import (
    MAGIC,
    encode_head,
    encode_record,
    read_head,
    read_records,
)
from session.journals import SHAPE, arrays_in, kept_pair, stroke

STROKES = 6


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The bytes of a journal, and labels after 0, 1, 2... of its strokes."""
    pair, journal = kept_pair(tmp_path_factory.mktemp("journals"))
    states = [pair.labels.copy()]
    for number in range(1, STROKES + 1):
        stroke(pair, number % 3, number, np.s_[number : number + 6, 4:20])
        states.append(pair.labels.copy())
    journal.close()
    ends = [end for end, _ in read_records(journal.path)]
    return journal.path.read_bytes(), states, ends


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(part=st.floats(0, 1))
def test_cut_off_anywhere_it_holds_the_strokes_before(written, tmp_path, part):
    data, states, ends = written
    path = tmp_path / "cut.journal"
    size = round(part * len(data))
    path.write_bytes(data[:size])
    whole = sum(end <= size for end in ends)
    np.testing.assert_array_equal(arrays_in(path)[0], states[whole])
    assert len(list(read_records(path))) == whole


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(part=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_with_any_byte_damaged_it_holds_the_strokes_before(written, tmp_path, part, flip):
    data, states, ends = written
    path = tmp_path / "damaged.journal"
    at = int(part * len(data))
    path.write_bytes(data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :])
    whole = sum(end <= at for end in ends)
    if read_head(path) is None:  # the damage is before the first stroke
        whole = 0
    np.testing.assert_array_equal(arrays_in(path)[0], states[whole])


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_foreign_bytes_are_no_journal(tmp_path, data):
    path = tmp_path / "foreign.journal"
    for content in (data, MAGIC + data):
        path.write_bytes(content)
        assert read_head(path) is None and list(read_records(path)) == []
        assert list(kept_planes(path)) == []


def framed(header, data=b""):
    text = json.dumps(header).encode()
    body = struct.pack("<I", len(text)) + text + data
    return struct.pack("<II", len(body), zlib.crc32(body)) + body


GOOD = {
    "place": [0], "box": [[0, 2], [0, 2]], "step": 1, "time": 0.0, "strokes": 1, "classes": [],
    "parts": [None, None],
}  # fmt: skip


@pytest.mark.parametrize(
    "harm",
    [
        {"place": [3]},
        {"place": [-1]},
        {"place": [0, 0]},
        {"place": "x"},
        {"box": [[0, 41], [0, 2]]},
        {"box": [[2, 2], [0, 2]]},
        {"box": [[0, 2, 1], [0, 2]]},
        {"box": [[-2, 2], [0, 2]]},
        {"parts": [None]},
        {"parts": [["<i4", 10], None]},
        {"parts": [["O", 10], None]},
        {"parts": [[4, "x"], None]},
        {"strokes": "many"},
        {"classes": 4},
        {"time": None},
    ],
    ids=str,
)
def test_a_record_that_does_not_fit_ends_the_journal(written, tmp_path, harm):
    data, states, ends = written
    path = tmp_path / "odd.journal"
    path.write_bytes(data + framed(GOOD | harm, b"0123456789") + framed(GOOD))
    np.testing.assert_array_equal(arrays_in(path)[0], states[-1])
    path.write_bytes(data + framed(GOOD))
    assert len(list(read_records(path))) == len(ends) + 1  # else the test would test nothing


@pytest.mark.parametrize("header", [[], {}, {"image": 3}, {"image": {}, "shape": [1]}, "text"])
def test_a_head_that_says_nothing_is_no_journal(tmp_path, header):
    path = tmp_path / "odd.journal"
    path.write_bytes(MAGIC + framed(header))
    assert read_head(path) is None


def test_a_head_comes_back(written, tmp_path):
    path = tmp_path / "head.journal"
    path.write_bytes(written[0])
    head = read_head(path)
    assert head.shape == SHAPE and head.image.name == "cells" and len(head.image.checksum) == 24
    path.write_bytes(encode_head(replace(head, shape=(2, 7))))
    assert read_head(path).shape == (2, 7)


def test_compacted_it_adds_up_to_the_same(written, tmp_path):
    path, beside = tmp_path / "one.journal", tmp_path / "other.journal"
    path.write_bytes(written[0])
    compacted(path, beside)
    for one, other in zip(arrays_in(path), arrays_in(beside), strict=True):
        np.testing.assert_array_equal(one, other)
    records = [record for _, record in read_records(beside)]
    assert len(records) == 3 and records[-1].strokes == STROKES
    assert len(beside.read_bytes()) < len(written[0])
    path.write_bytes(b"x")
    with pytest.raises(OSError, match="no journal"):
        compacted(path, beside)


def test_a_record_comes_back(written, tmp_path):
    path = tmp_path / "one.journal"
    path.write_bytes(written[0])
    [_, (_, record), *_] = read_records(path)
    named = replace(record, classes=("vessel", "Zelle ü"))
    path.write_bytes(encode_head(read_head(path)) + encode_record(named))
    [(end, back)] = read_records(path)
    assert end == path.stat().st_size
    for name in ("place", "box", "step", "time", "strokes", "classes"):
        assert getattr(back, name) == getattr(named, name)
    assert back.labels.data == named.labels.data
