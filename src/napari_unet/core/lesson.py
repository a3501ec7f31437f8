"""What training, teaching and live teaching share: patches, loss, and the checks before them."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.core.interest import center_errors
from napari_unet.core.kept_patches import count_patches
from napari_unet.core.lay_around import count_checked
from napari_unet.core.loss_config import LossConfig
from napari_unet.core.losses import loss_of
from napari_unet.core.model_file import Model
from napari_unet.core.models.network import Network
from napari_unet.core.optimise import Loss, TrainSettings
from napari_unet.core.rehearsal import Rehearsal
from napari_unet.core.sampling import Batch, PatchSampler
from napari_unet.core.size import median_diameter
from napari_unet.core.teacher import Teacher
from napari_unet.core.tiling import network_geometries

__all__ = [
    "check_examples",
    "checked_loss",
    "count_cells",
    "cropped",
    "knowing_size",
    "patch_sampler",
    "patch_shape",
    "sized",
    "steps_of",
    "taught_copy",
    "teaching_loss",
    "watched",
]


def taught_copy(network: nn.Module) -> nn.Module:
    """Return a copy of a network that is to be taught; what would not learn along is left out."""
    learner = copy.deepcopy(network)
    assert isinstance(learner, Network)
    learner.answer_alone()
    return learner


def teaching_loss(named: LossConfig, teacher: Teacher | None, rehearsal: Rehearsal) -> Loss:
    """Return the loss of the checked pixels, and of how far what was known is left elsewhere.

    Where the model knows the image it is held near it there, and always on what it rehearses.
    """
    checked = checked_loss(named)

    def loss(logits: Tensor, batch: Batch) -> Tensor:
        value = checked(logits, batch)
        if teacher is not None and not teacher.is_contradicted:
            target, weight = cropped(batch, logits)
            value = value + teacher.loss(logits, batch.image, target, weight)
        return value if rehearsal.is_empty else value + rehearsal.loss()

    return loss


def checked_loss(named: LossConfig) -> Loss:
    """Return the named loss as one of a batch, of its checked pixels alone."""
    of_pixels = loss_of(named)

    def loss(logits: Tensor, batch: Batch) -> Tensor:
        return of_pixels(logits, *cropped(batch, logits))

    return loss


def watched(loss: Loss, sampler: PatchSampler) -> Loss:
    """Let what draws patches know where the network is wrong: hard places come more often."""

    def watching(logits: Tensor, batch: Batch) -> Tensor:
        sampler.note(batch, center_errors(logits, *cropped(batch, logits)))
        return loss(logits, batch)

    return watching


def cropped(batch: Batch, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Cut target and weight to the middle that valid convolutions leave."""
    sizes = zip(batch.target.shape[1:], logits.shape[2:], strict=True)
    middle = (
        slice(None),
        *(slice((all - left) // 2, (all - left) // 2 + left) for all, left in sizes),
    )
    return batch.target[middle], batch.weight[middle]


def patch_sampler(
    examples: Sequence[Example], config: ModelConfig, settings: TrainSettings, seed: int
) -> PatchSampler:
    """Return what draws patches as the network needs them.

    Raises
    ------
    InputError
        If planes are to be learnt by a model of volumes, or volumes by one of planes.
    """
    for example in examples:
        _check_axes(config, example)
    return PatchSampler(
        examples,
        side=patch_shape(config, settings.patch),
        batch=settings.batch,
        percentiles=config.percentiles,
        augment=settings.augment,
        weights=settings.weights,
        diameter=config.diameter,
        spacing=config.spacing if config.is_volumetric else None,
        seed=seed,
    )


def _check_axes(config: ModelConfig, example: Example) -> None:
    if example.labels.ndim != len(config.spatial_axes):
        what = "volumes" if config.is_volumetric else "planes"
        raise InputError(
            f"The model is one of {what} and labels have shape {example.labels.shape}; "
            f"give labels with the axes {config.spatial_axes}."
        )


def patch_shape(config: ModelConfig, side: int) -> tuple[int, ...]:
    """Return the legal shape of patches about so many pixels wide; of volumes about as high."""
    return tuple(
        geometry.patch_side(max(1, round(side / step)))
        for geometry, step in zip(network_geometries(config), config.spacing, strict=True)
    )


def steps_of(
    epochs: float,
    examples: Sequence[Example],
    settings: TrainSettings,
    diameter: float | None = None,
) -> int:
    """Return how many steps epochs are: in one, patches cover what is checked once.

    Parameters
    ----------
    epochs : float
        How many; parts of one too.
    examples : sequence of Example
        What is learnt from.
    settings : TrainSettings
        Of the patches.
    diameter : float, optional
        Of the objects that the model knows: examples that name their own are rescaled to it.
    """
    patches = 0.0
    for example in examples:
        zoom = diameter / example.diameter if diameter and example.diameter else 1.0
        checked = zoom**2 * np.count_nonzero(example.mask)
        patches += checked / settings.patch**example.labels.ndim
    return max(1, math.ceil(epochs * patches / settings.batch))


def sized(example: Example, config: ModelConfig) -> Example:
    """Name the size of an example's objects, where it has none, from its checked cells."""
    if config.diameter is None or example.diameter is not None or example.semantic:
        return example
    checked = np.where(example.mask, example.labels, 0)
    diameter = median_diameter([checked])
    return example if diameter is None else replace(example, diameter=max(1.0, diameter))


def knowing_size(
    config: ModelConfig, examples: Sequence[Example], *, is_known: bool = False
) -> ModelConfig:
    """Return the settings of a model that was taught these examples, `sized` ones.

    Parameters
    ----------
    config : ModelConfig
        So far.
    examples : sequence of Example
        What was taught.
    is_known : bool
        Whether the model knew this kind of image, and measured these right.
    """
    known = [one.diameter for one in examples if one.diameter is not None and not one.replayed]
    if config.diameter is None or not known:
        return config
    return replace(config, taught_diameter=float(np.median(known)), taught_known=is_known)


def check_examples(model: Model, examples: Sequence[Example]) -> None:
    """Refuse to learn from nothing, or from other channels than the model's.

    Raises
    ------
    InputError
        With a sentence that says what to do.
    """
    if not any(example.mask.any() for example in examples if not example.replayed):
        raise InputError("Nothing is checked yet; correct a few cells first.")
    for example in examples:
        _check_axes(model.config, example)
        channels, needed = len(example.image_cyx), model.config.in_channels
        if channels != needed:
            raise InputError(
                f"The model takes {needed} channel{'s' * (needed != 1)} and an image has "
                f"{channels}; choose which to use."
            )
        if example.semantic != model.config.semantic:
            raise InputError(
                "The model finds objects and the labels are classes; add the classes to the model."
                if example.semantic
                else "The model tells classes apart and the labels are objects; choose another."
            )
        highest, known = int(example.labels.max(initial=0)), len(model.config.classes) - 1
        if example.semantic and highest > known:
            raise InputError(f"A label is {highest}, and the model knows {known} classes; add it.")


def count_cells(example: Example) -> int:
    """Return how many objects are checked, as the dock does; of classes, how many patches."""
    if example.semantic:
        return count_patches(example)
    return count_checked(example.labels, example.mask)
