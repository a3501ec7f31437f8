"""Scores a network while it learns, on cells kept aside where there are enough."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import numpy as np
from torch import nn

from napari_unet.core.config import ModelConfig
from napari_unet.core.events import KeptAsideScore, TeachSummary
from napari_unet.core.example import Example
from napari_unet.core.kept_aside import KeptAside, Mark, all_checked
from napari_unet.core.kept_patches import KeptPatches, all_patches
from napari_unet.core.model_file import Model
from napari_unet.core.optimise import Budget

__all__ = ["Judge", "Where", "everything_checked", "is_refused", "is_worse", "with_fitting_objects"]

# The IoU of one cell varies by about this much from one good model to the next (chosen).
NOISE = 0.2

# A model that scores lower on checked cells does not know their kind (chosen; see `Teacher`), and
# scores closer than this are the same then (chosen).
OTHER_KIND, SAME = 0.25, 0.02

# A model that finds less than this of the checked cells is still learning: to refuse what it has
# learnt, or what has raised the score, the loss must be worse by more than this part of it, for one
# cell (chosen; with ten a sixth). Refused within the noise, rounds of teaching phase contrast ended
# where the first one did, one of them at a score of 0.76 on three cells instead of 0.72.
LEARNING, NOISE_OF_LOSS = 0.5, 0.5


# So much of the checked cells must be smaller than the smallest object before a smaller one is
# tried (chosen). Few cells say nothing of crumbs, which lie where nothing is checked: of a model
# that was taught phase contrast AP 0.5 on other images fell from 0.51 to 0.30 when seven cells had
# chosen 13 pixels instead of 113.
LOST = 0.25

# A score of objects that hides cells which were just learnt is not true of them: it is given up
# where they are found better without it by more than so many times the noise (measured in phase
# contrast: 0.36 instead of 0.17 of ten cells and 0.28 instead of 0.08 of 15, where AP 0.5 on other
# images is 0.39 instead of 0.34 and 0.34 instead of 0.19 without it; 0.33 instead of 0.26 of ten,
# where it is 0.49 instead of 0.55; chosen).
HIDES = 2.0

# So much of what is believed must be found as well as before (measured after ten corrected nuclei
# of a look never seen: 0.87 to 1.0 after lessons that helped or did no harm, 0.74 after one that
# harmed; chosen).
HELD = 0.85


# And of the cells that were checked in earlier rounds, most of which both have learnt: a fall of
# their score beyond the noise of so many, and by more than this part of it, is a loss (measured in
# phase contrast: 0.26 to 0.08 of ten cells in a round after which AP 0.5 on other images fell from
# 0.31 to 0.08, 0.57 to 0.45 of five in one after which it rose from 0.48 to 0.53; chosen).
FORGOTTEN = 1 / 3


class Where(TypedDict):
    """On which device it is judged, at which precision; see `napari_unet.core.device`."""

    device: str
    precision: str


def is_worse(new: Mark, old: Mark, cells: int) -> bool:
    """Whether one mark is worse than another, both on the same few cells.

    A rise of the score beyond the noise of so few cells decides, and a fall beyond half of it: to
    teach again costs less than to be worse. Within them the loss does.
    """
    if not math.isfinite(new.loss):
        return True
    change, noise = new.score - old.score, NOISE / math.sqrt(max(1, cells))
    if change > noise or change < -noise / 2:
        return change < 0
    return new.loss > old.loss


def with_fitting_objects(
    model: Model,
    cells: KeptAside | KeptPatches,
    before: float,
    *,
    others: Sequence[float] = (),
    learnt: KeptAside | KeptPatches | None = None,
    is_known: bool = False,
    device: str = "auto",
    precision: str = "auto",
) -> tuple[Model, Mark]:
    """Make objects as is best for the cells that are checked.

    What a model has learnt about the looks of nuclei is not true of everything it is taught, nor
    is how small the smallest ones are.

    Parameters
    ----------
    model : Model
        In its settings the search begins.
    cells : KeptAside or KeptPatches
        What is checked.
    before : float
        The score before teaching: where it was low, cells are of another kind than the model knew,
        and of sizes that these cells find equally good the largest is taken.
    others : sequence of float
        Areas of the other checked cells, in the model's pixels.
    learnt : KeptAside or KeptPatches, optional
        The other checked cells themselves: a score of objects that hides them is given up.
    is_known : bool
        Whether the model knew this kind of image: then its score of objects is true here,
        and the smallest object is not larger, whatever a few cells say that were worst.

    Returns
    -------
    tuple of Model and Mark
        The model, without its score of objects or with another smallest size if these cells are
        found better so, and how good it is on them.
    """
    configs = [model.config]
    if model.config.score is not None and not is_known:
        without = replace(model.config, object_score=())
        is_hiding = learnt is not None and _is_hiding(model, without, learnt, device, precision)
        configs = [without] if is_hiding else [*configs, without]
    sizes = cells.min_sizes(model.config)
    areas = np.array([*cells.whole_areas(model.config), *others])
    if np.count_nonzero(areas < model.config.min_size) < LOST * max(1, len(areas)):
        sizes = [size for size in sizes if size >= model.config.min_size]
    if is_known:
        sizes = [size for size in sizes if size <= model.config.min_size]
    configs += [replace(one, min_size=size) for one in configs for size in sizes]
    marks = cells.marks(model, configs, device=device, precision=precision)
    # What is corrected is what was worst, and most crumbs lie where nothing is checked: a smaller
    # smallest object than the model has, and to give up its score, must be proven.
    noise = NOISE / math.sqrt(max(1, cells.cells))
    worth = [
        mark.score - (noise if _is_bold(one, model.config) else 0.0)
        for one, mark in zip(configs, marks, strict=True)
    ]
    good = max(worth) - (SAME if before < OTHER_KIND else 0.0)
    fitting = [n for n, score in enumerate(worth) if score >= good]
    best = fitting[0]
    if before < OTHER_KIND:
        best = max(fitting, key=lambda n: configs[n].min_size)
    return replace(model, config=configs[best]), marks[best]


def _is_hiding(
    model: Model,
    without: ModelConfig,
    learnt: KeptAside | KeptPatches,
    device: str,
    precision: str,
) -> bool:
    """Whether the score of objects hides what was learnt."""
    marks = learnt.marks(model, [model.config, without], device=device, precision=precision)
    noise = NOISE / math.sqrt(max(1, learnt.cells))
    return marks[1].score - marks[0].score > HIDES * noise


def _is_bold(new: ModelConfig, old: ModelConfig) -> bool:
    """Whether objects may be made so only if that is better beyond the noise."""
    return new.min_size < old.min_size or (new.score is None and old.score is not None)


def everything_checked(
    examples: Sequence[Example], config: ModelConfig
) -> KeptAside | KeptPatches | None:
    """Return all that is checked, to score on what was learnt from; None if nothing is."""
    return (all_patches if config.semantic else all_checked)(examples, config.percentiles)


def is_refused(new: Mark, old: Mark, cells: int) -> bool:
    """Whether what was taught is given up for the model before, by the marks of both.

    As `is_worse`, but where the score has risen, or the model before knows too little to be worth
    keeping, what was learnt from more cells is taken within the noise of the loss.
    """
    if not is_worse(new, old, cells):
        return False
    has_won = new.score > old.score or old.score < LEARNING
    if not math.isfinite(new.loss) or not has_won:
        return True
    noise = NOISE / math.sqrt(max(1, cells))
    is_close = new.loss <= old.loss * (1 + NOISE_OF_LOSS / math.sqrt(max(1, cells)))
    return new.score < old.score - noise / 2 or not is_close


class Judge:
    """Scores the network, and remembers the best.

    Parameters
    ----------
    model : Model
        Before teaching.
    taught : sequence of Example
        What it learns from; it is judged on these where nothing is kept aside, before and
        after only.
    aside : KeptAside or None
        The cells kept aside.
    budget : Budget
        Of the teaching; time for the last verdict is kept back from it.
    believed : sequence of Example
        What the model before finds and is believed, if it knows this kind of images (see
        `what_is_known`): a network that has lost too much of it is not remembered.
    earlier : sequence of Example
        What was checked in rounds before this one: a network that has lost much of it is not
        remembered either.
    device, precision : str
        See `napari_unet.core.device`.
    """

    EVERY = 0.25  # of the budget
    MOST = 0.03  # of the seconds for one verdict between the first and the last

    def __init__(
        self,
        model: Model,
        taught: Sequence[Example],
        aside: KeptAside | KeptPatches | None,
        budget: Budget,
        device: str,
        precision: str,
        *,
        believed: Sequence[Example] = (),
        earlier: Sequence[Example] = (),
    ) -> None:
        self._knows = bool(believed)
        self._believed = all_checked(believed, model.config.percentiles) if believed else None
        self._earlier = all_checked(earlier, model.config.percentiles) if earlier else None
        self._held_before = self._earlier_before = 0.0
        self.has_lost = self.has_forgotten = False
        self.best: Model | None = None
        self._model = model
        self._is_aside = aside is not None
        learnt = everything_checked(taught, model.config)
        self._cells = aside or learnt
        self._others: list[float] = []
        self._learnt = None if aside is None else learnt
        self._is_blind = False  # to a class that is learnt, as nothing of it is kept aside
        if aside is not None and learnt is not None:
            self._others = learnt.whole_areas(model.config)
        if isinstance(aside, KeptPatches) and isinstance(learnt, KeptPatches):
            self._is_blind = bool(learnt.classes - aside.classes)
        self._budget = budget
        self._where: Where = {"device": device, "precision": precision}
        self._before: Mark | None = None
        self._best_mark: Mark | None = None
        self._last_mark: Mark | None = None
        self._judged_at = 0.0
        self._every = self.EVERY

    def is_due(self) -> bool:
        """Whether it is time for another score."""
        return self._is_aside and self._budget.fraction >= self._judged_at + self._every

    @property
    def finds_little(self) -> bool:
        """Whether the best so far does not know this kind of cells."""
        return self._best_mark is None or self._best_mark.score < OTHER_KIND

    def judge(self, network: nn.Module, *, proven: bool = False) -> KeptAsideScore | None:
        """Score a network; the first one judged is the model before teaching.

        With `proven` it is remembered only if it is better than the best beyond the noise.
        """
        self._judged_at = self._budget.fraction
        model = replace(self._model, network=network)
        if self._cells is None:
            self.best = model
            return None
        start = time.monotonic()
        if self._before is None:
            mark = self._before = self._cells.mark(model, **self._where)
            self._held_before, self._earlier_before = self._held(model), self._found_earlier(model)
            self._keep_time_back(time.monotonic() - start)
        else:
            before = self._before.score
            model, mark = with_fitting_objects(
                model,
                self._cells,
                before,
                others=self._others,
                learnt=self._learnt,
                is_known=self._knows,
                **self._where,
            )
            self.has_lost = self._held(model) < HELD * self._held_before
            self.has_forgotten = self._forgets(model)
            best, noise = self._best_mark, NOISE / math.sqrt(max(1, self._cells.cells))
            self._last_mark = mark
            if not (self.has_lost or self.has_forgotten) and (
                best is None
                or (
                    mark.score > best.score + noise
                    if proven
                    else not is_worse(mark, best, self._cells.cells)
                )
            ):
                self.best, self._best_mark = model, mark
        if not self._is_aside:
            return None
        steps, seconds = self._budget.step, self._budget.elapsed
        return KeptAsideScore(steps, seconds, mark.score, self._cells.cells)

    def summary(self, cells_taught: int, replayed: int = 0) -> TeachSummary:
        """Say how it went; for the numbers see `TeachSummary`."""
        before, after = self._before, self._best_mark or self._last_mark
        improved = self._best_mark is not None or self._last_mark is None
        if improved and self._cells and before and after:
            improved = not is_refused(after, before, self._cells.cells)
            if self._is_blind:  # what was won of that class is not seen: little must be lost
                fall = NOISE / math.sqrt(max(1, self._cells.cells)) / 2
                improved = improved or after.score >= before.score - fall
        return TeachSummary(
            before=None if before is None else before.score,
            after=None if after is None else after.score,
            cells_taught=cells_taught,
            cells_kept_aside=self._cells.cells if self._is_aside and self._cells else 0,
            improved=improved,
            lost=self.has_lost and self._best_mark is None,
            forgot=self.has_forgotten and self._best_mark is None,
            seconds=self._budget.elapsed,
            steps=self._budget.step,
            replayed=replayed,
            noun="patch" if self._model.config.semantic else "cell",
        )

    def _held(self, model: Model) -> float:
        """How much a model still finds of what is believed, 0 to 1."""
        return 0.0 if self._believed is None else self._believed.mark(model, **self._where).score

    def _found_earlier(self, model: Model) -> float:
        """How well a model finds what was checked in earlier rounds, 0 to 1."""
        return 0.0 if self._earlier is None else self._earlier.mark(model, **self._where).score

    def _forgets(self, model: Model) -> bool:
        """Whether a model has lost much of what was checked in earlier rounds."""
        if self._earlier is None:
            return False
        before, noise = self._earlier_before, NOISE / math.sqrt(max(1, self._earlier.cells))
        return self._found_earlier(model) < min(before - noise, (1 - FORGOTTEN) * before)

    def _keep_time_back(self, seconds: float) -> None:
        self._budget.keep_back(seconds)
        if self._budget.seconds is not None and seconds > self.MOST * self._budget.seconds:
            self._every = 2.0  # never in between
