"""Messages over a real pipe."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from napari_unet.engine.pipe import Frame, Kind, encode, read_frame, write_frame


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    with (
        os.fdopen(reading, "rb", buffering=0) as source,
        os.fdopen(writing, "wb", buffering=0) as sink,
    ):
        yield source, sink


def through(pipe, frame: Frame) -> Frame:
    source, sink = pipe
    sender = threading.Thread(target=write_frame, args=(sink, frame))
    sender.start()
    arrived = read_frame(source)
    sender.join()
    return arrived


def test_a_value_arrives_with_its_kind_and_job(pipe):
    arrived = through(pipe, encode(Kind.EVENT, 2**40, {"a": [1, None]}))
    assert (arrived.kind, arrived.job) == (Kind.EVENT, 2**40)
    assert arrived.load() == {"a": [1, None]}


@pytest.mark.parametrize(
    "array",
    [
        np.arange(1_000_000, dtype=np.uint16).reshape(10, 1000, 100),  # more than a pipe holds
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(60).reshape(3, 4, 5).transpose(2, 0, 1),
        np.arange(20)[::-2],
        np.zeros((0, 3)),
        np.array(7),
        np.zeros(3, "U5"),
    ],
)
def test_arrays_arrive_equal_writable_and_beside_the_pickle(pipe, array):
    sent = encode(Kind.EVENT, 1, ("one", array))
    assert len(sent.buffers) == 1
    assert len(sent.body) < 500
    word, arrived = through(pipe, sent).load()
    assert word == "one"
    assert arrived.dtype == array.dtype
    assert arrived.flags.writeable
    np.testing.assert_array_equal(arrived, array)


def test_a_big_array_is_sent_from_where_it_lies():
    array = np.zeros(1000)
    (buffer,) = encode(Kind.TASK, 1, array).buffers
    assert np.shares_memory(np.frombuffer(buffer, np.float64), array)


def test_a_mapped_file_travels_as_a_plain_array(pipe, tmp_path):
    mapped = np.memmap(tmp_path / "image", np.uint8, "w+", shape=(5, 5))
    mapped[2] = 9
    sent = encode(Kind.TASK, 1, mapped)
    assert len(sent.buffers) == 1
    arrived = through(pipe, sent).load()
    assert type(arrived) is np.ndarray
    np.testing.assert_array_equal(arrived, mapped)


def test_objects_and_masked_arrays_travel_as_pickle_does(pipe):
    objects = np.array([{"a": 1}, None], dtype=object)
    masked = np.ma.masked_array([1, 2], [True, False])
    got_objects, got_masked = through(pipe, encode(Kind.TASK, 1, (objects, masked))).load()
    assert got_objects.tolist() == objects.tolist()
    assert got_masked.mask.tolist() == [True, False]


def test_the_end_of_the_pipe_is_none_even_within_a_message(pipe):
    source, sink = pipe
    sink.write(b"\x01\x02")
    sink.close()
    assert read_frame(source) is None


def test_writing_to_nobody_raises(pipe):
    source, sink = pipe
    source.close()
    with pytest.raises(OSError):
        write_frame(sink, encode(Kind.CANCEL, 1))
