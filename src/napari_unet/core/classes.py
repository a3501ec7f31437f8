"""Classes instead of objects: every pixel is one of several kinds, for example nucleus."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from napari_unet.core.class_labels import classes_with
from napari_unet.core.model_file import Model

__all__ = ["with_classes"]

# A new class begins below the mean of the others by this much, so that nothing is taken for it
# before it was taught: the mean is never above the best.
BELOW = 8.0


def with_classes(model: Model, names: Sequence[str]) -> Model:
    """Return a model that tells classes apart, with room for those it does not know yet.

    What it knows stays: the weights of its classes are kept, and until it is taught each pixel is
    of the same class as before. Of a model of objects the first name takes over what it knows of
    them; classes have no one size, so images are then taken as they are.

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
    size = config.diameter if config.semantic else None
    config = replace(config, classes=classes, semantic=True, diameter=size, object_score=())
    return replace(model, config=config, network=network)
