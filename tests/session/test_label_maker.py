"""The latest request for each key wins, and nothing ends the thread but its end."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from napari_unet.session.label_maker import LabelMaker


@pytest.fixture
def maker():
    maker = LabelMaker()
    yield maker
    maker.close()


class Gate:
    """Work that begins, and waits to be let through."""

    def __init__(self, maker, key="gate", result="gate"):
        self.begun, self.open = threading.Event(), threading.Event()
        maker.request(key, self)
        self.result = result
        assert self.begun.wait(5)

    def __call__(self):
        self.begun.set()
        assert self.open.wait(5)
        return self.result


def wait_idle(maker):
    """Return all results once nothing waits or runs."""
    results, end = [], time.monotonic() + 5
    while maker.busy:
        results += maker.take()
        assert time.monotonic() < end
        time.sleep(0.001)
    return results


def test_requests_are_done_in_order_with_their_keys(maker):
    gate = Gate(maker)
    for key in "abc":
        maker.request(key, lambda key=key: key.upper())
    gate.open.set()
    assert wait_idle(maker) == [("gate", "gate"), ("a", "A"), ("b", "B"), ("c", "C")]


def test_a_newer_request_replaces_one_that_has_not_begun(maker):
    gate, ran = Gate(maker), []
    for number in range(5):
        maker.request("a", lambda number=number: ran.append(number) or number)
    maker.request("b", lambda: "b")
    gate.open.set()
    assert wait_idle(maker) == [("gate", "gate"), ("a", 4), ("b", "b")]
    assert ran == [4]


def test_a_request_for_what_runs_is_done_after_it(maker):
    gate = Gate(maker, "a", "old")
    maker.request("a", lambda: "new")
    gate.open.set()
    assert wait_idle(maker) == [("a", "old"), ("a", "new")]


def test_first_goes_before_all_that_waits_also_if_it_waited(maker):
    gate = Gate(maker)
    for key in "abc":
        maker.request(key, lambda key=key: key)
    maker.request("c", lambda: "C", first=True)
    maker.request("a", lambda: "A")  # keeps its turn
    gate.open.set()
    assert [result for _, result in wait_idle(maker)] == ["gate", "C", "A", "b"]


def test_an_error_is_kept_and_logged_and_the_thread_goes_on(maker, caplog):
    def fail():
        raise ValueError("no labels today")

    with caplog.at_level(logging.ERROR):
        maker.request("a", fail)
        maker.request("b", lambda: "b")
        end = time.monotonic() + 5
        while not (results := maker.take()):
            assert time.monotonic() < end
    assert results == [("b", "b")]
    assert maker.busy  # somebody has to be told
    assert [str(error) for error in maker.take_errors()] == ["no labels today"]
    assert maker.take_errors() == []
    assert not maker.busy
    assert "no labels today" in caplog.text


def test_it_is_busy_until_results_are_taken(maker):
    assert not maker.busy
    gate = Gate(maker)
    maker.request("next", lambda: "next")
    assert maker.busy
    gate.open.set()
    end = time.monotonic() + 5
    taken = []
    while len(taken) < 2:
        assert time.monotonic() < end
        assert maker.busy  # done and not taken is busy too
        taken += maker.take()
    while maker.busy:  # until the thread has gone back to wait
        assert time.monotonic() < end
    assert maker.take() == []


def test_closing_drops_what_waits_and_ends_the_thread():
    maker, ran = LabelMaker(), []
    gate = Gate(maker)
    maker.request("a", lambda: ran.append("a"))
    threading.Timer(0.05, gate.open.set).start()
    maker.close()
    assert "napari-unet labels" not in [thread.name for thread in threading.enumerate()]
    maker.request("b", lambda: ran.append("b"))
    assert ran == []
    assert maker.take() == [("gate", "gate")]
    assert not maker.busy
    maker.close()
