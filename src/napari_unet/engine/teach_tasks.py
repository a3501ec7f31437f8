"""What a worker can be asked to do to teach a model; see `napari_unet.engine.tasks`."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar

from napari_unet.core.events import KeptAsideScore, TeachSummary, TrainProgress
from napari_unet.core.example import Example
from napari_unet.engine.tasks import Cancelled

__all__ = ["KeepLiveTask", "LearnTask", "Learnt", "TeachDone", "TeachTask"]


@dataclass(frozen=True)
class TeachDone:
    """A round of teaching ended; ``model`` is the path written, empty if none was."""

    summary: TeachSummary
    model: str


@dataclass(frozen=True, slots=True)
class Learnt:
    """A turn of live teaching ended.

    Attributes
    ----------
    steps : int
        How many were made since the beginning.
    diameters : tuple of float or None
        At which sizes it learnt, as in `napari_unet.core.events.TeachSummary`.
    """

    steps: int
    diameters: tuple[float | None, ...] = ()


@dataclass(frozen=True, eq=False)
class TeachTask:
    """Teach a model and save it under a new name; see `napari_unet.core.iter_finetune`.

    The new model is written if the summary says that it improved, or if too little was
    checked to tell. Cancelled, it returns the best so far in the same way.

    Attributes
    ----------
    model : str
        Name or path of the model to start from; it stays as it is.
    examples : tuple of Example
        Images with labels and checked areas; leave the arrays unchanged until the job is done.
        Where one has no diameter, it is measured as `SegmentTask` does.
    seconds, steps : optional
        How long; at least one.
    keep : float
        0: learn freely; 1: stay close to what the model knows.
    save_to : str
        Path of the new ".safetensors" file; its stem is the new model's name.
    title : str
        What lists show for the new model; empty takes its name.
    origin : str
        The model that the first round began with, see `ModelCard`; empty takes this one.
    classes : tuple of str
        Names to add to the model first, where classes are learnt; see `with_classes`.
    base : str
        Name or path of the model before all rounds of teaching, which it stays close to; empty
        takes the one to start from.
    seed, device, precision
        See `iter_finetune`.
    """

    # The best so far needs the step to end and the cells kept aside to be scored.
    grace_s: ClassVar[float] = 60.0

    model: str
    examples: tuple[Example, ...]
    seconds: float | None = None
    steps: int | None = None
    keep: float = 0.5
    save_to: str = ""
    title: str = ""
    origin: str = ""
    classes: tuple[str, ...] = ()
    base: str = ""
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"

    def run(
        self, cancelled: Cancelled
    ) -> Generator[TrainProgress | KeptAsideScore, None, TeachDone]:
        """Yield progress and scores."""
        from napari_unet.engine.compute import teach  # weight: runs torch

        return teach(self, cancelled)


@dataclass(frozen=True, eq=False)
class LearnTask:
    """Learn for some seconds, going on from the last such task of the same name.

    See `napari_unet.core.live.LiveTeaching`. What was learnt so far segments under that name. One
    such model lives in the worker at a time: after a crash, or another name, it begins anew.

    Attributes
    ----------
    name : str
        Begins with "live:".
    model : str
        Name or path of the model to start from.
    examples : tuple of Example
        As those of `TeachTask`: all that is checked now.
    seconds : float
        How long.
    classes, base
        See `TeachTask`.
    save_to, title, origin : str
        See `TeachTask`: after each turn what was learnt is saved, so that no crash costs more
        than a turn. Empty: it is not.
    keep, seed, device, precision
        See `TeachTask`.
    """

    grace_s: ClassVar[float] = 60.0  # with the worker what was learnt in earlier turns would go

    name: str
    model: str
    examples: tuple[Example, ...]
    seconds: float
    save_to: str = ""
    title: str = ""
    origin: str = ""
    classes: tuple[str, ...] = ()
    base: str = ""
    keep: float = 0.5
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"

    def run(self, cancelled: Cancelled) -> Generator[TrainProgress, None, Learnt]:
        """Yield progress."""
        from napari_unet.engine.live import learn  # weight: runs torch

        return learn(self, cancelled)


@dataclass(frozen=True, eq=False)
class KeepLiveTask:
    """End live teaching: judge what was learnt on what is checked, and save it if it is better.

    Attributes
    ----------
    name : str
        Of the `LearnTask`.
    examples : tuple of Example
        All that is checked.
    save_to, title, origin
        See `TeachTask`.
    """

    grace_s: ClassVar[float] = 60.0

    name: str
    examples: tuple[Example, ...]
    save_to: str = ""
    title: str = ""
    origin: str = ""

    def run(self, cancelled: Cancelled) -> Generator[object, None, TeachDone]:
        """Yield nothing."""
        from napari_unet.engine.live import keep  # weight: runs torch

        return keep(self)
