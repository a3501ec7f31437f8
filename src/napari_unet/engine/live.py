"""Live teaching in the worker: one network that goes on learning from task to task."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from napari_unet.core.errors import ComputeError
from napari_unet.core.events import TrainProgress
from napari_unet.engine.tasks import Cancelled, KeepLiveTask, LearnTask, TeachDone

if TYPE_CHECKING:
    from napari_unet.core.live import LiveTeaching
    from napari_unet.core.model_file import Model

# Imports inside functions: for weight, they bring torch.

__all__ = ["LIVE", "keep", "learn", "live_model"]

LIVE = "live:"


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


def learn(task: LearnTask, cancelled: Cancelled) -> Generator[TrainProgress, None, int]:
    """Go on learning; see `LearnTask`."""
    from napari_unet.core.live import LiveTeaching
    from napari_unet.engine.compute import cached_model, sized

    if not _pupil or _pupil[0].name != task.name:
        start = cached_model(task.model)
        teaching = LiveTeaching(
            start,
            keep=task.keep,
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
    return pupil.teaching.steps


def keep(task: KeepLiveTask) -> Generator[object, None, TeachDone]:
    """Judge and save; see `KeepLiveTask`."""
    from napari_unet.engine.compute import check_name, give_back_gpu_memory, saved

    yield from ()
    check_name(task)
    pupil = _known(task.name)
    model, summary = pupil.teaching.finish(task.examples)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    line = f"{now}: {summary.sentence} ({summary.steps} steps, {summary.seconds:.0f} s, live)"
    card = replace(
        model.card,
        parent=pupil.start.card.name,
        history=(*model.card.history, line),
        created=now,
    )
    done = saved(replace(model, card=card), summary, task, pupil.start)
    _pupil.clear()
    give_back_gpu_memory()
    return done


def _known(name: str) -> _Pupil:
    if not _pupil or _pupil[0].name != name:
        raise ComputeError("What was learnt since the last version is lost; teach again.")
    return _pupil[0]
