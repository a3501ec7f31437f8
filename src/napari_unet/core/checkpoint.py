"""A training run on disk: stopped, it goes on later as if nothing had happened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError, ModelFileError
from napari_unet.core.example import Example
from napari_unet.core.files import write_beside
from napari_unet.core.optimise import TrainSettings

__all__ = ["describe_run", "load_checkpoint", "save_checkpoint"]


def describe_run(
    config: ModelConfig,
    settings: TrainSettings,
    seed: int,
    examples: Sequence[Example],
    length: str,
) -> str:
    """Return what two runs must have in common for one to go on where the other stopped."""
    values = {
        "config": config.to_json(),
        "settings": asdict(settings),
        "seed": seed,
        "examples": [[*e.labels.shape, int(np.count_nonzero(e.labels))] for e in examples],
        "length": length,
    }
    return json.dumps(values, sort_keys=True)


def save_checkpoint(path: Path, run: str, state: dict[str, Tensor]) -> None:
    """Write a run's state beside `path`, then rename it into place.

    Raises
    ------
    ModelFileError
        If it cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    try:
        write_beside(path, save(tensors, {"run": run}))
    except OSError as error:
        raise ModelFileError(
            f"Training could not be saved to {path}: {error.strerror or error}."
        ) from error


def load_checkpoint(path: Path, run: str) -> dict[str, Tensor]:
    """Read a run's state.

    Raises
    ------
    InputError
        If it is damaged or of another run.
    """
    try:
        with safe_open(str(path), framework="numpy") as file:
            begun = (file.metadata() or {}).get("run")
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read; train without --resume to begin anew.") from error
    if begun != run:
        raise InputError(
            f"{path} was begun with other images or settings; use those, "
            "or train without --resume to begin anew."
        )
    return state
