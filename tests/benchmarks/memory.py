"""How much memory each network takes to run: `Architecture.pixel_bytes`, by which tiles are cut.

The peak of a float32 run on one tile on the processor, above what the process held before, in
bytes for each pixel of the tile and channel of the first level, beside what the list says. A tile
of volumes has a quarter of that side: its voxels are as many as the pixels of a plane of twice the
side or so. A network that a processor computes in pieces has a second line for a run at once, as
on a GPU.

python tests/benchmarks/memory.py [--width 16] [--side 1024]
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import resource
import subprocess
import sys

from napari_unet.core.architectures import ARCHITECTURES

ALLOWED = 1.15  # of what the list says: allocators round up


def main() -> int:
    """Print a line for each network; 1 if one takes more than is said of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--at-once", action="store_true", help="with --one: not in pieces")
    parser.add_argument("--one", help="measure this network in this process")
    args = parser.parse_args()
    if args.one:
        print(measured(args.one, args.width, args.side, at_once=args.at_once))
        return 0
    good = True
    print("network            measured  said  (bytes a pixel and channel)")
    runs = [(name, [], one.piece_bytes or one.pixel_bytes) for name, one in ARCHITECTURES.items()]
    runs += [
        (name, ["--at-once"], one.pixel_bytes)
        for name, one in ARCHITECTURES.items()
        if one.piece_bytes is not None
    ]
    for name, how, said in runs:
        words = ["--one", name, "--width", str(args.width), "--side", str(args.side), *how]
        done = subprocess.run(
            [sys.executable, __file__, *words], capture_output=True, text=True, check=True
        )
        taken = float(done.stdout)
        good &= taken <= ALLOWED * said
        print(f"{name:18} {taken:8.0f}  {said:4}  {' '.join(how)}")
    return 0 if good else 1


def measured(name: str, width: int, side: int, *, at_once: bool) -> float:
    """Run a network on a tile, then on one of twice the side; what the peak rose by."""
    import torch

    from napari_unet.core.config import ModelConfig
    from napari_unet.core.device import channels_last, memory_order
    from napari_unet.core.models.blocks import fold_batch_norm
    from napari_unet.core.models.build import build_network
    from napari_unet.core.models.network import Box
    from napari_unet.core.tiling import network_geometry

    config = ModelConfig(name, width=width, depth=ARCHITECTURES[name].depth)
    network = fold_batch_norm(build_network(config).eval())
    network = channels_last(network, torch.device("cpu"))
    geometry, axes = network_geometry(config), ARCHITECTURES[name].axes
    side = side if axes == 2 else side // 4
    peaks, pixels = [], []
    for about in (side // 2, side):
        at = geometry.patch_side(about)
        image = torch.rand(1, 1, *axes * [at]).contiguous(memory_format=memory_order(axes))
        with torch.inference_mode():
            if at_once or ARCHITECTURES[name].is_valid:
                network(image)
            else:
                network.part(image, Box(*axes * [0], *image.shape[2:]))
        peaks.append(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        pixels.append(at**axes)
    return (peaks[1] - peaks[0]) / ((pixels[1] - pixels[0]) * width)


if __name__ == "__main__":
    sys.exit(main())
