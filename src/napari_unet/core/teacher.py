"""What a model knew holds the taught one near, as far as the checked cells bear it out."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from napari_unet.core.device import channels_last, memory_order
from napari_unet.core.losses import agreement, distillation_loss
from napari_unet.core.optimise import Optimisation

__all__ = ["Teacher"]

# What a `keep` of 1 weighs against the loss of the checked pixels. Measured on drawn nuclei at
# 0.5: six corrected ones took AP 0.5 on other fluorescence from 0.89 to 0.66 with a tenth of
# this, to 0.77 with it, and touching ones were learnt apart all the same.
STRENGTH = 10.0

# Below this mean agreement the teacher is not asked any more, which saves a third of the time.
LEAST_AGREEMENT = 0.1
PATIENCE = 8  # steps before that is decided (chosen)


class Teacher:
    """The model before teaching, which holds the new one near where nothing was checked.

    Unless it is known to know the images, it is trusted in each patch as far as it agrees with what
    was checked there: on an image of a kind that it does not know it would only teach its errors.
    Measured agreement of the bundled model with corrected cells: 0.8 to 0.9 on fluorescence, where
    it fuses and splits some nuclei, and 0 on dark nuclei, coins as a negative and phase contrast.

    Parameters
    ----------
    network : nn.Module
        The network before teaching; it is copied.
    run : Optimisation
        The one whose network is held.
    keep : float
        How strongly, above 0 up to 1.
    trusted : bool
        It knows this kind of images, see `what_is_known`: it is believed wherever nothing is
        checked, whatever it got wrong beside it.
    """

    def __init__(
        self, network: nn.Module, run: Optimisation, keep: float, *, trusted: bool = False
    ) -> None:
        network = channels_last(copy.deepcopy(network), run.device)
        self._network = network.eval().requires_grad_(False)
        self._run = run
        self._strength = STRENGTH * keep
        self._trusted = trusted
        self._agreed = 0.0
        self._steps = 0

    @property
    def is_contradicted(self) -> bool:
        """Whether the checked cells say that it knows nothing of these images."""
        if self._trusted:
            return False
        return self._steps >= PATIENCE and self._agreed < LEAST_AGREEMENT * self._steps

    @property
    def is_confirmed(self) -> bool:
        """Whether the checked cells say that it knows these images."""
        return self._steps > 0 and self._agreed >= LEAST_AGREEMENT * self._steps

    def loss(self, logits: Tensor, image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """How far a batch of logits has moved from what it says where the weight is 0."""
        with torch.no_grad(), self._run.autocast():
            known = self._network(image.contiguous(memory_format=memory_order(image.ndim - 2)))
        agreed = agreement(known, target, weight)
        self._agreed += float(agreed.mean())
        self._steps += 1
        trust = torch.ones_like(agreed) if self._trusted else agreed
        unchecked = (weight == 0) * trust.view(-1, *[1] * (weight.ndim - 1))
        return self._strength * distillation_loss(logits, known, unchecked)
