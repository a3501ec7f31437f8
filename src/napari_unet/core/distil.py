"""Knowledge distillation: a small network learns what a large one says, beside the labels."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_unet.core.config import ModelConfig
from napari_unet.core.device import channels_last
from napari_unet.core.errors import InputError
from napari_unet.core.model_file import Model
from napari_unet.core.optimise import Loss, Optimisation
from napari_unet.core.sampling import Batch
from napari_unet.core.tiling import network_geometry

__all__ = ["TEMPERATURE", "check_teacher", "softened_divergence", "taught_loss"]

# Hinton et al. 2015 use 2.5 to 4 for small students (section 3); chosen: unsure pixels are told
# from sure ones, and there are only two classes.
TEMPERATURE = 2.0
SHARE = 0.7  # of the loss that the teacher gives; the labels give the rest (chosen)


def taught_loss(
    run: Optimisation, of_labels: Loss, teacher: Model, config: ModelConfig, patch: int
) -> Loss:
    """Return the loss of the labels, mixed with how far a network is from its teacher's answers.

    The teacher answers the varied patch itself, so that it teaches more than there are labels;
    also where nothing is checked.

    Parameters
    ----------
    run : Optimisation
        Of the network that learns.
    of_labels : callable
        The loss without a teacher.
    teacher : Model
        It is not changed.
    config : ModelConfig
        Of the network that learns.
    patch : int
        Side of the patches that are asked for.

    Raises
    ------
    InputError
        See `check_teacher`; or if the teacher cannot take patches of the student's size.
    """
    check_teacher(teacher, config)
    side = network_geometry(config).patch_side(patch)
    fitting = network_geometry(teacher.config).patch_side(side)
    if fitting != side:
        raise InputError(
            f"The teacher takes patches of {fitting} pixels and the one that learns those of "
            f"{side}; give both the same architecture and depth, or another --patch."
        )
    network = channels_last(copy.deepcopy(teacher.network), run.device).eval()
    network.requires_grad_(False)

    def loss(logits: Tensor, batch: Batch) -> Tensor:
        with torch.no_grad(), run.autocast():
            said = network(batch.image.contiguous(memory_format=torch.channels_last))
        near = softened_divergence(logits, said)
        return (1 - SHARE) * of_labels(logits, batch) + SHARE * near

    return loss


def softened_divergence(logits: Tensor, said: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Kullback-Leibler divergence of softened probabilities, times the temperature squared.

    Hinton et al. 2015 (arXiv:1503.02531, section 2): the square keeps gradients of one size
    whatever the temperature. Mean over all pixels; 0 where both agree.

    Parameters
    ----------
    logits, said : Tensor, shape (B, classes, H, W)
        Of the network that learns, and of its teacher; the larger one is cut to the other's middle.
    """
    height, width = (min(logits.shape[axis], said.shape[axis]) for axis in (2, 3))
    student, teacher = (
        F.log_softmax(_middle(one, height, width).float() / temperature, dim=1)
        for one in (logits, said)
    )
    return temperature**2 * (teacher.exp() * (teacher - student)).sum(dim=1).mean()


def check_teacher(teacher: Model, config: ModelConfig) -> None:
    """Refuse a teacher that looks at other images than the one that learns.

    Raises
    ------
    InputError
        If channels, classes, size of objects or normalisation differ.
    """
    names = ("in_channels", "slices", "classes", "semantic", "percentiles", "diameter")
    for name in names:
        own, other = getattr(config, name), getattr(teacher.config, name)
        if own != other:
            raise InputError(
                f"The teacher has {name.replace('_', ' ')} {other} and {own} is asked for; "
                "they must be equal."
            )


def _middle(logits: Tensor, height: int, width: int) -> Tensor:
    y, x = (logits.shape[2] - height) // 2, (logits.shape[3] - width) // 2
    return logits[:, :, y : y + height, x : x + width]
