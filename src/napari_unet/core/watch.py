"""Watching a loss while a run goes on: whether it still falls, when to go slower, when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import islice

import torch
from torch import Tensor, nn

from napari_unet.core.optimise import Loss
from napari_unet.core.sampling import Batch, PatchSampler
from napari_unet.core.schedules import DROP

__all__ = ["Watch", "loss_on"]

# A loss that is lower by less than this part counts as the same (torch's ReduceLROnPlateau: 1e-4).
SAME = 1e-3
BATCHES = 8  # of what is kept aside for watching (chosen)


class Watch:
    """Looks at the loss every so many steps.

    Parameters
    ----------
    every : int
        Steps between two looks.
    patience : int
        So many looks in a row that are not better than the best one end the run; 0 for never.
    drop_after : int
        So many make the rate a tenth; 0 for never.
    measure : callable, optional
        Returns the loss of the averaged network on what is kept aside. None takes the mean loss of
        the steps since the last look.
    """

    def __init__(
        self,
        every: int,
        *,
        patience: int = 0,
        drop_after: int = 0,
        measure: Callable[[nn.Module], float] | None = None,
    ) -> None:
        self._every = every
        self._patience, self._drop_after = patience, drop_after
        self._measure = measure
        self._best, self._since, self._waited, self._drops = math.inf, 0, 0, 0
        self._total, self._count = torch.zeros(()), 0

    @property
    def factor(self) -> float:
        """What the rate is multiplied by."""
        return DROP**self._drops

    @property
    def is_over(self) -> bool:
        """Whether it has not become better for too long."""
        return 0 < self._patience <= self._since

    def after_step(self, step: int, loss: Tensor, average: nn.Module) -> None:
        """Take the loss of a step, and look if it is time."""
        self._total, self._count = self._total + loss, self._count + 1
        if step % self._every:
            return
        mean = self._total.item() / self._count
        self._total, self._count = torch.zeros(()), 0
        self.tell(mean if self._measure is None else self._measure(average))

    def tell(self, loss: float) -> None:
        """Take what a look has found."""
        if loss < self._best * (1 - SAME):
            self._best, self._since, self._waited = loss, 0, 0
            return
        self._since, self._waited = self._since + 1, self._waited + 1
        if 0 < self._drop_after <= self._waited:
            self._drops, self._waited = self._drops + 1, 0

    def state(self) -> dict[str, Tensor]:
        """Return all that watching goes on from, as tensors by name."""
        known = [self._best, self._since, self._waited, self._drops]
        total = self._total.detach().double()
        return {"known": torch.tensor(known, dtype=torch.float64), "total": total} | {
            "count": torch.tensor(self._count)
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up a `state`."""
        best, *counts = state["known"].tolist()
        self._best = best
        self._since, self._waited, self._drops = (int(count) for count in counts)
        self._total, self._count = state["total"].float(), int(state["count"])


def loss_on(
    sampler: PatchSampler, loss: Loss, device: torch.device
) -> Callable[[nn.Module], float]:
    """Return what measures the mean loss of a network on patches that stay the same."""
    batches: list[Batch] = [batch.to(device) for batch in islice(sampler.batches(0), BATCHES)]

    def measure(network: nn.Module) -> float:
        was_training = network.training
        network.eval()
        with torch.no_grad():
            losses = [float(loss(network(batch.image), batch)) for batch in batches]
        network.train(was_training)
        return sum(losses) / len(losses)

    return measure
