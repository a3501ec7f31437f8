"""Rehearse what a model did well before teaching: its own answers to drawn scenes.

The images that a model was trained on are not at hand when it is taught. Scenes are drawn
instead, of the kinds that it knows: where it finds what was drawn. What it said of them before
teaching holds the new model near while it learns another kind of image, as in learning without
forgetting (Li and Hoiem 2016), with drawn images in place of the new ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any  # images come in any real dtype

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

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

SCENES = (drawn.varied_nuclei, drawn.cells)
DRAWN = 8  # scenes of each kind; one or two looks alone hold little of what is known
SIDE = 256  # of a scene, in its own pixels
PATCH = 128
PATCHES = 48  # that are cut once and then taken in turn
KNOWN = 0.5  # AP at IoU 0.5 from which a kind of scene is one that the model knows

# As images of such a kind differ, and sizes that are not measured well.
VARIED = AugmentConfig(brightness=0.05, contrast=(0.7, 1.4), gamma=(0.7, 1.4), noise=0.04, blur=1.0)
ZOOMS = (0.75, 1.33)

# What a `keep` of 1 weighs against the loss of the checked pixels (measured: docs/measured.md).
STRENGTH = 4.0

# While another kind of image is learnt, of so much as this power of `keep` leaves. Of phase
# contrast with 5, 10 and 15 cells at a keep of 0.5, AP 0.5 on other images was 0.43, 0.43 and 0.39
# and of what was known 0.37 of 0.9 stayed, held in proportion; held as this leaves it 0.50, 0.48
# and 0.55, and 0.54 of what was known: what pulls both ways serves neither.
BEND = 3

Draw = Callable[..., tuple[NDArray[Any], NDArray[np.int32]]]


class Rehearsal:
    """Patches of drawn scenes, and what the model said of them before teaching.

    Parameters
    ----------
    model : Model
        Before teaching; one that knows none of the scenes rehearses nothing.
    run : Optimisation
        The one whose network is held.
    keep : float
        How strongly, 0 to 1; 0 rehearses nothing.
    seed : int
        Of what is drawn.
    knows : bool
        What is taught is of a kind that the model knows, see `what_is_known`: then it is held in
        proportion to `keep`, else less where that is between its ends.
    """

    def __init__(
        self,
        model: Model,
        run: Optimisation,
        keep: float,
        seed: int = 0,
        *,
        knows: bool = False,
    ) -> None:
        self.strength = STRENGTH * (keep if knows else keep**BEND)
        self._run = run
        self._patches = _patches(model, run, seed) if keep > 0 else []
        self._teacher: nn.Module | None = None
        if self._patches:
            teacher = channels_last(copy.deepcopy(model.network), run.device)
            self._teacher = teacher.eval().requires_grad_(False)
        self._known: list[Tensor] = []
        self._turn = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to rehearse."""
        return not self._patches

    def patches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all patches once, with the logits of the model before teaching."""
        for number, image in enumerate(self._patches):
            yield image, self._answer(number)

    def loss(self) -> Tensor:
        """How far the network has moved from what it said of the next patch."""
        if not self._patches:
            return torch.zeros(())
        image, known = self._patches[self._turn], self._answer(self._turn)
        self._turn = (self._turn + 1) % len(self._patches)
        logits = self._run.logits(image)[0]
        weight = torch.ones(logits.shape[0], *logits.shape[2:], device=logits.device)
        return self.strength * distillation_loss(logits, known, weight)

    def _answer(self, number: int) -> Tensor:
        """What the model said before teaching: asked once of each patch, when it is its turn."""
        assert self._teacher is not None
        while len(self._known) <= number:
            with torch.no_grad(), self._run.autocast():
                self._known.append(self._teacher(self._patches[len(self._known)]).float())
        return self._known[number]


def _patches(model: Model, run: Optimisation, seed: int) -> list[Tensor]:
    """Return varied patches, each of shape (1, C, S, S), on the device of a run."""
    geometry = network_geometry(model.config)
    if model.config.semantic or geometry.valid or PATCH % geometry.grid:
        return []
    scenes = [scene for draw in SCENES for scene in _known_scenes(model, draw, run, seed)]
    generator = torch.Generator().manual_seed(seed)
    images = [_cut(scenes[n % len(scenes)], generator) for n in range(PATCHES if scenes else 0)]
    varied = [apply_intensity(image, draw_intensity(VARIED, generator)) for image in images]
    return [image[None].to(run.device, memory_format=torch.channels_last) for image in varied]


def _cut(scene: NDArray[np.float32], generator: torch.Generator) -> Tensor:
    y, x = (
        int(torch.randint(max(1, size - PATCH + 1), (), generator=generator))
        for size in scene.shape[1:]
    )
    return torch.from_numpy(scene[:, y : y + PATCH, x : x + PATCH])


def _known_scenes(
    model: Model, draw: Draw, run: Optimisation, seed: int
) -> list[NDArray[np.float32]]:
    """Return scenes of one kind as the network sees them, if the model knows this kind."""
    image, truth = _scene(draw, SIDE, seed)
    size = None if model.config.diameter is None else median_diameter([truth])
    channels = np.repeat(image[None], model.config.in_channels, axis=0)
    found = segment(
        channels,
        model,
        axes="CYX",
        diameter=size,
        device=str(run.device),
        precision=run.precision,
    ).labels
    if average_precision(truth, found, [0.5])[0] < KNOWN:
        return []
    seen = [_as_seen(model, image, truth, 1.0)]
    for number in range(1, DRAWN):
        zoom = float(np.random.default_rng([seed, number]).uniform(*ZOOMS))
        seen.append(_as_seen(model, *_scene(draw, SIDE, seed + number), zoom))
    return [plane for plane in seen if plane.size]


@lru_cache(maxsize=len(SCENES) * DRAWN)
def _scene(draw: Draw, side: int, seed: int) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Draw a scene once: every lesson asks for the same ones."""
    return draw((side, side), seed)


def _as_seen(
    model: Model, image: NDArray[Any], truth: NDArray[np.int32], zoom: float
) -> NDArray[np.float32]:
    """Bring a scene to what the network takes, its objects larger or smaller than usual."""
    config = model.config
    plane = normalize(np.repeat(image[None], config.in_channels, axis=0), config.percentiles)
    diameter = median_diameter([truth])
    if config.diameter is not None and diameter is not None:
        plane = rescale_image(plane, zoom * config.diameter / diameter)
    if min(plane.shape[1:]) < PATCH:  # seen from far: cut to what the network takes
        multiple = network_geometry(config).grid
        rows, columns = (size // multiple * multiple for size in plane.shape[1:])
        plane = plane[:, :rows, :columns]
    return plane
