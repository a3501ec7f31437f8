"""Images and pairs made by hand, and a runner whose jobs the tests answer themselves."""

from __future__ import annotations

import threading
import time

import numpy as np

from napari_unet.core.events import TileResult
from napari_unet.engine import Job, JobCancelledError
from napari_unet.session.image import Image
from napari_unet.session.pair import ObjectSettings, Pair

ALL_SIZES = ObjectSettings(min_size=1)


def image_of(shape=(20, 20), axes="YX", name="cells"):
    return Image(name, np.zeros(shape, np.uint8), axes)


def pair_of(shape=(20, 20), axes="YX", labels=None):
    image = image_of(shape, axes)
    if labels is None:
        labels = np.zeros(image.shape, np.int32)
    return Pair(image, labels, np.zeros(image.shape, np.uint8))


def tile_of(shape, *boxes, y=0, x=0, index=0, count=1):
    """A tile in which the boxes, (rows, columns) as slices, are surely cells."""
    probability = np.zeros((2, *shape), np.uint8)
    probability[0] = 255
    for box in boxes:
        probability[0][box], probability[1][box] = 0, 255
    return TileResult(y, x, probability, index, count)


class FakeRunner:
    """Takes tasks and does nothing; the test adds events to its jobs and ends them."""

    def __init__(self):
        self.jobs = []
        self.is_closed = False

    def submit(self, task):
        self.jobs.append(Job(task))
        return self.jobs[-1]

    def close(self):
        self.is_closed = True
        for job in self.jobs:
            job.fail(JobCancelledError("The job was stopped because its runner was closed."))

    @property
    def tasks(self):
        return [job.task for job in self.jobs]

    @property
    def job(self):
        """The last job."""
        return self.jobs[-1]


def pump_until(session, is_true, seconds=20.0):
    """Pump as the viewer's timer does."""
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "pumped in vain"
        session.pump()
        time.sleep(0.002)


def sent(session, runner, count=1):
    """Pump until so many jobs were submitted, and return the last."""
    pump_until(session, lambda: len(runner.jobs) >= count)
    assert len(runner.jobs) == count
    return runner.job


class GatedArray:
    """A lazy array whose values come only when it is let through."""

    def __init__(self, shape, dtype=np.uint8):
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.begun, self.open = threading.Event(), threading.Event()

    def __getitem__(self, index):
        self.begun.set()
        assert self.open.wait(20)
        return np.zeros(self.shape, self.dtype)[index]
