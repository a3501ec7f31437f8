"""Building blocks shared by the networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_unet.core.models.norms import normalization

__all__ = [
    "Strides",
    "contract",
    "contracting_path",
    "conv_block",
    "conv_layers",
    "enlarged",
    "fold_batch_norm",
    "initialize",
    "pooled",
    "up_convolution",
]

Block = Callable[[int, int], nn.Module]


Strides = tuple[int, ...]
"""By how much a pooling divides each spatial axis, slowest first."""


def conv_block(
    in_channels: int, out_channels: int, *, valid: bool = False, norm: str | None = None
) -> nn.Sequential:
    """Two 3x3 convolutions, each with its norm and ReLU.

    Where no norm is named same-padded ones carry batch norm, valid ones none.
    """
    norm = norm or ("none" if valid else "batch")
    return nn.Sequential(
        *conv_layers(in_channels, out_channels, valid=valid, norm=norm),
        *conv_layers(out_channels, out_channels, valid=valid, norm=norm),
    )


def conv_layers(
    in_channels: int,
    out_channels: int,
    *,
    norm: str,
    kernel: int = 3,
    groups: int = 1,
    dilation: int = 1,
    valid: bool = False,
    axes: int = 2,
) -> list[nn.Module]:
    """Return one convolution, its norm and ReLU; a norm takes the place of the bias.

    With three `axes` it is one of volumes.
    """
    convolution = nn.Conv2d if axes == 2 else nn.Conv3d
    return [
        convolution(
            in_channels,
            out_channels,
            kernel,
            padding=0 if valid else dilation * (kernel // 2),
            dilation=dilation,
            groups=groups,
            bias=norm == "none",
        ),
        *normalization(norm, out_channels, axes=axes),
        nn.ReLU(inplace=True),
    ]


def contracting_path(in_channels: int, channels: Sequence[int], block: Block) -> nn.ModuleList:
    """Return a block for each level; `channels` are those of the levels, from the image on."""
    inputs = [in_channels, *channels[:-1]]
    return nn.ModuleList(block(i, o) for i, o in zip(inputs, channels, strict=True))


def contract(
    down: nn.ModuleList,
    features: Tensor,
    dropout: nn.Dropout,
    strides: Sequence[Strides] | None = None,
) -> list[Tensor]:
    """Return what each level makes of an image, poolings between them, 2x2 if none are named.

    Dropout acts on the two deepest levels, as in the network that Ronneberger et al. released.
    """
    levels: list[Tensor] = []
    for level, block in enumerate(down):
        if level:
            features = pooled(features, (2, 2) if strides is None else strides[level - 1])
        features = block(features)
        if level >= len(down) - 2:
            features = dropout(features)
        levels.append(features)
    return levels


def pooled(features: Tensor, strides: Strides) -> Tensor:
    """Return the highest of each box of so many pixels."""
    pool = nn.functional.max_pool2d if len(strides) == 2 else nn.functional.max_pool3d
    return pool(features, strides)


def up_convolution(
    in_channels: int, out_channels: int, strides: Strides = (2, 2)
) -> nn.ConvTranspose2d | nn.ConvTranspose3d:
    """Return the up-convolution that undoes a pooling: 2x2 of stride 2."""
    if len(strides) == 2:
        return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2)
    z, y, x = strides
    return nn.ConvTranspose3d(in_channels, out_channels, kernel_size=(z, y, x), stride=(z, y, x))


def enlarged(features: Tensor, scale: int) -> Tensor:
    """Interpolate bilinearly between the centres of pixels."""
    return nn.functional.interpolate(
        features, scale_factor=scale, mode="bilinear", align_corners=False
    )


def initialize(network: nn.Module, generator: torch.Generator | None = None) -> None:
    """He et al. 2015: Gaussian weights of standard deviation sqrt(2 / N), N the fan-in.

    Linear layers, which no ReLU follows or precedes alone, get sqrt(1 / N) (LeCun et al. 1998).
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            with torch.no_grad():
                module.weight.normal_(0.0, module.in_features**-0.5, generator=generator)
                module.bias.zero_()
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            # The fan-in of an up-convolution 2x2 of stride 2 is one weight an input channel.
            fan_in = module.in_channels // module.groups
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                fan_in *= math.prod(module.kernel_size)
            with torch.no_grad():
                module.weight.normal_(0.0, (2.0 / fan_in) ** 0.5, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Put batch norm into the convolutions before it, in place; for inference only."""
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for index in range(len(module) - 1):
                first, second = module[index], module[index + 1]
                is_convolution = isinstance(first, nn.Conv2d | nn.Conv3d)
                if is_convolution and isinstance(second, nn.BatchNorm2d | nn.BatchNorm3d):
                    fused = fuse_conv_bn_eval(first.eval(), second.eval())  # type: ignore[type-var]
                    module[index] = fused
                    module[index + 1] = nn.Identity()
    return network
