"""Normalisation in the networks, and what becomes of it where an image is cut into tiles.

Batch norm keeps the statistics of training, so that every tile is treated alike. Group norm
(Wu and He 2018, arXiv:1803.08494) and instance norm (Ulyanov et al. 2016, arXiv:1607.08022) take
those of what they are given: tile by tile they would treat each tile another way, and seams would
show. Here they are measured once for an image, on all of it or on a sample that does not depend
on the tiles, and held for all tiles of it. Then tiled equals untiled again.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

__all__ = ["MeasuredNorm", "measures_images", "normalization", "with_measured_norms"]

GROUPS = 8  # (chosen; fewer where the channels cannot be parted so)


def normalization(kind: str, channels: int, *, axes: int = 2) -> list[nn.Module]:
    """Return the layers that a norm of that name is made of: one, or none."""
    if kind == "batch":
        return [nn.BatchNorm2d(channels) if axes == 2 else nn.BatchNorm3d(channels)]
    if kind == "group":
        return [nn.GroupNorm(math.gcd(channels, GROUPS), channels)]
    if kind == "instance":
        return [nn.GroupNorm(channels, channels)]  # a group for each channel
    return []


class MeasuredNorm(nn.Module):
    """A group norm that takes its statistics from a sample and then holds them.

    Parameters
    ----------
    norm : nn.GroupNorm
        Its factors are taken over.
    """

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.norm = norm
        self.is_measuring = False
        self._mean = torch.zeros(())
        self._deviation = torch.ones(())

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (B, C, [D,] H, W) by what was measured; to measure, a batch is one image."""
        if self.is_measuring:
            self._measure(features.float())
        scale = self.norm.weight / self._deviation
        shift = self.norm.bias - self._mean * scale
        each = (-1, *[1] * (features.ndim - 2))
        normalized = features * scale.view(each) + shift.view(each)
        return normalized.to(features.dtype)

    def _measure(self, features: Tensor) -> None:
        groups = features.transpose(0, 1).reshape(self.norm.num_groups, -1)
        variance, mean = torch.var_mean(groups, dim=1, correction=0)
        each = self.norm.num_channels // self.norm.num_groups
        self._mean = mean.repeat_interleave(each)
        self._deviation = (variance + self.norm.eps).sqrt().repeat_interleave(each)


def measures_images(network: nn.Module) -> bool:
    """Whether a network has norms that look at the image as a whole."""
    return any(isinstance(module, nn.GroupNorm) for module in network.modules())


def with_measured_norms(network: nn.Module, sample: Tensor) -> nn.Module:
    """Return a copy of a network in evaluation whose norms hold the statistics of a sample.

    Parameters
    ----------
    network : nn.Module
        It is not changed.
    sample : Tensor, shape (B, in_channels, [D,] H, W)
        Parts of one image, or all of it; of a legal size.
    """
    network = copy.deepcopy(network)  # another image may be on its way through the same model
    norms = _replace(network)
    for norm in norms:
        norm.is_measuring = True
    with torch.no_grad():
        network(sample)
    for norm in norms:
        norm.is_measuring = False
    return network


def _replace(module: nn.Module) -> list[MeasuredNorm]:
    replaced = []
    for name, child in module.named_children():
        if isinstance(child, nn.GroupNorm):
            norm = MeasuredNorm(child)
            setattr(module, name, norm)
            replaced.append(norm)
        else:
            replaced += _replace(child)
    return replaced
