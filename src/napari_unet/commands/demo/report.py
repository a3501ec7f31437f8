"""Write what the demo made: figures, a report in words and in JSON, labels and the model."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any  # JSON values

import numpy as np
from PIL import Image

from napari_unet.commands.demo.chart import draw_learning
from napari_unet.commands.demo.loop import SAMPLES, DemoResult, DemoSettings
from napari_unet.commands.demo.panels import (
    Panel,
    compose,
    draw_correction,
    draw_found,
    draw_image,
)
from napari_unet.core.errors import InputError
from napari_unet.core.metrics import Scores
from napari_unet.formats.images import write_labels

__all__ = ["closing_lines", "write_all"]

AT = (0.5, 0.7, 0.9)
FILES = {
    "before_after.png": "what was found before and after, and what was corrected in between",
    "learning.png": "loss and score while it learnt",
    "report.md": "this report",
    "report.json": "its numbers",
    "taught.safetensors": "the model as it is now; the Model menu of the dock can load it",
    "image.tif": "the sample",
    "truth_labels.tif": "the true outlines",
    "before_labels.tif": "found before teaching",
    "corrected_labels.tif": "after correcting by hand",
    "checked_area.tif": "where the corrected labels are true: all that was taught",
    "after_labels.tif": "found after teaching",
}


def write_all(folder: Path, settings: DemoSettings, result: DemoResult) -> None:
    """Write every file of the demo into a folder.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    noun = SAMPLES[settings.sample].noun
    planes = {
        "truth_labels": result.truth,
        "before_labels": result.before,
        "corrected_labels": result.correction.labels,
        "checked_area": result.correction.checked,
        "after_labels": result.after,
        "image": result.image,
    }
    for name, plane in planes.items():
        write_labels(folder / f"{name}.tif", plane, "YX")
    result.taught.save(folder / "taught.safetensors")
    try:
        _picture(noun, result).save(folder / "before_after.png")
        heading = f"Teaching on {len(result.correction.corrected)} corrected {noun}"
        draw_learning(result.history, heading).save(folder / "learning.png")
        (folder / "report.md").write_text(_report(settings, result), encoding="utf-8")
        numbers = json.dumps(_numbers(settings, result), indent=2)
        (folder / "report.json").write_text(f"{numbers}\n", encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{folder} cannot be written to: {reason}.") from error


def closing_lines(settings: DemoSettings, result: DemoResult, folder: Path) -> list[str]:
    """Return what is said at the end."""
    noun = SAMPLES[settings.sample].noun
    corrected = len(result.correction.corrected)
    (b, a), (ub, ua) = result.whole, result.untouched
    lines = [
        f"{corrected} of {b.n_truth} {noun} were corrected, and teaching took "
        f"{result.summary.seconds:.0f} s ({result.summary.steps} steps).",
        f"All {b.n_truth} {noun}:{_change(b, a)}",
        f"The {ub.n_truth} that nobody corrected:{_change(ub, ua)}",
    ]
    if not result.has_risen:
        lines.append(
            "The score did not rise; give more --seconds, or look at before_after.png to see why."
        )
    return [*lines, f"Figures, report, labels and the taught model are in {folder}."]


def _change(before: Scores, after: Scores) -> str:
    ap = f"AP at IoU 0.5 {before.average_precision[0.5]:.2f} -> {after.average_precision[0.5]:.2f}"
    mean = f"mean AP {before.mean_average_precision:.2f} -> {after.mean_average_precision:.2f}"
    return f" {before.found[0]} found before, {after.found[0]} after; {ap}, {mean}"


def _picture(noun: str, result: DemoResult) -> Image.Image:
    image, truth, correction = result.image, result.truth, result.correction
    (before, after), (ub, ua) = result.whole, result.untouched
    corrected = len(correction.corrected)
    erased = f" and {correction.erased} false erased" if correction.erased else ""
    panels = [
        Panel("1  The image", f"{before.n_truth} {noun}", draw_image(image)),
        Panel("2  Before teaching", _found(noun, before), draw_found(image, truth, result.before)),
        Panel(
            "3  Corrected by hand",
            f"{corrected} {noun} drawn{erased}; what is dimmed stays unknown",
            draw_correction(image, truth, correction),
        ),
        Panel("4  After teaching", _found(noun, after), draw_found(image, truth, result.after)),
    ]
    line = (
        f"On the {ub.n_truth} {noun} nobody corrected: {ub.found[0]} found before, "
        f"{ua.found[0]} after (AP {ub.average_precision[0.5]:.2f} before, "
        f"{ua.average_precision[0.5]:.2f} after)"
    )
    heading = f"{corrected} {noun} corrected, {result.summary.seconds:.0f} seconds of teaching"
    return compose(heading, line, panels)


def _found(noun: str, scores: Scores) -> str:
    false = scores.n_predicted - scores.found[0]
    ap = f"AP {scores.average_precision[0.5]:.2f}"
    return f"{scores.found[0]} of {scores.n_truth} {noun} found, {false} false   ({ap})"


def _report(settings: DemoSettings, result: DemoResult) -> str:
    sample = SAMPLES[settings.sample]
    correction, noun = result.correction, sample.noun
    files = "\n".join(f"- `{name}`: {what}" for name, what in FILES.items())
    verdict = (
        "The score rose."
        if result.has_risen
        else "**The score did not rise** on untouched objects."
    )
    return f"""# napari-unet demo: {noun}

{sample.about}

1. **Segment** with the model `{settings.model}`.
2. **Correct** the {len(correction.corrected)} worst {noun} of the left half and erase
   {correction.erased} false object{"s" * (correction.erased != 1)}. That and a few pixels
   around is the checked area ({correction.checked.mean():.0%} of the image): all that is taught.
3. **Teach** for {result.summary.seconds:.0f} s ({result.summary.steps} steps).
   {result.summary.sentence}
4. **Segment** again.

![before and after](before_after.png)

{verdict} An object counts as found where it overlaps the true one by an IoU of at least 0.5;
AP is found / (found + missed + false).

{_score_table(result)}

The right half of the table is the honest one: {noun} that nobody corrected. Their outlines
were never shown to the model.

![learning](learning.png)

## Files

{files}
"""


def _score_table(result: DemoResult) -> str:
    (b, a), (ub, ua) = result.whole, result.untouched
    columns = (b, a, ub, ua)
    rows = [
        ("found", *(f"{s.found[0]} of {s.n_truth}" for s in columns)),
        ("false", *(str(s.n_predicted - s.found[0]) for s in columns)),
        *((f"AP at IoU {at}", *(f"{s.average_precision[at]:.2f}" for s in columns)) for at in AT),
        ("mean AP, IoU 0.5 to 0.9", *(f"{s.mean_average_precision:.2f}" for s in columns)),
        ("Dice", *(f"{s.dice:.2f}" for s in columns)),
    ]
    head = [
        "| | all, before | all, after | not corrected, before | not corrected, after |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def _numbers(settings: DemoSettings, result: DemoResult) -> dict[str, Any]:
    return {
        "settings": asdict(settings),
        "corrected": list(result.correction.corrected),
        "erased": result.correction.erased,
        "checked_part": float(np.mean(result.correction.checked)),
        "teaching": {**asdict(result.summary), "sentence": result.summary.sentence},
        "all": [_score_numbers(scores) for scores in result.whole],
        "not_corrected": [_score_numbers(scores) for scores in result.untouched],
        "has_risen": result.has_risen,
    }


def _score_numbers(scores: Scores) -> dict[str, float]:
    return {
        "objects": scores.n_truth,
        "predicted": scores.n_predicted,
        "found": scores.found[0],
        **{f"AP {at:.2f}": value for at, value in scores.average_precision.items()},
        "mean AP": scores.mean_average_precision,
        "F1": scores.f1,
        "PQ": scores.panoptic_quality,
        "Dice": scores.dice,
    }
