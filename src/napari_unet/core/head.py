"""The last layer of a network, fitted to what is checked before the rest is taught."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_unet.core.lesson import cropped
from napari_unet.core.optimise import failures_in_words
from napari_unet.core.sampling import Batch

__all__ = ["fit_head"]

BATCHES = 8  # that it is fitted to (chosen)
PIXELS = 1500  # of each batch at the most (chosen)
ROUNDS = 40  # of L-BFGS (chosen: a retina with three classes needs about 30)

# What it costs to leave the weights that there are, for features of a mean size of 1. Measured on
# the strokes of a retina: loss before 4.9, after 0.87 with 1e-2, 0.55 with 1e-3, 0.47 with 1e-5.
STAY = 1e-3

# It is left as it is where the loss would not fall below this part. Measured: it falls to 0.26 to
# 0.46 in a first lesson on other nuclei, dark ones and phase contrast, and to 0.89 and 0.97 in a
# second one, after which AP 0.5 on other images was 0.15 with it and 0.21 without.
WORTH = 0.7


def fit_head(network: nn.Module, batches: Iterable[Batch]) -> None:
    """Fit the last layer to the checked pixels of some batches, in place.

    On a kind of image that it does not know a network is wrong and sure of it, and a class that is
    new begins far below the others. Small steps would take most of a short lesson to come back from
    there, and bend the layers before it meanwhile (Kumar et al. 2022, arXiv:2202.10054: first the
    last layer, then all). After 100 steps on dark nuclei AP 0.5 of what was not corrected was 0.79
    with it and 0.00 without (tests/benchmarks/teaching.py --steps 100).

    It is a multinomial logistic regression on the features that the network has, held near the
    weights it has. Classes of which nothing is checked keep theirs, and nothing is done where fewer
    than two are, or where little is won.

    Parameters
    ----------
    network : Network
        One whose `head` sees more than one pixel, or is not what comes last, is left as it is.
    batches : iterable of Batch
        The first few are used.

    Raises
    ------
    ComputeError
        If torch fails, with its reason.
    """
    head = network.head
    assert isinstance(head, nn.Conv2d)
    if head.kernel_size != (1, 1):
        return
    with failures_in_words():
        features, target, weight = _checked_features(network, head, batches)
    known = torch.bincount(target, minlength=head.out_channels) > 0
    if known.sum() < 2:
        return
    bias = torch.zeros(head.out_channels) if head.bias is None else head.bias.detach().cpu()
    start = torch.cat([head.weight.detach().cpu().float().flatten(1), bias.float()[:, None]], 1)
    size = torch.cat([features.abs().mean(dim=0).clamp(min=1e-3), torch.ones(1)])
    features = torch.cat([features, torch.ones(len(features), 1)], dim=1)
    change = torch.zeros_like(start, requires_grad=True)
    step = torch.optim.LBFGS([change], max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def moved() -> Tensor:
        return start + torch.where(known[:, None], change / size, 0.0)

    def mean_loss() -> Tensor:
        each = F.cross_entropy(features @ moved().T, target, reduction="none")
        return (each * weight).sum() / weight.sum()

    def closure() -> Tensor:
        step.zero_grad()
        value = mean_loss() + STAY * change.square().sum()
        value.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        return value

    before = mean_loss().item()
    step.step(closure)  # type: ignore[no-untyped-call]  # torch does not annotate it
    with torch.no_grad():
        fitted = moved()
        if mean_loss().item() < WORTH * before:  # never of what is not finite
            head.weight.copy_(fitted[:, :-1, None, None])
            if head.bias is not None:
                head.bias.copy_(fitted[:, -1])


@torch.no_grad()
def _checked_features(
    network: nn.Module, head: nn.Conv2d, batches: Iterable[Batch]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the last layer sees of some checked pixels, with their classes and weights."""
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    device = head.weight.device
    try:
        for batch in islice(batches, BATCHES):
            outputs = network(batch.to(device).image)
            logits = outputs[0] if isinstance(outputs, tuple) else outputs
            target, weight = cropped(batch, logits)
            features = seen.pop().float().cpu().movedim(1, -1)
            is_last = features.shape[1:3] == logits.shape[2:]
            checked = torch.nonzero((weight > 0) & is_last)
            where = tuple(checked[:: max(1, -(-len(checked) // PIXELS))].T)
            parts.append((features[where], target[where], weight[where]))
    finally:
        hook.remove()
    features, target, weight = (torch.cat(part) for part in zip(*parts, strict=True))
    return features, target, weight
