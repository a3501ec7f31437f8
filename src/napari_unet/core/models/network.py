"""What all networks have in common, so that training, teaching and tiling need not ask which."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["Network", "compressed"]


class Network(nn.Module):
    """A network that answers each pixel of an image with one logit a class.

    An architecture sets the modules below and writes `outputs`.

    Attributes
    ----------
    down : nn.ModuleList
        The levels of the contracting path, from the image on: what `TrainSettings.frozen` counts.
    head : nn.Conv2d
        Makes the output; it has a row for each class.
    side_heads : nn.ModuleList of nn.Conv2d
        Others that have a row for each class; empty for most.
    compress : float
        See `ModelConfig`.
    """

    down: nn.ModuleList
    head: nn.Conv2d
    side_heads: nn.ModuleList

    def __init__(self, compress: float = 0.0) -> None:
        super().__init__()
        self.compress = compress
        self.side_heads = nn.ModuleList()

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return logits (B, classes, H, W) of an image (B, in_channels, H, W).

        A network with deep supervision returns in training a tuple of them: its one output, and
        then those of its side heads, of the same shape.
        """
        outputs = self.outputs(compressed(image, self.compress))
        return outputs if len(outputs) > 1 else outputs[0]

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of the output, and in training those of the side heads."""
        raise NotImplementedError


def compressed(image: Tensor, knee: float) -> Tensor:
    """Linear below the knee, logarithmic above it; 0 and 1 stay."""
    return torch.asinh(image / knee) / math.asinh(1 / knee) if knee > 0 else image
