"""Classes instead of objects: every pixel is one of several kinds, for example nucleus."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from napari_unet.core.class_labels import classes_with
from napari_unet.core.model_file import Model
from napari_unet.core.models.network import Network

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
    model.must_be_of_planes("taught classes")
    config = model.config
    classes = classes_with(config, names)
    if classes == config.classes and config.semantic:
        return model
    old = len(config.classes) if config.semantic else 2
    network = copy.deepcopy(model.network)
    assert isinstance(network, Network)
    assert isinstance(network.head, nn.Conv2d)
    network.head = _widened(network.head, len(classes), old)
    for number, head in enumerate(network.side_heads):
        assert isinstance(head, nn.Conv2d)
        network.side_heads[number] = _widened(head, len(classes), old)
    size = config.diameter if config.semantic else None
    config = replace(config, classes=classes, semantic=True, diameter=size, object_score=())
    return replace(model, config=config, network=network)


def _widened(head: nn.Conv2d, classes: int, old: int) -> nn.Conv2d:
    """Return an output layer whose first `old` rows are kept and whose others are far below."""
    wider = nn.Conv2d(
        head.in_channels,
        classes,
        head.kernel_size,  # type: ignore[arg-type]  # torch annotates it as a tuple of any length
        padding=head.padding,  # type: ignore[arg-type]  # the same
    )
    with torch.no_grad():
        for new, before, below in (
            (wider.weight, head.weight[:old], 0.0),
            (wider.bias, head.bias[:old] if head.bias is not None else torch.zeros(old), BELOW),
        ):
            assert new is not None
            new[:old] = before
            new[old:] = before.mean(dim=0) - below
    return wider
