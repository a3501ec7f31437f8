"""The training loop: a budget, one optimiser step after another, an average of the weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from napari_unet.core.augment import AugmentConfig
from napari_unet.core.budget import Budget, OpenEndedBudget
from napari_unet.core.device import (
    autocast_dtype,
    channels_last,
    choose_device,
    choose_precision,
    memory_order,
)
from napari_unet.core.errors import ComputeError, InputError, OutOfMemoryError
from napari_unet.core.events import TrainProgress
from napari_unet.core.loss_config import LossConfig
from napari_unet.core.optimisers import OPTIMISERS, build_optimiser
from napari_unet.core.recompute import recompute_activations
from napari_unet.core.sampling import Batch, WeightSettings, prefetched
from napari_unet.core.schedules import SCHEDULES
from napari_unet.core.team import Team

if TYPE_CHECKING:
    from napari_unet.core.watch import Watch

__all__ = [
    "Budget",
    "Cancelled",
    "Loss",
    "OpenEndedBudget",
    "Optimisation",
    "TrainSettings",
    "failures_in_words",
]

REPORT_EVERY_S = 0.3
Cancelled = Callable[[], bool]
Loss = Callable[[Tensor, Batch], Tensor]


class Batches(Protocol):
    """What draws the batches of a run, such as `PatchSampler`."""

    def batches(self, first: int = 0, step: int = 1) -> Iterator[Batch]:
        """Yield batches from number `first` on, each so many after the one before."""


@dataclass(frozen=True)
class TrainSettings:
    """How a network is trained.

    Attributes
    ----------
    patch, batch : int
        Side of a patch in pixels, patches a step.
    learning_rate, weight_decay : float
        Of the optimiser; the rate is the highest of the run.
    optimiser, schedule : str
        See `OPTIMISERS` and `SCHEDULES`. Live teaching, whose end nobody knows, has no schedule.
    momentum : float or None
        None takes the optimiser's own.
    accumulate : int
        So many batches make one step: gradients as of a larger batch, in the memory of a small one.
    recompute : bool
        Save memory and take longer, see `recompute_activations`.
    watch_every : int
        Steps between two looks at the loss, for `patience` and the schedule "plateau".
    patience : int
        So many looks without a lower loss end the run; 0 for never.
    average : float
        Decay of the running average of the weights that becomes the model.
    clip : float
        Largest norm of a step's gradient; 0 lets it be.
    frozen : int
        So many levels of the contracting path, from the image on, stay as they are.
    side_weight : float
        What the mean loss of the side outputs of a network with deep supervision counts against
        that of its output; 0 leaves them out.
    loss : LossConfig
        Of the checked pixels.
    weights : WeightSettings
        Of the touching-cell weight map.
    augment : AugmentConfig
        How patches are varied.
    """

    patch: int = 256
    batch: int = 4
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    average: float = 0.999
    optimiser: str = "adamw"
    schedule: str = "cosine"
    momentum: float | None = None
    accumulate: int = 1
    recompute: bool = False
    watch_every: int = 100
    patience: int = 0
    clip: float = 5.0
    frozen: int = 0
    side_weight: float = 0.0
    loss: LossConfig = field(default_factory=LossConfig)
    weights: WeightSettings = field(default_factory=WeightSettings)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        for name, known in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name.capitalize()} {getattr(self, name)!r} is not known; "
                    f"use {', '.join(known)}."
                )
        if self.momentum is not None and not 0 <= self.momentum < 1:
            raise InputError(f"The momentum is {self.momentum}; it must be from 0 to below 1.")
        if self.accumulate < 1 or self.watch_every < 1 or self.patience < 0:
            raise InputError("Batches a step and steps a look are 1 or more, patience 0 or more.")


class Optimisation:
    """One network being optimised, with the running average of its weights."""

    def __init__(
        self,
        network: nn.Module,
        settings: TrainSettings,
        budget: Budget,
        device: str,
        precision: str,
        seed: int,
        team: Team | None = None,
    ) -> None:
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self.dtype = autocast_dtype(self.precision)
        torch.manual_seed(seed)  # dropout draws from torch's own generator
        _freeze(network, settings.frozen)
        self.network = channels_last(network, self.device).train()
        self._average = copy.deepcopy(self.network)
        if settings.recompute:
            recompute_activations(self.network)  # not the average: it is copied and saved
        self._team = Team() if team is None else team
        sides_count = settings.side_weight > 0 or not len(getattr(network, "side_heads", ()))
        self._shared = self._team.shared(self.network, all_used=sides_count)
        self._settings = settings
        self._budget = budget
        self._watch: Watch | None = None
        self._optimizer = build_optimiser(
            settings.optimiser,
            self._learning,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            momentum=settings.momentum,
        )

    @property
    def _learning(self) -> list[nn.Parameter]:
        return [one for one in self.network.parameters() if one.requires_grad]

    @property
    def is_over(self) -> bool:
        """Whether the budget is spent, or what is watched falls no more."""
        return self._budget.is_spent or (self._watch is not None and self._watch.is_over)

    def watch(self, watch: Watch) -> None:
        """Let the loss that is watched slow the run down and end it."""
        self._watch = watch

    def state(self) -> dict[str, Tensor]:
        """Return all that training goes on from, as tensors by name; see `restore`."""
        state = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        state |= {f"average.{name}": t for name, t in self._average.state_dict().items()}
        for number, values in self._optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{number}.{name}": t for name, t in values.items()}
        if self._watch is not None:
            state |= {f"watch.{name}": t for name, t in self._watch.state().items()}
        state["step"] = torch.tensor(self._budget.step)
        state["seconds"] = torch.tensor(self._budget.elapsed)
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up a `state`, the part of the budget that was used with it."""
        names = ("network", "average", "optimizer", "watch")
        parts: dict[str, dict[str, Tensor]] = {name: {} for name in names}
        for key, tensor in state.items():
            part, _, name = key.partition(".")
            if name:
                parts[part][name] = tensor
        self.network.load_state_dict(parts["network"])
        self._average.load_state_dict(parts["average"])
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in parts["optimizer"].items():
            number, _, name = key.partition(".")
            moments.setdefault(int(number), {})[name] = tensor
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        if self._watch is not None and parts["watch"]:
            self._watch.restore(parts["watch"])
        self._budget.go_on(int(state["step"]), float(state["seconds"]))

    def freeze_batch_norm(self) -> None:
        """Keep the statistics of batch norm: a few cells would spoil them."""
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.eval()

    @property
    def elapsed(self) -> float:
        """Seconds of the budget that are used."""
        return self._budget.elapsed

    def averaged(self) -> nn.Module:
        """Return a copy of the averaged network, on the CPU, ready for use."""
        network: nn.Module = copy.deepcopy(self._average).float().cpu().eval()
        return network.requires_grad_(True)

    def logits(self, image: Tensor) -> tuple[Tensor, ...]:
        """Run the network in training, in the chosen precision: its output, then side outputs."""
        with self.autocast():
            order = memory_order(image.ndim - 2)
            outputs = self._shared(image.contiguous(memory_format=order))
        return outputs if isinstance(outputs, tuple) else (outputs,)

    def autocast(self) -> torch.autocast:
        """Return the context in which the network runs in the chosen precision."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def steps(
        self, sampler: Batches, loss: Loss, cancelled: Cancelled | None
    ) -> Generator[TrainProgress, None, None]:
        """Train until the budget is spent or it is cancelled."""
        budget, total, count, reported = self._budget, torch.zeros(()), 0, 0.0
        each, team = self._settings.accumulate, self._team
        mine = sampler.batches(budget.step * each * team.size + team.rank, team.size)
        with failures_in_words(), closing(prefetched(mine)) as batches:
            while not team.any(self.is_over or (cancelled is not None and cancelled())):
                value = team.mean(self._step([next(batches) for _ in range(each)], loss)).cpu()
                total = total + value
                budget.count_step()
                if self._watch is not None:
                    self._watch.after_step(budget.step, value, self._average)
                count += 1
                if budget.elapsed - reported >= REPORT_EVERY_S:
                    reported = budget.elapsed
                    mean = total.item() / count
                    yield TrainProgress(budget.step, reported, budget.fraction, mean)
                    total, count = torch.zeros(()), 0
        if count:
            yield TrainProgress(budget.step, budget.elapsed, budget.fraction, total.item() / count)

    def _step(self, batches: Sequence[Batch], loss: Loss) -> Tensor:
        settings = self._settings
        rate = self._budget.learning_rate(settings.learning_rate, settings.schedule)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * (1.0 if self._watch is None else self._watch.factor)
        self._optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for number, batch in enumerate(batches, start=1):
            with self._averaging(number == len(batches)):
                value = self._value(batch.to(self.device), loss) / len(batches)
                value.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
            total = total + value.detach()
        if settings.clip > 0:
            nn.utils.clip_grad_norm_(self._learning, settings.clip)
        self._optimizer.step()
        self._update_average()
        return total

    def _averaging(self, is_last: bool) -> AbstractContextManager[None]:
        """Gradients of a team are averaged once, with those of the last batch of a step."""
        if self._team.size == 1 or is_last:
            return nullcontext()
        return self._shared.no_sync()  # type: ignore[operator, no-any-return]  # of torch's wrapper

    def _value(self, batch: Batch, loss: Loss) -> Tensor:
        """The loss of a batch, with that of side outputs."""
        output, *sides = self.logits(batch.image)
        value = loss(output, batch)
        if sides and self._settings.side_weight:
            side = torch.stack([loss(logits, batch) for logits in sides]).mean()
            value = value + self._settings.side_weight * side
        return value

    @torch.no_grad()
    def _update_average(self) -> None:
        # Early on the average follows closely, so that the first weights are soon forgotten.
        step = self._budget.step
        decay = min(self._settings.average, (1 + step) / (10 + step))
        current = self.network.state_dict()
        for name, kept in self._average.state_dict().items():
            if kept.is_floating_point():
                kept.lerp_(current[name], 1 - decay)
            else:
                kept.copy_(current[name])


@contextmanager
def failures_in_words() -> Iterator[None]:
    """Turn torch's errors into sentences."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(
            "There is not enough memory to train on this GPU; choose smaller patches."
        ) from error
    except RuntimeError as error:
        reason = (str(error).splitlines() or ["no reason given"])[0].rstrip(".")
        raise ComputeError(f"Training failed: {reason}.") from error


def _freeze(network: nn.Module, levels: int) -> None:
    """Keep the weights of the first levels of the contracting path."""
    path = network.down
    assert isinstance(path, nn.ModuleList)
    if not 0 <= levels <= len(path):
        raise InputError(
            f"{levels} levels are to stay as they are; the network's contracting path has "
            f"{len(path)}."
        )
    for block in path[:levels]:
        block.requires_grad_(False)
