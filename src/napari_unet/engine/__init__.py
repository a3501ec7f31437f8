"""Where core runs: in this process or in one worker process."""

from napari_unet.engine.errors import JobCancelledError, WorkerDiedError
from napari_unet.engine.process import ProcessRunner
from napari_unet.engine.runner import InlineRunner, Job, Runner
from napari_unet.engine.tasks import (
    DeviceInfo,
    MeasureTask,
    PlaneSize,
    ProbeTask,
    SegmentDone,
    SegmentTask,
    SegmentVolumeTask,
    Task,
    Wishes,
    run_task,
)
from napari_unet.engine.teach_tasks import KeepLiveTask, Learnt, LearnTask, TeachDone, TeachTask

__all__ = [
    "DeviceInfo",
    "InlineRunner",
    "Job",
    "JobCancelledError",
    "KeepLiveTask",
    "LearnTask",
    "Learnt",
    "MeasureTask",
    "PlaneSize",
    "ProbeTask",
    "ProcessRunner",
    "Runner",
    "SegmentDone",
    "SegmentTask",
    "SegmentVolumeTask",
    "Task",
    "TeachDone",
    "TeachTask",
    "Wishes",
    "WorkerDiedError",
    "run_task",
]
