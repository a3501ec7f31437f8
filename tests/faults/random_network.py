"""A network that finds other objects each time, at once, in this process."""

import numpy as np
from scipy import ndimage

from napari_unet.core.events import TeachSummary, TileResult
from napari_unet.engine.runner import Job
from napari_unet.engine.tasks import (
    DeviceInfo,
    MeasureTask,
    PlaneSize,
    ProbeTask,
    SegmentDone,
    SegmentTask,
)
from napari_unet.engine.teach_tasks import TeachDone, TeachTask

DIAMETERS = (None, 8.0, 14.0, 30.0)


class RandomNetwork:
    """A runner whose answers are there as soon as it is asked."""

    def __init__(self, seed):
        self._draw = np.random.default_rng(seed)

    def submit(self, task):
        job = Job(task)
        if isinstance(task, ProbeTask):
            job.finish(DeviceInfo("none", "none", "ready"))
        elif isinstance(task, MeasureTask):
            job.finish(10.0)
        elif isinstance(task, SegmentTask):
            for event in self._segment(task):
                job.add_event(event)
            job.finish(SegmentDone(0.0, "none", "none"))
        else:
            raise TypeError(f"no answer to {task}")
        return job

    def close(self):
        """Nothing runs."""

    def _segment(self, task):
        """Blobs at a scale of their own, in tiles."""
        diameter = DIAMETERS[self._draw.integers(len(DIAMETERS))]
        scale = 1.0 if diameter is None else self._draw.choice([0.5, 0.8, 1.3])
        rows, columns = (max(8, round(scale * side)) for side in task.image.shape[-2:])
        noise = ndimage.gaussian_filter(self._draw.normal(size=(rows, columns)), 2.5 * scale)
        ranks = noise.ravel().argsort().argsort().reshape(noise.shape)
        background = (255 - 255 * ranks / ranks.size).astype(np.uint8)
        yield PlaneSize(diameter, (rows, columns), False)
        half = rows // 2
        for index, (top, part) in enumerate(((0, background[:half]), (half, background[half:]))):
            yield TileResult(top, 0, np.stack([part, 255 - part]), index, 2)


class HeldNetwork(RandomNetwork):
    """Begins with Segment or Teach, and ends when it is released."""

    def __init__(self, seed):
        super().__init__(seed)
        self.held = []
        self.is_closed = False

    def submit(self, task):
        if not isinstance(task, SegmentTask | TeachTask):
            return super().submit(task)
        job = Job(task, lambda job: self._end(job))
        if isinstance(task, SegmentTask):
            size, tile, *self._rest = self._segment(task)
            job.add_event(size)
            job.add_event(tile)
        self.held.append(job)
        return job

    def release(self):
        """End what is held."""
        for job in self.held:
            if isinstance(job.task, SegmentTask):
                for event in self._rest:
                    job.add_event(event)
            self._end(job)
        self.held = []

    def close(self):
        self.is_closed = True
        self.release()

    def _end(self, job):
        if isinstance(job.task, SegmentTask):
            job.finish(SegmentDone(0.0, "none", "none"))
        else:
            job.finish(TeachDone(TeachSummary(0.5, 0.5, 1, 1, False, 0.0, 1), ""))
