"""Rehearse what a model did well before teaching: its own answers to drawn scenes.

The images that a model was trained on are not at hand when it is taught. Scenes are drawn
instead, of the kinds that it knows: where it finds what was drawn. What it said of them before
teaching holds the new model near while it learns another kind of image, as in learning without
forgetting (Li and Hoiem 2016), with drawn images in place of the new ones.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any  # images come in any real dtype

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unet.core import drawn
from napari_unet.core.augment import AugmentConfig, apply_intensity, draw_intensity
from napari_unet.core.device import channels_last
from napari_unet.core.losses import distillation_loss
from napari_unet.core.matching import average_precision
from napari_unet.core.model_file import Model
from napari_unet.core.normalize import normalize
from napari_unet.core.optimise import Optimisation
from napari_unet.core.rescale import rescale_image
from napari_unet.core.segmentation import segment
from napari_unet.core.size import median_diameter
from napari_unet.core.tiling import network_geometry

__all__ = ["Rehearsal"]

SCENES = (drawn.nuclei, drawn.cells)
SIDE = 384  # of a scene, in its own pixels
PATCH = 128
PATCHES = 24  # that are drawn once and then taken in turn
KNOWN = 0.5  # AP at IoU 0.5 from which a scene is one that the model knows

# As images of such a kind differ.
VARIED = AugmentConfig(brightness=0.05, contrast=(0.7, 1.4), gamma=(0.7, 1.4), noise=0.04, blur=1.0)

# What a `keep` of 1 weighs against the loss of the checked pixels.
STRENGTH = 1.5


class Rehearsal:
    """Patches of drawn scenes, and what the model said of them before teaching.

    Parameters
    ----------
    model : Model
        Before teaching; one that knows none of the scenes rehearses nothing.
    run : Optimisation
        The one whose network is held.
    keep : float
        How strongly, above 0 up to 1.
    seed : int
        Of what is drawn.
    """

    def __init__(self, model: Model, run: Optimisation, keep: float, seed: int = 0) -> None:
        self._run = run
        self._strength = STRENGTH * keep
        scenes = [scene for draw in SCENES for scene in _known(model, draw(2 * (SIDE,), seed), run)]
        self._turns: Iterator[tuple[Tensor, Tensor]] | None = None
        if scenes:
            self._turns = itertools.cycle(self._patches(model, scenes, seed))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to rehearse."""
        return self._turns is None

    def loss(self) -> Tensor:
        """How far the network has moved from what it said of the next patch."""
        if self._turns is None:
            return torch.zeros(())
        image, known = next(self._turns)
        logits = self._run.logits(image)[0]
        weight = torch.ones(logits.shape[0], *logits.shape[2:], device=logits.device)
        return self._strength * distillation_loss(logits, known, weight)

    def _patches(
        self, model: Model, scenes: list[NDArray[np.float32]], seed: int
    ) -> list[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        network = channels_last(copy.deepcopy(model.network), self._run.device).eval()
        patches = []
        for number in range(PATCHES):
            scene = torch.from_numpy(scenes[number % len(scenes)])
            y, x = (
                int(torch.randint(max(1, size - PATCH + 1), (), generator=generator))
                for size in scene.shape[1:]
            )
            image = scene[:, y : y + PATCH, x : x + PATCH]
            image = apply_intensity(image, draw_intensity(VARIED, generator))
            image = image[None].to(self._run.device, memory_format=torch.channels_last)
            with torch.no_grad(), self._run.autocast():
                patches.append((image, network(image).float()))
        return patches


def _known(
    model: Model, scene: tuple[NDArray[Any], NDArray[np.int32]], run: Optimisation
) -> list[NDArray[np.float32]]:
    """Return a scene as the network sees it, if the model finds what was drawn."""
    config = model.config
    geometry = network_geometry(config)
    if config.semantic or geometry.valid or PATCH % geometry.grid:
        return []
    image, truth = scene
    channels = np.repeat(image[None], config.in_channels, axis=0)
    diameter = median_diameter([truth]) if config.diameter is not None else None
    found = segment(
        channels,
        model,
        axes="CYX",
        diameter=diameter,
        device=str(run.device),
        precision=run.precision,
    ).labels
    if average_precision(truth, found, [0.5])[0] < KNOWN:
        return []
    plane = normalize(channels, config.percentiles)
    if diameter is not None and config.diameter is not None:
        plane = rescale_image(plane, config.diameter / diameter)
    multiple = geometry.grid
    if min(plane.shape[1:]) < PATCH:  # seen from far: cut to what the network takes
        rows, columns = (size // multiple * multiple for size in plane.shape[1:])
        plane = plane[:, :rows, :columns]
    return [plane] if min(plane.shape[1:]) >= multiple else []
