"""What a fully convolutional network saves: the U-Net against a classifier of single pixels.

Ciresan, Giusti, Gambardella and Schmidhuber 2012 (NIPS 25, the network N4 with a window of 95
pixels) ask for each pixel what its window shows, and compute neighbouring windows anew though they
share nearly all pixels. Both have drawn weights here: what is compared is work, not what they say.
Printed are operations and processor time for a pixel; the classifier answers some pixels, the U-Net
a tile.

python tests/benchmarks/sliding.py
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import time

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from napari_unet.core.config import ModelConfig
from napari_unet.core.models.build import build_network

WINDOW = 95
MAPS = 48


def main() -> None:
    """Print a line for each, and how many times as much the classifier takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=64, help="of the U-Net, as in its paper")
    parser.add_argument("--side", type=int, default=512, help="of the tile, in pixels")
    parser.add_argument("--pixels", type=int, default=256, help="that the classifier answers")
    args = parser.parse_args()
    unet = build_network(ModelConfig(width=args.width)).eval()
    tile, windows = (
        torch.rand(1, 1, args.side, args.side),
        torch.rand(args.pixels, 1, WINDOW, WINDOW),
    )
    rows = {
        "classifier of windows": work(classifier().eval(), windows, args.pixels),
        f"U-Net, width {args.width}": work(unet, tile, args.side**2),
    }
    print(f"{'':24}  MFLOP a pixel  microseconds a pixel")
    for name, (flops, seconds) in rows.items():
        print(f"{name:24}  {flops / 1e6:13.2f}  {1e6 * seconds:20.2f}")
    slow, fast = rows.values()
    print(f"{'times as much':24}  {slow[0] / fast[0]:13.0f}  {slow[1] / fast[1]:20.0f}")


def classifier() -> nn.Sequential:
    """Return the network N4: four convolutions with poolings, and two layers of all to all."""
    layers: list[nn.Module] = []
    channels = 1
    for kernel in (4, 5, 4, 4):
        layers += [nn.Conv2d(channels, MAPS, kernel), nn.ReLU(), nn.MaxPool2d(2)]
        channels = MAPS
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(9 * MAPS, 200), nn.ReLU(), nn.Linear(200, 2)
    )


def work(network: nn.Module, image: torch.Tensor, pixels: int) -> tuple[float, float]:
    """Return operations and seconds of processor time for each pixel that is answered."""
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            network(image)
        seconds = []
        for _ in range(2):
            start = time.process_time()
            network(image)
            seconds.append(time.process_time() - start)
    return counter.get_total_flops() / pixels, min(seconds) / pixels


if __name__ == "__main__":
    main()
