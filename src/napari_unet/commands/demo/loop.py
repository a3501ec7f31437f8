"""The loop, once: segment, correct the worst objects, teach, segment again, score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.commands.console import follow, say_aside
from napari_unet.commands.demo.lesson import Correction, correct_worst, score_untouched
from napari_unet.commands.learning import StopKey
from napari_unet.core.events import KeptAsideScore, TeachSummary, TrainProgress
from napari_unet.core.example import Example
from napari_unet.core.fine_tuning import iter_finetune
from napari_unet.core.metrics import Scores, score
from napari_unet.core.model_file import Model
from napari_unet.core.segmentation import segment
from napari_unet.sample_data import coins, nuclei

__all__ = ["SAMPLES", "DemoResult", "DemoSettings", "Sample", "run_loop"]


ROUNDS = 3  # each twice as long as the one before
LEAST_GAIN = 0.02  # of overlap (chosen): less is noise on two or three objects


@dataclass(frozen=True)
class Sample:
    """An image with its truth, and how the demo speaks of it.

    Attributes
    ----------
    noun : str
        What the objects are called, in the plural.
    about : str
        A sentence for the report.
    load : callable
        Takes a seed, returns image and truth.
    count : int
        How many objects are corrected.
    """

    noun: str
    about: str
    load: Callable[[int], tuple[NDArray[Any], NDArray[np.int32]]]
    count: int


def _nuclei(seed: int) -> tuple[NDArray[Any], NDArray[np.int32]]:
    image, truth = nuclei(seed=seed)
    return image.max() - image, truth


SAMPLES = {
    "coins": Sample(
        "coins",
        "A photograph of 24 coins, as a negative: dark objects on a light ground, as in a "
        "bright-field microscope. The model has only ever seen bright nuclei on a dark ground.",
        lambda seed: coins(negative=True),
        6,
    ),
    "nuclei": Sample(
        "nuclei",
        "Drawn nuclei, as a negative: dark and often touching, on a light ground. The model has "
        "only ever seen bright nuclei on a dark ground.",
        _nuclei,
        12,
    ),
}


@dataclass(frozen=True)
class DemoSettings:
    """What the options of the command say."""

    sample: str = "coins"
    model: str = "nuclei-fluorescence"
    seconds: float | None = 40.0
    steps: int | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True, eq=False)
class DemoResult:
    """All that the loop made.

    Attributes
    ----------
    image, truth : ndarray
        The sample.
    before, after : ndarray of int32
        Segmentations with the model before and after teaching.
    correction : Correction
        What was corrected in between.
    taught : Model
        The model after teaching; the one before, if teaching did not help.
    summary : TeachSummary
        How teaching ended.
    history : tuple
        Events of teaching.
    whole, untouched : tuple of Scores
        Before and after, on all objects and on those that were not corrected.
    """

    image: NDArray[Any]
    truth: NDArray[np.int32]
    before: NDArray[np.int32]
    after: NDArray[np.int32]
    correction: Correction
    taught: Model
    summary: TeachSummary
    history: tuple[TrainProgress | KeptAsideScore, ...]
    whole: tuple[Scores, Scores]
    untouched: tuple[Scores, Scores]

    @property
    def has_risen(self) -> bool:
        """Whether the objects that nobody corrected are found better than before."""
        before, after = self.untouched
        return after.mean_average_precision > before.mean_average_precision


def run_loop(settings: DemoSettings, model: Model, cancelled: StopKey | None = None) -> DemoResult:
    """Go through the loop once."""
    sample = SAMPLES[settings.sample]
    image, truth = sample.load(settings.seed)
    say_aside(f"Segmenting the {sample.noun} with {settings.model}")
    before = _segmented(image, model, settings)
    correction = correct_worst(truth, before, sample.count)
    say_aside(
        f"Correcting {len(correction.corrected)} of {truth.max()} {sample.noun}"
        f" and erasing {correction.erased} false object{'s' * (correction.erased != 1)}"
    )
    taught, summary, history = _teach(image, correction, model, settings, cancelled)
    say_aside("Segmenting again")
    after = _segmented(image, taught, settings)
    return DemoResult(
        image,
        truth,
        before,
        after,
        correction,
        taught,
        summary,
        history,
        whole=(score(truth, before), score(truth, after)),
        untouched=(
            score_untouched(truth, before, correction),
            score_untouched(truth, after, correction),
        ),
    )


def _segmented(image: NDArray[Any], model: Model, settings: DemoSettings) -> NDArray[np.int32]:
    found = segment(image, model, axes="YX", device=settings.device, precision=settings.precision)
    return found.labels


def _teach(
    image: NDArray[Any],
    correction: Correction,
    model: Model,
    settings: DemoSettings,
    cancelled: StopKey | None,
) -> tuple[Model, TeachSummary, tuple[TrainProgress | KeptAsideScore, ...]]:
    """Teach; where the objects kept aside say that it was too short, once more for longer."""
    example = Example(image, correction.labels, correction.checked, axes="YX")
    seconds = settings.seconds
    for attempt in range(ROUNDS):
        history: list[TrainProgress | KeptAsideScore] = []
        events = iter_finetune(
            model,
            [example],
            seconds=seconds,
            steps=settings.steps,
            seed=settings.seed,
            device=settings.device,
            precision=settings.precision,
            cancelled=cancelled,
        )
        taught, summary = follow(events, "Teaching", history)
        is_last = attempt == ROUNDS - 1 or (cancelled is not None and cancelled())
        if _has_learnt(summary) or is_last or settings.steps is not None or seconds is None:
            break
        seconds = 2 * seconds
        say_aside(f"That was too short on this computer; teaching again for {seconds:.0f} s")
    return (taught if summary.improved else model), summary, tuple(history)


def _has_learnt(summary: TeachSummary) -> bool:
    """Whether the objects kept aside are found better; none kept aside is taken for yes."""
    if summary.before is None or summary.after is None:
        return True
    return summary.after > summary.before + LEAST_GAIN
