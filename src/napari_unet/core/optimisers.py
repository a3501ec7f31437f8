"""Which optimisers there are, by name: what `--optimiser` reads. torch is imported when needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["OPTIMISERS", "OptimiserKind", "build_optimiser"]


@dataclass(frozen=True, slots=True)
class OptimiserKind:
    """One optimiser of the list.

    Attributes
    ----------
    sentence : str
        What it is, in a few words.
    paper : str
        Where it comes from.
    momentum : float
        How much of the last steps' direction it keeps, if nothing else is said: Adam's first beta.
    """

    sentence: str
    paper: str
    momentum: float


OPTIMISERS = {
    "adamw": OptimiserKind(
        "Adam, with weight decay apart from the gradient",
        "Loshchilov and Hutter 2019, arXiv:1711.05101",
        0.9,
    ),
    "adam": OptimiserKind(
        "a step for each weight, by the size of its gradients",
        "Kingma and Ba 2015, arXiv:1412.6980",
        0.9,
    ),
    "sgd": OptimiserKind(
        "plain steps with much momentum, as in the paper of 2015",
        "Ronneberger et al. 2015, section 3",
        0.99,
    ),
}


def build_optimiser(
    name: str,
    weights: Iterable[nn.Parameter],
    *,
    learning_rate: float,
    weight_decay: float,
    momentum: float | None = None,
) -> torch.optim.Optimizer:
    """Return the optimiser of a name; without a momentum that of the list."""
    import torch  # the list is read by the command line, which does without

    kept = OPTIMISERS[name].momentum if momentum is None else momentum
    if name == "sgd":
        return torch.optim.SGD(
            weights, learning_rate, momentum=kept, weight_decay=weight_decay, nesterov=False
        )
    adam = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    return adam(weights, learning_rate, betas=(kept, 0.999), weight_decay=weight_decay)
