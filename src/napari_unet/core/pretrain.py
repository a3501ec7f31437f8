"""Learning from images that nobody has labelled: a network restores what was hidden from it.

Squares of each patch are replaced by noise about the patch's mean (context encoders: Pathak et
al. 2016, arXiv:1604.07379, with the many small squares of He et al. 2022, arXiv:2111.06377), and
all other pixels become noisy (denoising autoencoders: Vincent et al. 2008). The network that is to
segment later has to say what was there, with an output layer that is thrown away afterwards. What
is left are weights that know the look of the images.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.events import TrainProgress
from napari_unet.core.example import Example
from napari_unet.core.lesson import patch_sampler
from napari_unet.core.lineage import timestamp
from napari_unet.core.model_file import Model
from napari_unet.core.models.blocks import initialize
from napari_unet.core.models.network import Network, compressed
from napari_unet.core.optimise import Budget, Cancelled, Optimisation, TrainSettings
from napari_unet.core.sampling import Batch, PatchSampler
from napari_unet.core.train import continued
from napari_unet.core.train_settings import TRAIN_SETTINGS

__all__ = ["PRETRAIN_SETTINGS", "MaskedSampler", "iter_pretrain", "restoring_loss"]

HIDDEN = 0.4  # part of a patch (chosen; 0.75 in He et al. leaves nothing of a small cell)
SQUARE = 8  # pixels a side (chosen: less than a cell)
NOISE = 0.1  # standard deviation on what is not hidden, in normalised intensities (chosen)
SEEN = 0.2  # weight of what is not hidden (chosen)

# Bent and turned as in training; intensities stay, they are what is to be said.
PRETRAIN_SETTINGS = replace(
    TRAIN_SETTINGS,
    patch=128,
    side_weight=0.0,
    augment=replace(
        TRAIN_SETTINGS.augment,
        brightness=0.0,
        contrast=(1.0, 1.0),
        gamma=(1.0, 1.0),
        noise=0.0,
        blur=0.0,
        shade=0.0,
    ),
)


class MaskedSampler:
    """Batches whose images are partly hidden, and whose target is what they were.

    Parameters
    ----------
    sampler : PatchSampler
        Draws the patches.
    compress : float
        See `ModelConfig`: what is to be said is what the network sees.
    seed : int
        Of what is hidden.
    """

    def __init__(self, sampler: PatchSampler, compress: float, seed: int) -> None:
        self._sampler = sampler
        self._compress = compress
        self._seed = seed

    def batches(self, first: int = 0, step: int = 1) -> Iterator[Batch]:
        """Yield batches from number `first` on; each depends on its number alone.

        The target is float32 (B, C, [D,] H, W), the weight 1 where something was hidden.
        """
        generator = torch.Generator()
        for batch in self._sampler.batches(first, step):
            mixed = np.random.SeedSequence([self._seed, batch.number]).generate_state(1)
            generator.manual_seed(int(mixed[0]))
            image = batch.image
            hidden = _squares(image, generator)
            mean = image.mean(dim=tuple(range(2, image.ndim)), keepdim=True)
            spread = image.std(dim=tuple(range(2, image.ndim)), keepdim=True)
            noise = torch.randn(image.shape, generator=generator)
            seen = torch.where(hidden, mean + spread * noise, image + NOISE * noise)
            weight = torch.where(hidden[:, 0], 1.0, SEEN)
            target = compressed(image, self._compress)
            yield replace(batch, image=seen, target=target, weight=weight)


def _squares(image: Tensor, generator: torch.Generator) -> Tensor:
    """Return which pixels are hidden, bool (B, 1, [D,] H, W)."""
    sides = [-(-size // SQUARE) for size in image.shape[2:]]
    drawn = torch.rand((len(image), 1, *sides), generator=generator) < HIDDEN
    for axis, size in enumerate(image.shape[2:], start=2):
        drawn = drawn.repeat_interleave(SQUARE, dim=axis).narrow(axis, 0, size)
    return drawn


def restoring_loss(output: Tensor, batch: Batch) -> Tensor:
    """Weighted mean of squared differences from what was there, over pixels and channels.

    `output` (B, C, [D,] H, W) may be the middle of the patch, as valid convolutions leave it.
    """
    target, weight = batch.target, batch.weight.unsqueeze(1)
    for axis in range(2, output.ndim):
        start = (target.shape[axis] - output.shape[axis]) // 2
        target, weight = (x.narrow(axis, start, output.shape[axis]) for x in (target, weight))
    difference = (output.float() - target).square() * weight
    return difference.sum() / (weight.sum() * output.shape[1]).clamp(min=1e-6)


def iter_pretrain(
    images: Sequence[Example],
    config: ModelConfig,
    *,
    card: ModelCard | None = None,
    start: Model | None = None,
    settings: TrainSettings = PRETRAIN_SETTINGS,
    seconds: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    cancelled: Cancelled | None = None,
) -> Generator[TrainProgress, None, Model]:
    """Let a network learn to restore images; its labels are not looked at.

    Parameters
    ----------
    images : sequence of Example
        What to learn from; with a `diameter` they are rescaled to that of `config`.
    config : ModelConfig
        The network to build.
    card : ModelCard, optional
        Of the new model.
    start : Model, optional
        Its weights are where it begins, and its output layer is kept.
    settings : TrainSettings
        Patches, rate, augmentation; the loss is another.
    seconds, steps, seed, device, precision, cancelled
        See `iter_train`.

    Yields
    ------
    TrainProgress
        With the loss of restoring.

    Returns
    -------
    Model
        To be trained on with labels: by itself it segments nothing, unless `start` did.

    Raises
    ------
    InputError
        If there are no images, or the model to start from has another shape.
    """
    if not images:
        raise InputError("There are no images to learn from; give some.")
    model = Model.fresh(config, seed=seed)
    model = replace(model, card=card or ModelCard("pretrained"))
    if start is not None:
        model = continued(model, start)
    unlabelled = [
        replace(one, labels=np.zeros(one.labels.shape, np.int32), semantic=True) for one in images
    ]
    sampler = patch_sampler(unlabelled, config, settings, seed)
    network = copy.deepcopy(model.network)
    assert isinstance(network, Network)
    kept = network.head, network.side_heads
    _let_restore(network, config.in_channels, seed)
    budget = Budget(seconds, steps)
    run = Optimisation(network, settings, budget, device, precision, seed)
    masked = MaskedSampler(sampler, config.compress, seed)
    with closing(run.steps(masked, restoring_loss, cancelled)) as reports:
        yield from reports
    learnt = run.averaged()
    learnt.head, learnt.side_heads = kept
    what = f"{timestamp()}: restored {len(images)} unlabelled images"
    history = (*model.card.history, f"{what} ({budget.step} steps, {budget.elapsed:.0f} s)")
    card = replace(model.card, history=history, created=timestamp(), scores={})
    return replace(model, card=card, network=learnt.eval())


def _let_restore(network: Network, channels: int, seed: int) -> None:
    """Give a network output layers that say intensities in place of classes."""

    def restoring(layer: nn.Module) -> nn.Conv2d | nn.Conv3d:
        assert isinstance(layer, nn.Conv2d | nn.Conv3d)
        other = copy.deepcopy(layer)
        other.out_channels = channels
        other.weight = nn.Parameter(torch.empty(channels, *layer.weight.shape[1:]))
        other.bias = nn.Parameter(torch.empty(channels))
        initialize(other, torch.Generator().manual_seed(seed))
        return other

    network.head = restoring(network.head)
    network.side_heads = nn.ModuleList(restoring(layer) for layer in network.side_heads)
