"""Building blocks shared by the U-Nets."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["conv_block", "fold_batch_norm", "initialize"]


def conv_block(in_channels: int, out_channels: int, *, valid: bool) -> nn.Sequential:
    """Two 3x3 convolutions with ReLU; same-padded ones carry batch norm, valid ones do not."""
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        padding = 0 if valid else 1
        layers.append(nn.Conv2d(channels, out_channels, 3, padding=padding, bias=valid))
        if not valid:
            layers.append(nn.BatchNorm2d(out_channels))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def initialize(network: nn.Module, generator: torch.Generator | None = None) -> None:
    """He et al. 2015: Gaussian weights of standard deviation sqrt(2 / N), N the fan-in."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            # The fan-in of an up-convolution 2x2 of stride 2 is one weight an input channel.
            fan_in = module.in_channels
            if isinstance(module, nn.Conv2d):
                fan_in *= module.kernel_size[0] * module.kernel_size[1]
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
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    module[index] = fuse_conv_bn_eval(first.eval(), second.eval())
                    module[index + 1] = nn.Identity()
    return network
