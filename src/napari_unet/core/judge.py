"""Scores a network on the cells kept aside while it learns, and remembers the best."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from napari_unet.core.events import KeptAsideScore, TeachSummary
from napari_unet.core.kept_aside import KeptAside
from napari_unet.core.model_file import Model
from napari_unet.core.optimise import Budget

__all__ = ["Judge"]


class Judge:
    """Scores the network on the cells kept aside, and remembers the best."""

    EVERY = 0.2  # of the budget

    def __init__(
        self, model: Model, aside: KeptAside | None, budget: Budget, device: str, precision: str
    ) -> None:
        self.best: nn.Module | None = None
        self._model = model
        self._aside = aside
        self._budget = budget
        self._device = device
        self._precision = precision
        self._scores: list[float] = []
        self._judged_at = 0.0

    def is_due(self) -> bool:
        """Whether it is time for another score."""
        return self._aside is not None and self._budget.fraction >= self._judged_at + self.EVERY

    def judge(self, network: nn.Module) -> KeptAsideScore | None:
        """Score a network; the first one judged is the model before teaching."""
        if self._aside is None:
            return None
        self._judged_at = self._budget.fraction
        model = replace(self._model, network=network)
        score = self._aside.score(model, device=self._device, precision=self._precision)
        if self._scores and score >= max(self._scores[1:], default=0.0):
            self.best = network
        self._scores.append(score)
        return KeptAsideScore(self._budget.step, self._budget.elapsed, score, self._aside.cells)

    def summary(self, cells_taught: int) -> TeachSummary:
        """Say how it went."""
        before = self._scores[0] if self._scores else None
        after = max(self._scores[1:]) if self._scores else None
        return TeachSummary(
            before=before,
            after=after,
            cells_taught=cells_taught,
            cells_kept_aside=self._aside.cells if self._aside else 0,
            improved=before is None or after is None or after >= before,
            seconds=self._budget.elapsed,
            steps=self._budget.step,
        )
