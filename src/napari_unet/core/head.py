"""The last layer: fitted to what is checked before the rest is taught, its level settled after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_unet.core.lesson import cropped
from napari_unet.core.optimise import failures_in_words
from napari_unet.core.rehearsal import Rehearsal
from napari_unet.core.sampling import Batch

__all__ = ["BATCHES", "fit_head", "settle_outlines"]

BATCHES = 8  # that it is fitted to (chosen)
PIXELS = 1500  # of each batch, and of each patch that is rehearsed, at the most (chosen)
REHEARSED = 16  # patches (chosen)
ROUNDS = 40  # of L-BFGS (chosen: a retina with three classes needs about 30)

# What it costs to leave the weights that there are, for features of a mean size of 1. Measured on
# the strokes of a retina: loss before 4.9, after 0.87 with 1e-2, 0.55 with 1e-3, 0.47 with 1e-5.
STAY = 1e-3

# It is left as it is where the loss would not fall below this part. Measured: it falls to 0.26 to
# 0.46 in a first lesson on other nuclei, dark ones and phase contrast, and to 0.89 and 0.97 in a
# second one, after which AP 0.5 on other images was 0.15 with it and 0.21 without.
WORTH = 0.7


def fit_head(
    network: nn.Module, batches: Iterable[Batch], rehearsal: Rehearsal | None = None
) -> None:
    """Fit the last layer to the checked pixels of some batches, in place.

    On a kind of image that it does not know a network is wrong and sure of it, and a class that is
    new begins far below the others. Small steps would take most of a short lesson to come back from
    there, and bend the layers before it meanwhile (Kumar et al. 2022, arXiv:2202.10054: first the
    last layer, then all). After 100 steps on dark nuclei AP 0.5 of what was not corrected was 0.79
    with it and 0.00 without (docs/measured.md).

    It is a multinomial logistic regression on the features that the network has, held near the
    weights it has and near what it said of what is rehearsed: fitted to a few cells alone it would
    forget at once what the steps after it are to keep. Classes of which nothing is checked keep
    their weights, and nothing is done where fewer than two are, or where little is won.

    Parameters
    ----------
    network : Network
        One whose `head` sees more than one pixel, or is not what comes last, is left as it is.
    batches : iterable of Batch
        The first few are used.
    rehearsal : Rehearsal, optional
        What it said of these patches shall still be what it says, as strongly as in teaching.

    Raises
    ------
    ComputeError
        If torch fails, with its reason.
    """
    head = network.head
    assert isinstance(head, nn.Conv2d)
    if head.kernel_size != (1, 1):
        return
    seen = _looked_at(network, head, islice(batches, BATCHES), rehearsal)
    checked = seen[0]
    known = checked.target.sum(dim=0) > 0
    if known.sum() < 2:
        return
    bias = torch.zeros(head.out_channels) if head.bias is None else head.bias.detach().cpu()
    start = torch.cat([head.weight.detach().cpu().float().flatten(1), bias.float()[:, None]], 1)
    size = torch.cat([checked.features.abs().mean(dim=0)[:-1].clamp(min=1e-3), torch.ones(1)])
    change = torch.zeros_like(start, requires_grad=True)
    step = torch.optim.LBFGS([change], max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def moved() -> Tensor:
        return start + torch.where(known[:, None], change / size, 0.0)

    def closure() -> Tensor:
        step.zero_grad()
        value = STAY * change.square().sum()
        for pixels in seen:
            value = value + pixels.loss(moved())
        value.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        return value

    before = checked.loss(moved()).item()
    step.step(closure)  # type: ignore[no-untyped-call]  # torch does not annotate it
    with torch.no_grad():
        fitted = moved()
        if checked.loss(fitted).item() < WORTH * before:  # never of what is not finite
            head.weight.copy_(fitted[:, :-1, None, None])
            if head.bias is not None:
                head.bias.copy_(fitted[:, -1])


def settle_outlines(
    network: nn.Module, batches: Iterable[Batch], rehearsal: Rehearsal | None = None
) -> None:
    """Move the bias of the last layer so that objects are as large as they are taught, in place.

    What parts touching cells weighs more than what lies beside it, and the first that a network
    learns of that is to draw all outlines tighter. Here each pixel counts the same, those rehearsed
    too, and nothing but the level can move.

    Parameters
    ----------
    network, batches, rehearsal
        See `fit_head`.

    Raises
    ------
    ComputeError
        If torch fails, with its reason.
    """
    head = network.head
    assert isinstance(head, nn.Conv2d)
    if head.kernel_size != (1, 1) or head.bias is None:
        return
    seen = _looked_at(network, head, islice(batches, BATCHES), rehearsal)
    seen = [pixels.unweighted() for pixels in seen]
    known = seen[0].target.sum(dim=0) > 0
    if known.sum() < 2:
        return
    layer = torch.cat([head.weight.detach().cpu().flatten(1), head.bias.detach().cpu()[:, None]], 1)
    shift = torch.zeros(head.out_channels, 1, requires_grad=True)
    step = torch.optim.LBFGS([shift], max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        step.zero_grad()
        moved = torch.where(known[:, None], shift, 0.0)
        bias_alone = F.pad(moved, (layer.shape[1] - 1, 0))
        value = torch.stack([pixels.loss(layer + bias_alone) for pixels in seen]).sum()
        value = value + STAY * moved.square().sum()
        value.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        return value

    step.step(closure)  # type: ignore[no-untyped-call]  # torch does not annotate it
    if torch.isfinite(shift).all():
        with torch.no_grad():
            head.bias += torch.where(known, shift[:, 0], 0.0).to(head.bias.device)


@dataclass(frozen=True, eq=False)
class _Pixels:
    """What the last layer sees of some pixels, with a 1 for its bias, and what it shall say."""

    features: Tensor  # (n, F + 1)
    target: Tensor  # (n, classes): their probabilities
    weight: Tensor  # (n,), of sum 1 times what all of them count

    def loss(self, layer: Tensor) -> Tensor:
        """Cross-entropy with a last layer, shape (classes, F + 1)."""
        each = F.cross_entropy(self.features @ layer.T, self.target, reduction="none")
        return (each * self.weight).sum()

    def unweighted(self) -> _Pixels:
        """Let each of them count the same."""
        mean = self.weight.sum() / max(1, len(self.weight))
        return replace(self, weight=mean.expand(len(self.weight)))


def _looked_at(
    network: nn.Module, head: nn.Conv2d, batches: Iterable[Batch], rehearsal: Rehearsal | None
) -> list[_Pixels]:
    """Look at checked pixels, and at rehearsed ones if there are any."""
    with failures_in_words():
        seen = [_checked_pixels(network, head, batches)]
        if rehearsal is not None and not rehearsal.is_empty:
            seen.append(_rehearsed_pixels(network, head, rehearsal))
    return seen


@torch.no_grad()
def _checked_pixels(network: nn.Module, head: nn.Conv2d, batches: Iterable[Batch]) -> _Pixels:
    """Look at some of the checked pixels of each batch."""
    device = head.weight.device
    parts = []
    for batch in batches:
        features, logits = _seen(network, head, batch.to(device).image)
        target, weight = cropped(batch, logits)
        is_last = features.shape[1:3] == logits.shape[2:]
        where = _some(torch.nonzero((weight > 0) & is_last))
        one_hot = F.one_hot(target[where], head.out_channels).float()
        parts.append((features[where], one_hot, weight[where].float()))
    return _joined(parts, 1.0)


@torch.no_grad()
def _rehearsed_pixels(network: nn.Module, head: nn.Conv2d, rehearsal: Rehearsal) -> _Pixels:
    """Look at some of the pixels of each patch that is rehearsed."""
    parts = []
    for image, known in islice(rehearsal.patches(), REHEARSED):
        features, logits = _seen(network, head, image.to(head.weight.device))
        is_last = features.shape[1:3] == logits.shape[2:]
        everywhere = torch.full(logits.shape[:1] + logits.shape[2:], is_last)
        where = _some(torch.nonzero(everywhere))
        target = known.cpu().softmax(dim=1).movedim(1, -1)[where]
        parts.append((features[where], target, torch.ones(len(target))))
    return _joined(parts, rehearsal.strength)


def _seen(network: nn.Module, head: nn.Conv2d, image: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the last layer sees, shape (B, Y, X, F) on the CPU, and what it says."""
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        outputs = network(image)
    finally:
        hook.remove()
    logits = outputs[0] if isinstance(outputs, tuple) else outputs
    return seen.pop().float().cpu().movedim(1, -1), logits


def _some(places: Tensor) -> tuple[Tensor, ...]:
    return tuple(places[:: max(1, -(-len(places) // PIXELS))].T)


def _joined(parts: Sequence[tuple[Tensor, Tensor, Tensor]], counts: float) -> _Pixels:
    features, target, weight = (torch.cat(part) for part in zip(*parts, strict=True))
    features = torch.cat([features, torch.ones(len(features), 1)], dim=1)
    return _Pixels(features, target, counts * weight / weight.sum())
