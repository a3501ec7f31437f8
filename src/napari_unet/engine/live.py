"""Live teaching in the worker: one network that goes on learning from task to task."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unet.core.errors import ComputeError
from napari_unet.core.events import TrainProgress
from napari_unet.engine.tasks import LIVE, Cancelled
from napari_unet.engine.teach_tasks import KeepLiveTask, Learnt, LearnTask, TeachDone

if TYPE_CHECKING:
    from napari_unet.core.live import LiveTeaching
    from napari_unet.core.model_file import Model

# Imports inside functions: for weight, they bring torch.

__all__ = ["LIVE", "keep", "learn", "live_model"]


@dataclass
class _Pupil:
    """What is taught live now."""

    name: str
    start: Model
    teaching: LiveTeaching
    model: Model


_pupil: list[_Pupil] = []  # one or none


def live_model(name: str) -> Model:
    """Return what was learnt so far under a name.

    Raises
    ------
    ComputeError
        If the worker does not know it.
    """
    return _known(name).model


def learn(task: LearnTask, cancelled: Cancelled) -> Generator[TrainProgress, None, Learnt]:
    """Go on learning; see `LearnTask`."""
    from napari_unet.core.live import LiveTeaching
    from napari_unet.engine.compute import base_of, check_name, kept, saved, sized, to_teach

    if task.save_to:
        check_name(task)
    if not _pupil or _pupil[0].name != task.name:
        start = to_teach(task)
        teaching = LiveTeaching(
            start,
            keep=kept(task),
            base=base_of(task, start),
            seed=task.seed,
            device=task.device,
            precision=task.precision,
        )
        _pupil[:] = [_Pupil(task.name, start, teaching, start)]
    pupil = _pupil[0]
    examples = [sized(example, pupil.start, task, cancelled) for example in task.examples]
    pupil.model = yield from pupil.teaching.learn(
        examples, seconds=task.seconds, cancelled=cancelled
    )
    if task.save_to:
        line = f"taught live so far ({pupil.teaching.steps} steps)"
        saved(_with_history(pupil, pupil.model, line), None, task, pupil.start)
    return Learnt(pupil.teaching.steps, pupil.teaching.diameters)


def keep(task: KeepLiveTask) -> Generator[object, None, TeachDone]:
    """Judge and save; see `KeepLiveTask`."""
    from napari_unet.engine.compute import check_name, give_back_gpu_memory, saved

    yield from ()
    check_name(task)
    pupil = _known(task.name)
    model, summary = pupil.teaching.finish(task.examples)
    path = ""
    if summary.improved and summary.steps:
        line = f"{summary.sentence} ({summary.steps} steps, {summary.seconds:.0f} s, live)"
        path = saved(_with_history(pupil, model, line), summary, task, pupil.start)
    else:
        Path(task.save_to).unlink(missing_ok=True)  # saved after a turn
    _pupil.clear()
    give_back_gpu_memory()
    return TeachDone(summary, path)


def _with_history(pupil: _Pupil, model: Model, line: str) -> Model:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    start = pupil.start.card
    history = (*start.history, f"{now}: {line}")
    return replace(model, card=replace(start, parent=start.name, history=history, created=now))


def _known(name: str) -> _Pupil:
    if not _pupil or _pupil[0].name != name:
        raise ComputeError("The worker has lost what it was learning.")
    return _pupil[0]
