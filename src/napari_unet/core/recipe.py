"""Depth, patch, batch and norm of a training, from what the images show and the machine has.

In the manner of nnU-Net (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z): rules, no search.
What is chosen and why is a sentence for the user.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_unet.core.architectures import ARCHITECTURES
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.plan import Memory
from napari_unet.core.tiling import network_geometry

__all__ = ["Recipe", "choose_recipe"]

# A pixel of the image is judged by what lies two objects around it (chosen: its own object and the
# next one), and a patch is eight objects wide (chosen: enough of them whole).
AROUND, ACROSS = 2.0, 8.0
SHALLOWEST, DEEPEST = 2, 5
SMALLEST, LARGEST = {2: 96, 3: 32}, {2: 512, 3: 96}  # patches of planes, and of volumes (chosen)
USUAL_WIDTH = 24.0  # of objects, where nobody knows: pixels
# A step: on a processor more make it slower; 4 is what the bundled models were trained with.
MOST_PATCHES = {"cpu": 4, "mps": 4, "cuda": 12}
# Of training against running: what is kept for the way back, gradients and optimiser.
TRAINING = 4


@dataclass(frozen=True, slots=True)
class Recipe:
    """What was chosen.

    Attributes
    ----------
    depth : int
        Poolings.
    patch, batch : int
        Side of a patch in pixels, and patches a step.
    norm : str
        One of `napari_unet.core.architectures.NORMS`.
    sentence : str
        What was chosen, and why.
    """

    depth: int
    patch: int
    batch: int
    norm: str
    sentence: str


def choose_recipe(
    config: ModelConfig, shapes: Sequence[tuple[int, ...]], diameter: float | None, memory: Memory
) -> Recipe:
    """Choose how a network is trained.

    Parameters
    ----------
    config : ModelConfig
        Architecture, width and channels; its depth and norm are not looked at.
    shapes : sequence of tuple of int
        Of the images as the network sees them, (Y, X) or (Z, Y, X) in pixels.
    diameter : float, optional
        Of the objects as the network sees them, in pixels of a plane; None if nobody knows.
    memory : Memory
        Of the device that computes.

    Raises
    ------
    InputError
        If there are no images.
    """
    if not shapes:
        raise InputError("There are no images to choose by; give some.")
    axes = ARCHITECTURES[config.architecture].axes
    wide = USUAL_WIDTH if diameter is None else diameter
    side = float(np.median([min(shape[-2:]) for shape in shapes]))
    low, high = SMALLEST[axes], LARGEST[axes]
    wanted = min(max(ACROSS * wide, low), high, max(side, low))
    depth = _depth(config, wide, wanted)
    config = replace(config, depth=depth)
    patch = _on_grid(config, wanted)
    each = _patch_bytes(config, patch)
    while each > memory.allowed and patch > low:
        patch = _on_grid(config, patch / 1.5)
        each = _patch_bytes(config, patch)
    batch = int(min(max(memory.allowed // each, 1), MOST_PATCHES[memory.device]))
    own = ARCHITECTURES[config.architecture].norm
    norm = "group" if own == "batch" and batch == 1 and axes == 2 else own
    return Recipe(
        depth, patch, batch, norm, _sentence(config, patch, batch, norm, diameter, memory)
    )


def _depth(config: ModelConfig, wide: float, patch: float) -> int:
    """Return the fewest poolings with which the network sees far enough; they fit the patch."""
    reach = ARCHITECTURES[config.architecture].reach
    fitting = [d for d in range(SHALLOWEST, DEEPEST + 1) if patch / 2**d >= 4] or [SHALLOWEST]
    seeing = [d for d in fitting if reach(d) >= AROUND * wide]
    return min(seeing, default=max(fitting))


def _on_grid(config: ModelConfig, side: float) -> int:
    return network_geometry(config).patch_side(max(1, round(side)))


def _patch_bytes(config: ModelConfig, patch: int) -> int:
    """Return about how many bytes a patch takes in training."""
    known = ARCHITECTURES[config.architecture]
    pixels: int = patch**known.axes
    return max(1, TRAINING * known.pixel_bytes * config.width * pixels)


def _sentence(
    config: ModelConfig,
    patch: int,
    batch: int,
    norm: str,
    diameter: float | None,
    memory: Memory,
) -> str:
    reach = ARCHITECTURES[config.architecture].reach(config.depth)
    objects = (
        "Nobody knows how wide the objects are"
        if diameter is None
        else f"Objects are {diameter:.0f} pixels wide"
    )
    why = {
        "batch": "each step has patches enough for batch norm",
        "group": "one patch a step is too few for batch norm, so group norm",
        "none": "no norm, as in the paper",
    }
    used = batch * _patch_bytes(config, patch) / 1e9
    room = math.floor(10 * memory.allowed / 1e9) / 10
    reason = why.get(norm, f"{norm} norm")
    if norm == "batch" and batch == 1:
        reason = "batch norm, though one patch a step is few"
    return (
        f"{objects}: {config.depth} poolings, with which the network sees {reach} pixels around "
        f"each, and patches of {patch} pixels; {batch} of them a step take about {used:.1f} GB of "
        f"the {room:.1f} that may be used; {reason}."
    )
