"""What `train` and `finetune` share: budget, settings, the file to write, stopping in time."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from napari_unet.commands.console import say_aside
from napari_unet.core.errors import InputError

if TYPE_CHECKING:
    from napari_unet.core.example import Example
    from napari_unet.core.optimise import TrainSettings

__all__ = [
    "StopKey",
    "budget_seconds",
    "budget_steps",
    "checked_target",
    "settings_of",
    "stop_key",
]


# What options of the command line are called like the settings that they set.
OPTIONS = (
    "patch",
    "batch",
    "learning_rate",
    "frozen",
    "loss",
    "optimiser",
    "momentum",
    "weight_decay",
    "clip",
    "schedule",
    "accumulate",
    "recompute",
    "patience",
    "watch_every",
    "average",
)


class StopKey:
    """Whether the user has asked to stop: `cancelled` of the training loop."""

    def __init__(self) -> None:
        self.is_pressed = False

    def __call__(self) -> bool:
        return self.is_pressed


@contextmanager
def stop_key() -> Generator[StopKey]:
    """Let Ctrl-C end training with what was learnt so far; pressed twice, it ends at once."""
    key = StopKey()

    def press(number: int, frame: FrameType | None) -> None:
        if key.is_pressed:
            raise KeyboardInterrupt
        key.is_pressed = True
        say_aside("\nStopping with what was learnt so far; press Ctrl-C again to end at once.")

    if threading.current_thread() is not threading.main_thread():
        yield key
        return
    before = signal.signal(signal.SIGINT, press)
    try:
        yield key
    finally:
        signal.signal(signal.SIGINT, before)


def budget_seconds(args: argparse.Namespace) -> float | None:
    """Return the seconds to learn for; None where only steps or epochs are given."""
    if args.seconds is None and args.steps is None and getattr(args, "epochs", None) is None:
        return float(args.default_seconds)
    return None if args.seconds is None else float(args.seconds)


def budget_steps(
    args: argparse.Namespace,
    examples: Sequence[Example],
    settings: TrainSettings,
    diameter: float | None,
) -> int | None:
    """Return the steps to learn for, the fewer of those that are given and those of the epochs."""
    from napari_unet.core.lesson import steps_of  # brings torch

    given = [] if args.steps is None else [int(args.steps)]
    if args.epochs is not None:
        given.append(steps_of(args.epochs, examples, settings, diameter))
    return min(given, default=None)


def settings_of(args: argparse.Namespace, settings: TrainSettings) -> TrainSettings:
    """Return the settings with what the options say."""
    named = {name: getattr(args, name, None) for name in OPTIONS}
    settings = replace(settings, **{n: value for n, value in named.items() if value is not None})
    return replace(settings, augment=settings.augment.changed(args.augment))


def checked_target(out: str) -> Path:
    """Return the model file to write, before anything is learnt for it.

    Raises
    ------
    InputError
        If it does not end in .safetensors, or is a folder.
    """
    path = Path(out)
    if path.suffix != ".safetensors":
        raise InputError(f"A model file ends in .safetensors; write to {path.stem}.safetensors.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a model file.")
    return path
