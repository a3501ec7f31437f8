"""A U-Net with fewer channels: those are kept of which the others can best be made.

An interpolative decomposition of what each layer answers on images (Chee et al. 2022,
arXiv:2108.00065): channels are chosen by Cholesky's method with pivots, one after the other, each
time the one that those before it explain least. What they explain of the others, by least
squares, is put into the layers that read them. Channels that say the same are thus merged without
any loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from napari_unet.core.channels import Choice, Group, channel_groups, with_channels
from napari_unet.core.errors import InputError
from napari_unet.core.lineage import card_of_cut
from napari_unet.core.model_file import Model

__all__ = ["narrowed"]

RIDGE = 1e-6  # of the mean square of the channels: equal ones do not make the fit fail (chosen)


def narrowed(model: Model, width: int, images: Sequence[Tensor]) -> Model:
    """Return a narrower model that answers as nearly alike as its channels allow.

    Parameters
    ----------
    model : Model
        A U-Net of planes with batch norm or none; it is not changed.
    width : int
        Channels of the first level, below the model's.
    images : sequence of Tensor of float32, shape (B, C, H, W)
        Normalised patches of a legal size, which the model is to answer alike; of the deepest level
        they should have more pixels than it has channels.

    Returns
    -------
    Model
        What was measured of the wide one is not said of it: its card has no scores, and it leaves
        no object out for its looks.

    Raises
    ------
    InputError
        If it is another network, the width is not smaller, or there are no images.
    """
    if not 1 <= width < model.config.width:
        raise InputError(
            f"A model of width {model.config.width} cannot be cut to {width}; give a width of at "
            "least 1 that is below its own."
        )
    if not images:
        raise InputError("There are no images to see which channels matter; give some.")
    groups = channel_groups(model)
    sums = _products(model.network, groups, images)
    choices = {}
    for group in groups:
        plain, pooled = sums[group.maker]
        kept = _pivots(plain, max(1, round(group.channels * width / model.config.width)))
        choices[group.maker] = Choice(kept, _fit(plain, kept), _fit(pooled, kept))
    cut = with_channels(model, width, choices)
    card = card_of_cut(model.card, f"cut from width {model.config.width} to {width}")
    return Model(replace(cut.config, object_score=()), card, cut.network.eval())


def _products(
    network: nn.Module, groups: Sequence[Group], images: Sequence[Tensor]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Sum the products of all pairs of channels of each group, as they are and after pooling."""
    sums: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = []
    for group in groups:
        nothing = torch.zeros(group.channels, group.channels, dtype=torch.float64)
        sums[group.maker] = (nothing, nothing.clone())

        def add(_: nn.Module, __: object, output: Tensor, name: str = group.maker) -> None:
            plain, pooled = sums[name]
            plain += _product(output)
            pooled += _product(nn.functional.max_pool2d(output, 2))

        hooks.append(network.get_submodule(group.output).register_forward_hook(add))
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval()
            for image in images:
                network(image)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return sums


def _product(features: Tensor) -> Tensor:
    """Of (B, C, H, W) the sum over pixels of each channel times each other, (C, C)."""
    flat = features.transpose(0, 1).flatten(1).float()
    return (flat @ flat.T).double()


def _pivots(products: Tensor, count: int) -> Tensor:
    """Choose channels by Cholesky's method with pivots; shape (count,), in rising order."""
    left = products.clone()
    chosen: list[int] = []
    for _ in range(count):
        unexplained = left.diagonal().clone()
        unexplained[chosen] = -1.0
        pivot = int(unexplained.argmax())
        chosen.append(pivot)
        if unexplained[pivot] > 0:
            column = left[:, pivot] / unexplained[pivot].sqrt()
            left -= torch.outer(column, column)
    return torch.tensor(sorted(chosen))


def _fit(products: Tensor, kept: Tensor) -> Tensor:
    """Return how the channels are best made of those kept, shape (kept, channels)."""
    among = products[kept][:, kept]
    ridge = RIDGE * products.diagonal().mean().clamp(min=1e-12)
    among = among + ridge * torch.eye(len(kept), dtype=among.dtype)
    mix: Tensor = torch.linalg.solve(among, products[kept])
    return mix
