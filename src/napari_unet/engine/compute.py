"""How the tasks are computed with core; torch is imported when the first one runs."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Generator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any  # images come in any real dtype

from numpy.typing import NDArray

from napari_unet.core.errors import InputError, NapariUnetError
from napari_unet.core.events import (
    KeptAsideScore,
    TeachSummary,
    TileResult,
    TrainProgress,
    VolumeResult,
)
from napari_unet.core.example import Example
from napari_unet.core.library import find_model
from napari_unet.core.rescale import to_model_size
from napari_unet.engine.errors import JobCancelledError
from napari_unet.engine.tasks import (
    Cancelled,
    DeviceInfo,
    MeasureTask,
    PlaneSize,
    ProbeTask,
    SegmentDone,
    SegmentTask,
    SegmentVolumeTask,
    Wishes,
)
from napari_unet.engine.teach_tasks import KeepLiveTask, LearnTask, TeachDone, TeachTask

if TYPE_CHECKING:
    from napari_unet.core.model_file import Model
    from napari_unet.core.optimise import TrainSettings

# Imports of core inside functions: all for weight, they bring torch.

__all__ = [
    "base_of",
    "cached_model",
    "check_name",
    "give_back_gpu_memory",
    "kept",
    "measure",
    "prepare_worker",
    "probe",
    "saved",
    "segment",
    "segment_volume",
    "sized",
    "teach",
    "to_teach",
]

QUICK_PATCH = 32  # voxels a side, of volumes without a graphics card (chosen)
KEPT_MODELS = 3  # chosen: the one before, the one taught, and one to compare
_models: OrderedDict[tuple[Path, int, int], Model] = OrderedDict()


def prepare_worker() -> None:
    """Import torch, and leave a processor to the viewer where there are four or more."""
    import torch

    import napari_unet.core.fine_tuning
    import napari_unet.core.segmentation  # noqa: F401  # so that the first click need not wait

    processors = _processors()
    threads = processors - 1 if processors >= 4 else processors
    torch.set_num_threads(max(1, min(torch.get_num_threads(), threads)))


def _processors() -> int:
    """Count the processors that this process may use."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def cached_model(name_or_path: str) -> Model:
    """Return a model, loaded once; a file that was written anew is loaded anew.

    A name that begins with "live:" is one that is being taught live.
    """
    from napari_unet.core.model_file import load_model
    from napari_unet.engine.live import LIVE, live_model

    if name_or_path.startswith(LIVE):
        return live_model(name_or_path)
    path = find_model(name_or_path).resolve()
    status = path.stat()
    key = (path, status.st_mtime_ns, status.st_size)
    if key not in _models:
        for old in [old for old in _models if old[0] == path]:
            del _models[old]
        while len(_models) >= KEPT_MODELS:
            _models.popitem(last=False)
        _models[key] = load_model(path)
    _models.move_to_end(key)
    return _models[key]


def segment(
    task: SegmentTask, cancelled: Cancelled
) -> Generator[PlaneSize | TileResult, None, SegmentDone]:
    """Yield the size of the plane and quantised tiles; see `SegmentTask`."""
    from napari_unet.core.predict import predict_averaged

    start = time.monotonic()
    info = _device_info(task.device, task.precision)
    model = cached_model(task.model)
    diameter = task.diameter
    if diameter is None:
        diameter = _measured(task.image, model, task.device, info.precision, cancelled)
    _stop_if(cancelled)
    plane, ranges = to_model_size(task.image, model.config, diameter, task.ranges)
    shape_yx = (plane.shape[1], plane.shape[2])
    measured = task.diameter is None and model.config.diameter is not None
    yield PlaneSize(diameter, shape_yx, measured)
    notes: list[str] = []

    def center() -> tuple[float, float] | None:
        looks_at = cancelled.center if isinstance(cancelled, Wishes) else None
        return _rescaled(looks_at or task.center, task.image.shape[1:], shape_yx)

    tiles = predict_averaged(
        plane,
        model,
        task.average,
        center=center,
        device=task.device,
        precision=info.precision,
        tile=task.tile,
        ranges=ranges,
        quick=True,
        tell=notes.append,
    )
    try:
        _stop_if(cancelled)
        for tile in tiles:
            yield tile.quantised()
            if tile.index + 1 < tile.count:
                _stop_if(cancelled)
    finally:
        give_back_gpu_memory()
    seconds = time.monotonic() - start
    return SegmentDone(seconds, info.device, info.precision, tuple(notes))


def segment_volume(
    task: SegmentVolumeTask, cancelled: Cancelled
) -> Generator[VolumeResult, None, SegmentDone]:
    """Yield quantised tiles; see `SegmentVolumeTask`."""
    from napari_unet.core.predict_volume import predict_volume_tiles

    start = time.monotonic()
    info = _device_info(task.device, task.precision)
    model = cached_model(task.model)
    notes: list[str] = []
    tiles = predict_volume_tiles(
        task.image,
        model,
        device=task.device,
        precision=info.precision,
        quick=True,
        tell=notes.append,
    )
    try:
        _stop_if(cancelled)
        for tile in tiles:
            yield tile.quantised()
            if tile.done < tile.count:
                _stop_if(cancelled)
    finally:
        give_back_gpu_memory()
    seconds = time.monotonic() - start
    return SegmentDone(seconds, info.device, info.precision, tuple(notes))


def _rescaled(
    center: tuple[float, float] | None, old: tuple[int, ...], new: tuple[int, int]
) -> tuple[float, float] | None:
    """Where a point of the image is after it was rescaled."""
    return None if center is None else (center[0] * new[0] / old[0], center[1] * new[1] / old[1])


def _stop_if(cancelled: Cancelled) -> None:
    if cancelled():
        raise JobCancelledError("Segmenting was stopped; what is shown so far stays.")


def measure(task: MeasureTask, cancelled: Cancelled) -> Generator[object, None, float | None]:
    """Measure; see `MeasureTask`."""
    yield from ()
    info = _device_info(task.device, task.precision)
    model = cached_model(task.model)
    diameter = _measured(task.image, model, task.device, info.precision, cancelled)
    if cancelled():
        raise JobCancelledError("Measuring was stopped; nothing was changed.")
    return diameter


def _measured(
    image_cyx: NDArray[Any], model: Model, device: str, precision: str, cancelled: Cancelled
) -> float | None:
    from napari_unet.core.measure import measure_diameter

    if model.config.diameter is None or cancelled():
        return None
    return measure_diameter(
        image_cyx, model, device=device, precision=precision, cancelled=cancelled
    )


def teach(
    task: TeachTask, cancelled: Cancelled
) -> Generator[TrainProgress | KeptAsideScore, None, TeachDone]:
    """Yield progress and scores, then save; see `TeachTask`."""
    from napari_unet.core.fine_tuning import iter_finetune

    check_name(task)
    start = to_teach(task)
    try:
        examples = [sized(example, start, task, cancelled) for example in task.examples]
        model, summary = yield from iter_finetune(
            start,
            examples,
            seconds=task.seconds,
            steps=task.steps,
            keep=kept(task),
            base=base_of(task, start),
            settings=_quick_settings(start, task.device),
            seed=task.seed,
            device=task.device,
            precision=task.precision,
            cancelled=cancelled,
        )
        if not summary.improved or summary.steps == 0:
            return TeachDone(summary, "")
        return TeachDone(summary, saved(model, summary, task, start))
    finally:
        give_back_gpu_memory()


def _quick_settings(model: Model, device: str) -> TrainSettings | None:
    """Return how is taught where somebody waits; None leaves it to `iter_finetune`.

    Volumes are learnt in small patches where there is no graphics card: of usual ones a processor
    does a step in several seconds.
    """
    from napari_unet.core.device import choose_device
    from napari_unet.core.train_settings import TEACH_VOLUME_SETTINGS

    if not model.config.is_volumetric or choose_device(device).type == "cuda":
        return None
    return replace(TEACH_VOLUME_SETTINGS, patch=QUICK_PATCH)


def to_teach(task: TeachTask | LearnTask) -> Model:
    """Return the model that is taught, with room for the classes that it is taught."""
    model = cached_model(task.model)
    if task.classes:
        from napari_unet.core.classes import with_classes

        model = with_classes(model, task.classes)
    return model


def kept(task: TeachTask | LearnTask) -> float:
    """Return how near the taught model stays: what knows objects has nothing to say of classes."""
    is_first = bool(task.classes) and not cached_model(task.model).config.semantic
    return 0.0 if is_first else task.keep


def base_of(task: TeachTask | LearnTask, start: Model) -> Model | None:
    """Return the model before all rounds of teaching, if it is there and like the one taught."""
    if not task.base or task.base == task.model or task.classes:
        return None
    try:
        base = to_teach(replace(task, model=task.base))
    except NapariUnetError:  # the file is gone; then it stays close to what it knows now
        return None
    return base if base.config.classes == start.config.classes else None


def check_name(task: TeachTask | LearnTask | KeepLiveTask) -> None:
    """Refuse to save to anything but a model file.

    Raises
    ------
    InputError
    """
    if not task.save_to.endswith(".safetensors"):
        raise InputError(f"The new model is named {task.save_to!r}; end it in .safetensors.")


def saved(
    model: Model,
    summary: TeachSummary | None,
    task: TeachTask | LearnTask | KeepLiveTask,
    start: Model,
) -> str:
    """Save what was taught to `start`, and return its path."""
    name = Path(task.save_to).stem
    card = replace(
        model.card,
        name=name,
        title=task.title or name,
        origin=task.origin or start.card.identity,
        taught={} if summary is None else asdict(summary),
    )
    return replace(model, card=card).save(task.save_to).card.path


def sized(
    example: Example, model: Model, task: TeachTask | LearnTask, cancelled: Cancelled
) -> Example:
    """Name the size of an example's objects, as they will be segmented."""
    if model.config.diameter is None:
        return replace(example, diameter=None)
    if example.diameter is not None or example.replayed:  # then its checked cells tell
        return example
    precision = _device_info(task.device, task.precision).precision
    diameter = _measured(example.image_cyx, model, task.device, precision, cancelled)
    return replace(example, diameter=diameter)


def give_back_gpu_memory() -> None:
    """Return what torch keeps for later: teaching needs far more than segmenting."""
    import torch

    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def probe(task: ProbeTask) -> Generator[object, None, DeviceInfo]:
    """Say what will compute."""
    yield from ()
    return _device_info(task.device, task.precision)


def _device_info(device: str, precision: str) -> DeviceInfo:
    from napari_unet.core.device import choose_device, choose_precision, device_name

    chosen = choose_device(device)
    precision = choose_precision(precision, chosen)
    name = device_name(chosen)
    return DeviceInfo(name, precision, f"{name}, {precision}, ready")
