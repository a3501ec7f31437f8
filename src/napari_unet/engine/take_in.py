"""Packages of other programs become model files, once they have computed what they say they do."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_unet.core.errors import InputError
from napari_unet.core.files import write_beside
from napari_unet.core.library import read_model_header, user_model_file
from napari_unet.core.normalize import apply_range
from napari_unet.formats.zoo import Package, read_package

if TYPE_CHECKING:
    from napari_unet.core.model_file import Model
    from napari_unet.engine.tasks import ImportTask

__all__ = ["take_in"]

# Probabilities may be off by so much at the most, and in the mean: versions of torch differ, and
# so do the percentiles of a few libraries (chosen).
MOST_OFF, MEAN_OFF = 0.05, 0.005


def take_in(task: ImportTask) -> Generator[object, None, str]:
    """Take a package in; see `ImportTask`."""
    yield from ()
    path = Path(task.package)
    package = read_package(path)
    target = user_model_file(task.name or package.card.name, Path(task.folder), force=task.force)
    if package.ours:
        _write_ours(target, package)
        return str(target)
    model = _model(package)
    _check(model, package, path.name)
    card = replace(model.card, name=target.stem)
    return replace(model, card=card).save(target).card.path


def _write_ours(target: Path, package: Package) -> None:
    """The package holds a model file of ours; it is taken as it is, if it is one."""
    beside = target.with_suffix(".taken.part")
    try:
        write_beside(beside, package.ours)
        read_model_header(beside)
        beside.replace(target)
    except OSError as error:
        raise InputError(
            f"The model could not be written to {target}: {error.strerror or error}."
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def _model(package: Package) -> Model:
    import torch  # weight

    from napari_unet.core.model_file import Model  # torch
    from napari_unet.core.models.graph import GraphNetwork

    assert package.config.graph is not None
    graph = torch.frombuffer(bytearray(package.graph), dtype=torch.uint8)
    return Model(package.config, package.card, GraphNetwork(graph, package.config.graph).eval())


def _check(model: Model, package: Package, name: str) -> None:
    """Run the package's own test as an image is run here.

    Raises
    ------
    InputError
        If it gives something else than the package says.
    """
    import torch  # weight

    from napari_unet.core.models.graph import GraphNetwork  # torch

    assert isinstance(model.network, GraphNetwork)
    image = package.test_input[0]
    values = apply_range(image, model.config.range_of(image))[None]
    with torch.inference_mode():
        found = model.network(torch.from_numpy(values)).exp().numpy()
        said = torch.from_numpy(package.test_output.astype(np.float32))
        expected = model.network.probabilities(said).numpy()
    off = np.abs(found - expected) if found.shape == expected.shape else np.ones(1)
    if not (off.max() <= MOST_OFF and off.mean() <= MEAN_OFF):
        raise InputError(
            f"{name} cannot be used in Segment: its own test image gives other probabilities than "
            f"it says (off by up to {off.max():.2g}); it may be prepared in a way not known here."
        )
