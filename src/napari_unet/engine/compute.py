"""How the tasks are computed with core; torch is imported when the first one runs."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unet.core.errors import InputError
from napari_unet.core.events import KeptAsideScore, TileResult, TrainProgress
from napari_unet.core.library import find_model
from napari_unet.engine.errors import JobCancelledError
from napari_unet.engine.tasks import (
    Cancelled,
    DeviceInfo,
    ProbeTask,
    SegmentDone,
    SegmentTask,
    TeachDone,
    TeachTask,
)

if TYPE_CHECKING:
    from napari_unet.core.model_file import Model

# Imports of core inside functions: all for weight, they bring torch.

__all__ = ["cached_model", "prepare_worker", "probe", "segment", "teach"]

KEPT_MODELS = 3  # chosen: the one before, the one taught, and one to compare
_models: OrderedDict[tuple[Path, int, int], Model] = OrderedDict()


def prepare_worker() -> None:
    """Import torch, and leave a processor to the viewer where there are four or more."""
    import torch

    import napari_unet.core.predict
    import napari_unet.core.train  # noqa: F401  # so that the first click need not wait

    processors = _processors()
    threads = processors - 1 if processors >= 4 else processors
    torch.set_num_threads(max(1, min(torch.get_num_threads(), threads)))


def _processors() -> int:
    """Count the processors that this process may use."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def cached_model(name_or_path: str) -> Model:
    """Return a model, loaded once; a file that was written anew is loaded anew."""
    from napari_unet.core.model_file import load_model

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


def segment(task: SegmentTask, cancelled: Cancelled) -> Generator[TileResult, None, SegmentDone]:
    """Yield quantised tiles; see `SegmentTask`."""
    from napari_unet.core.predict import predict_tiles

    start = time.monotonic()
    info = _device_info(task.device, task.precision)
    tiles = predict_tiles(
        task.image,
        cached_model(task.model),
        center=task.center,
        device=task.device,
        precision=info.precision,
        tile=task.tile,
        ranges=task.ranges,
    )
    _stop_if(cancelled)
    for tile in tiles:
        yield tile.quantised()
        if tile.index + 1 < tile.count:
            _stop_if(cancelled)
    return SegmentDone(time.monotonic() - start, info.device, info.precision)


def _stop_if(cancelled: Cancelled) -> None:
    if cancelled():
        raise JobCancelledError("Segmenting was stopped; what is shown so far stays.")


def teach(
    task: TeachTask, cancelled: Cancelled
) -> Generator[TrainProgress | KeptAsideScore, None, TeachDone]:
    """Yield progress and scores, then save; see `TeachTask`."""
    from napari_unet.core.train import iter_finetune

    if not task.save_to.endswith(".safetensors"):
        raise InputError(f"The new model is named {task.save_to!r}; end it in .safetensors.")
    try:
        model, summary = yield from iter_finetune(
            cached_model(task.model),
            task.examples,
            seconds=task.seconds,
            steps=task.steps,
            keep=task.keep,
            seed=task.seed,
            device=task.device,
            precision=task.precision,
            cancelled=cancelled,
        )
        if not summary.improved or summary.steps == 0:
            return TeachDone(summary, "")
        name = Path(task.save_to).stem
        card = replace(model.card, name=name, title=task.title or name)
        saved = replace(model, card=card).save(task.save_to)
        return TeachDone(summary, saved.card.path)
    finally:
        _give_back_gpu_memory()


def _give_back_gpu_memory() -> None:
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
