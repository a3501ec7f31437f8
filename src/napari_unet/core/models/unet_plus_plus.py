"""U-Net++ of Zhou, Rahman Siddiquee, Tajbakhsh and Liang 2018 (arXiv:1807.10165)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from napari_unet.core.models.blocks import contract, contracting_path, conv_block, up_convolution
from napari_unet.core.models.network import Network

__all__ = ["UNetPlusPlus"]


class UNetPlusPlus(Network):
    """U-Nets of depth 1 to `depth` that share their weights (section 3, figure 1).

    Node X(i, j) stands on level i; X(i, 0) is the contracting path, and X(i, j) joins all nodes
    before it on its level, X(i, 0) to X(i, j - 1), with X(i + 1, j - 1) from below (equation 1)::

        X00 --- X01 --- X02      each node on the right is two convolutions 3x3
           \\   /   \\   /         of what lies left of it on its level
            X10 --- X11          and of the node below it, up-convolved
               \\   /
                X20

    The nodes X(0, 1) to X(0, depth) each have an output (deep supervision, section 3.2). Chosen:
    the last one is the network's answer, the "fast mode" of the paper, so that it can be pruned;
    the others are side heads that help in training. A model cut to the nodes that X(0, d) needs
    is a U-Net++ of depth d with the same weights (section 3.2, figure 1c), see
    `napari_unet.core.prune`. Up-convolutions 2x2 as in the authors' released network; batch norm
    in place of their dropout within the nodes.

    At width 32 and depth 4 without batch norm it has the paper's 9.04 million parameters.

    Input (B, in_channels, H, W), H and W multiples of ``2**depth``; output as large.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int,
        depth: int,
        *,
        dropout: float = 0.0,
        compress: float = 0.0,
        norm: str = "batch",
    ) -> None:
        super().__init__(compress)
        block = partial(conv_block, norm=norm)
        channels = [width * 2**level for level in range(depth + 1)]
        self.down = contracting_path(in_channels, channels, block)
        self.up, self.merge = nn.ModuleDict(), nn.ModuleDict()
        for column in range(1, depth + 1):
            for level in range(depth + 1 - column):
                name, wide = f"{level}-{column}", channels[level]
                self.up[name] = up_convolution(2 * wide, wide)
                self.merge[name] = block((column + 1) * wide, wide)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(width, classes, kernel_size=1)
        self.side_heads = nn.ModuleList(nn.Conv2d(width, classes, 1) for _ in range(depth - 1))

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return logits, and in training those of each shallower network, the shallowest first."""
        column = contract(self.down, features, self.dropout)
        nodes = [[node] for node in column]  # of each level, from left to right
        for number in range(1, len(column)):
            for level in range(len(column) - number):
                name = f"{level}-{number}"
                below = self.up[name](nodes[level + 1][number - 1])
                nodes[level].append(self.merge[name](torch.cat([*nodes[level], below], dim=1)))
        *earlier, last = nodes[0][1:]
        if not self.training:
            return (self.head(last),)
        pairs = zip(self.side_heads, earlier, strict=True)
        return (self.head(last), *(head(node) for head, node in pairs))
