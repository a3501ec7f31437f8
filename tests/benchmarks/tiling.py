"""Tiled against untiled prediction in float32: the largest difference of a probability.

python tests/benchmarks/tiling.py [--width 16]
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import sys

import numpy as np
import torch

from napari_unet.core import load_model
from napari_unet.core.config import ModelConfig
from napari_unet.core.model_file import Model
from napari_unet.core.predict import predict_plane

SHAPES = ((97, 131), (200, 333), (33, 40), (1, 1), (3, 1000), (512, 700))
TILES = (64, 144, 256)
REQUIRED = 1e-4


def main() -> int:
    """Print the largest difference by network, image size and tile size; 1 if one is too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=16, help="of the two untrained networks")
    width = parser.parse_args().width
    models = {
        "same-padded, untrained": fresh("unet", width),
        "valid, untrained": fresh("unet-valid", width),
        "nuclei-fluorescence": load_model("nuclei-fluorescence"),
    }
    worst = 0.0
    for name, model in models.items():
        print(f"{name}: width {model.config.width}, depth {model.config.depth}")
        print("  image       largest difference with tiles of " + ", ".join(map(str, TILES)))
        for shape in SHAPES:
            differences = [difference(model, shape, tile) for tile in TILES]
            print(f"  {shape[0]:4} x {shape[1]:4}  " + "  ".join(f"{d:.1e}" for d in differences))
            worst = max(worst, *differences)
    print(f"Largest of all: {worst:.1e}; required: below {REQUIRED:.0e}")
    return 0 if worst < REQUIRED else 1


def fresh(architecture: str, width: int) -> Model:
    """Return an untrained network whose batch norm has statistics unlike 0 and 1."""
    model = Model.fresh(ModelConfig(architecture=architecture, width=width))
    generator = torch.Generator().manual_seed(0)
    for name, tensor in model.network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith("running_mean"):
            tensor.uniform_(-0.3, 0.3, generator=generator)
    return model


def difference(model: Model, shape: tuple[int, int], tile: int) -> float:
    """Predict noise with bright squares at once and in tiles."""
    rng = np.random.default_rng(0)
    image = rng.normal(100, 10, (1, *shape))
    for y, x in rng.integers(0, 1000, (40, 2)) % shape:
        image[0, y : y + 15, x : x + 15] += 60
    once, tiled = (
        predict_plane(image, model, tile=side, device="cpu", precision="float32")
        for side in (10_000, tile)
    )
    return float(np.abs(once - tiled).max())


if __name__ == "__main__":
    sys.exit(main())
