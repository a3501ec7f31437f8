"""Classes instead of objects: every pixel is one of several kinds, for example nucleus."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any  # probabilities come as float or quantised

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_unet.core.class_labels import classes_with, without_specks
from napari_unet.core.instances import check_settings
from napari_unet.core.model_file import Model
from napari_unet.core.rescale import resize_image

__all__ = ["class_map", "with_classes"]

# A new class begins below the mean of the others by this much, so that nothing is taken for it
# before it was taught: the mean is never above the best.
BELOW = 8.0


def with_classes(model: Model, names: Sequence[str]) -> Model:
    """Return a model that tells classes apart, with room for those it does not know yet.

    What it knows stays: the weights of its classes are kept, and until it is taught each pixel is
    of the same class as before. Of a model of objects the first name takes over what it knows of
    them.

    Parameters
    ----------
    model : Model
        It is not changed.
    names : sequence of str
        The classes, without background. Those that the model knows keep their place.

    Raises
    ------
    InputError
        If a name is empty, occurs twice, or is that of the background.
    """
    config = model.config
    classes = classes_with(config, names)
    if classes == config.classes and config.semantic:
        return model
    old = len(config.classes) if config.semantic else 2
    network = copy.deepcopy(model.network)
    head = network.head
    assert isinstance(head, nn.Conv2d)
    wider = nn.Conv2d(head.in_channels, len(classes), head.kernel_size)  # type: ignore[arg-type]
    with torch.no_grad():
        for new, before, below in (
            (wider.weight, head.weight[:old], 0.0),
            (wider.bias, head.bias[:old] if head.bias is not None else torch.zeros(old), BELOW),
        ):
            assert new is not None
            new[:old] = before
            new[old:] = before.mean(dim=0) - below
    network.head = wider
    config = replace(config, classes=classes, semantic=True, object_score=())
    return replace(model, config=config, network=network)


def class_map(
    probability: NDArray[Any],
    *,
    threshold: float = 0.5,
    min_size: int = 0,
    shape: tuple[int, int] | None = None,
) -> NDArray[np.int32]:
    """Return the likeliest class of each pixel that is not background.

    Parameters
    ----------
    probability : ndarray of float (0 to 1) or uint8 (255 is 1.0), shape (C, Y, X)
        Of each class, the background first.
    threshold : float
        Pixels whose probability not to be background is at least this are of a class.
    min_size : int
        Connected pixels of one class that are fewer become background.
    shape : tuple of int, optional
        Rows and columns of the image, where the probability is of that image rescaled.

    Returns
    -------
    ndarray of int32, shape (Y, X) or `shape`
        0 is background, others the index of the class.
    """
    check_settings(threshold, 0.0)
    scale = np.float32(1 / 255 if probability.dtype == np.uint8 else 1)
    belief = probability.astype(np.float32) * scale
    if shape is not None and shape != probability.shape[1:]:
        belief = resize_image(belief, shape)
    winner = belief[1:].argmax(axis=0).astype(np.int32) + 1
    labels = np.where(1 - belief[0] >= max(threshold, 0.5 / 255), winner, 0).astype(np.int32)
    return without_specks(labels, min_size)
