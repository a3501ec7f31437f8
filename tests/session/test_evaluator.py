"""Labels are compared on a second thread, and the latest request is the one that is answered."""

import threading
import time

import numpy as np
import pytest

from napari_unet.session import evaluator as module
from napari_unet.session.evaluator import Evaluator, Wanted

LABELS = np.zeros((2, 8, 8), int)
LABELS[:, 2:5, 2:5] = 1


@pytest.fixture
def evaluator():
    one = Evaluator()
    yield one
    one.close()


def results(evaluator, seconds=60.0):
    """Pump until nothing is left to come."""
    found, failed = [], []
    evaluator.done.connect(found.append)
    evaluator.failed.connect(failed.append)
    end = time.monotonic() + seconds
    while evaluator.busy:
        assert time.monotonic() < end
        evaluator.pump()
        time.sleep(0.001)
    return found, failed


def test_a_comparison_comes_back(evaluator):
    evaluator.start(Wanted(LABELS, LABELS))
    (found,), failed = results(evaluator)
    assert found.scores.f1 == 1
    assert found.scores.n_truth == 2
    assert not failed


def test_what_cannot_be_compared_is_a_sentence(evaluator):
    evaluator.start(Wanted(LABELS, LABELS[:, :5]))
    found, failed = results(evaluator)
    assert not found
    assert "same shape" in failed[0]


def test_an_older_answer_that_comes_late_is_dropped(evaluator, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    real = module.evaluate

    def slow(*arrays, progress, **how):  # as of one plane: it cannot be stopped in between
        begun.set()
        assert go_on.wait(60)
        return real(*arrays, **how)

    monkeypatch.setattr(module, "evaluate", slow)
    evaluator.start(Wanted(LABELS, LABELS))
    assert begun.wait(60)
    evaluator.start(Wanted(LABELS, np.zeros_like(LABELS)))
    go_on.set()
    (found,), _ = results(evaluator)
    assert found.scores.f1 == 0


def test_a_newer_request_stops_the_older_one(evaluator, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    real = module.evaluate

    def slow(*arrays, progress, **how):
        begun.set()
        assert go_on.wait(60)
        return real(*arrays, progress=progress, **how)

    monkeypatch.setattr(module, "evaluate", slow)
    evaluator.start(Wanted(LABELS, LABELS))
    assert begun.wait(60)
    evaluator.start(Wanted(LABELS, np.zeros_like(LABELS)))
    go_on.set()
    (found,), _ = results(evaluator)
    assert found.scores.f1 == 0
