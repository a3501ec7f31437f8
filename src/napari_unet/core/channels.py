"""The channels of a U-Net, group by group, so that a network can be made wider or narrower.

A group is what one convolution puts out. A network of another width has the same groups with other
numbers of channels; it is told of each group which old channels its new ones are, and how the old
ones are made of the new ones by those who read them::

    maker (rows chosen) -> group -> readers (columns mixed)

The first level's block of the contracting path, for instance, is read by the next level, after
pooling, and by the skip connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from napari_unet.core.errors import InputError
from napari_unet.core.model_file import Model
from napari_unet.core.models.build import build_network
from napari_unet.core.models.unet import UNet

__all__ = ["Choice", "Group", "Reader", "channel_groups", "with_channels"]

FIRST, SECOND = 0, 1  # convolution of a block


@dataclass(frozen=True, slots=True)
class Reader:
    """A layer that reads a group.

    Attributes
    ----------
    layer : str
        Name of the convolution.
    offset : int
        Where the group begins among its inputs, in channels of the network as it is.
    pooled : bool
        Whether it reads the group after pooling.
    """

    layer: str
    offset: int = 0
    pooled: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """What a convolution puts out.

    Attributes
    ----------
    maker : str
        Name of the convolution.
    output : str
        Name of the layer whose output its readers get: its ReLU, or itself.
    channels : int
    norm : str
        Name of the norm after it, empty if there is none.
    readers : tuple of Reader
    """

    maker: str
    output: str
    channels: int
    norm: str = ""
    readers: tuple[Reader, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The channels of a group in another network.

    Attributes
    ----------
    kept : Tensor of int64, shape (new,)
        Which old channel each new one is.
    mix : Tensor of float, shape (new, old)
        How much of each new channel makes each old one, for those who read the group.
    pooled : Tensor of float, shape (new, old), optional
        The same for those who read it after pooling; None takes `mix`.
    """

    kept: Tensor
    mix: Tensor
    pooled: Tensor | None = field(default=None)


def channel_groups(model: Model) -> list[Group]:
    """Return the groups of a U-Net of planes, those that are computed first coming first.

    Raises
    ------
    InputError
        If it is another network, or its norm mixes channels.
    """
    config, network = model.config, model.network
    if type(network) is not UNet or config.network_norm not in ("batch", "none"):
        raise InputError(
            f"The model is a {config.architecture} with {config.network_norm} norm; only a unet or "
            "unet-valid with batch norm or none can be given another width."
        )
    depth = config.depth
    groups = []
    for level in range(depth + 1):
        name, width = f"down.{level}", config.width * 2**level
        below = Reader(_convolution(network, f"down.{level + 1}", FIRST), pooled=True)
        readers: tuple[Reader, ...] = (
            Reader(_convolution(network, f"merge.{level}", FIRST)),
            below,
        )
        if level == depth:
            readers = (Reader(f"up.{depth - 1}"),)
        groups += _block(network, name, width, readers)
    for level in reversed(range(depth)):
        name, width = f"merge.{level}", config.width * 2**level
        merge = Reader(_convolution(network, name, FIRST), offset=width)
        groups.append(Group(f"up.{level}", f"up.{level}", width, "", (merge,)))
        groups += _block(network, name, width, (Reader(f"up.{level - 1}" if level else "head"),))
    return groups


def with_channels(model: Model, width: int, choices: Mapping[str, Choice]) -> Model:
    """Return a model of another width, each of whose groups is as its choice says.

    Parameters
    ----------
    model : Model
        It is not changed.
    width : int
        Of the new model.
    choices : mapping
        The choice of each of `channel_groups`, by the name of its maker.
    """
    config = replace(model.config, width=width)
    network = build_network(config).eval()
    weights = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    groups = channel_groups(model)
    inputs: dict[str, list[tuple[Reader, Tensor]]] = {}
    for group in groups:
        choice = choices[group.maker]
        for reader in group.readers:
            mix = choice.pooled if reader.pooled and choice.pooled is not None else choice.mix
            inputs.setdefault(reader.layer, []).append((reader, mix))
    for layer, parts in inputs.items():
        axis = 0 if layer.startswith("up.") else 1  # inputs of an up-convolution come first
        key = f"{layer}.weight"
        ordered = sorted(parts, key=lambda part: part[0].offset)
        weights[key] = torch.cat(
            [_mixed(weights[key], reader.offset, mix, axis) for reader, mix in ordered], dim=axis
        )
    for group in groups:
        kept = choices[group.maker].kept
        axis = 1 if group.maker.startswith("up.") else 0
        weights[f"{group.maker}.weight"] = weights[f"{group.maker}.weight"].index_select(axis, kept)
        for name in _vectors(group, weights):
            weights[name] = weights[name].index_select(0, kept)
    network.load_state_dict(weights)
    return Model(config, model.card, network)


def _mixed(weight: Tensor, offset: int, mix: Tensor, axis: int) -> Tensor:
    """Return the part of a weight that reads a group, for the new channels of the group."""
    part = weight.narrow(axis, offset, mix.shape[1])
    mixed = torch.tensordot(mix.to(torch.float64), part.to(torch.float64), dims=([1], [axis]))
    moved: Tensor = mixed.movedim(0, axis).to(weight.dtype)
    return moved


def _vectors(group: Group, weights: Mapping[str, Tensor]) -> Iterator[str]:
    """Name what there is one of for each channel: bias, and what the norm has."""
    yield from (name for name in (f"{group.maker}.bias",) if name in weights)
    if group.norm:
        for part in ("weight", "bias", "running_mean", "running_var"):
            yield f"{group.norm}.{part}"


def _block(network: UNet, name: str, width: int, readers: tuple[Reader, ...]) -> list[Group]:
    """The two groups of a block of two convolutions; the second has these readers."""
    layers = dict(network.get_submodule(name).named_children())
    convolutions = [key for key, layer in layers.items() if isinstance(layer, nn.Conv2d)]
    norms = [key for key, layer in layers.items() if isinstance(layer, nn.BatchNorm2d)]
    ends = [key for key, layer in layers.items() if isinstance(layer, nn.ReLU)]
    within = (Reader(f"{name}.{convolutions[SECOND]}"),)
    return [
        Group(
            f"{name}.{convolutions[which]}",
            f"{name}.{ends[which]}",
            width,
            f"{name}.{norms[which]}" if norms else "",
            within if which == FIRST else readers,
        )
        for which in (FIRST, SECOND)
    ]


def _convolution(network: UNet, block: str, which: int) -> str:
    """Name a convolution of a block; of a block that is not there, empty."""
    try:
        layers = network.get_submodule(block).named_children()
    except AttributeError:
        return ""
    return f"{block}.{[key for key, layer in layers if isinstance(layer, nn.Conv2d)][which]}"
