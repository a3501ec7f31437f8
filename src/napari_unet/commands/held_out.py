"""How good a trained model is on images that it did not learn from: what its card shows."""

from __future__ import annotations

from napari_unet.commands.console import progress_bar
from napari_unet.commands.data import NamedExample
from napari_unet.core.class_metrics import ClassScores, class_measures, pool_classes, score_classes
from napari_unet.core.metrics import Scores, pool, score
from napari_unet.core.model_file import Model
from napari_unet.core.segmentation import segment

__all__ = ["card_scores", "tested_on"]


def tested_on(
    model: Model, tested: list[NamedExample], device: str, precision: str
) -> dict[str, float]:
    """Return the scores of a card on images held out."""
    objects: list[Scores] = []
    classes: list[ClassScores] = []
    with progress_bar("Testing", len(tested), " images") as bar:
        for named in tested:
            found = segment(
                named.example.image_cyx,
                model,
                axes=f"C{model.config.spatial_axes}",
                device=device,
                precision=precision,
            )
            if model.config.semantic:
                count = len(model.config.classes)
                classes.append(score_classes(named.example.labels, found.labels, count))
            else:
                objects.append(score(named.example.labels, found.labels))
            bar.update(1)
    if model.config.semantic:
        return class_measures(pool_classes(classes), model.config.classes)
    return card_scores(pool(objects))


def card_scores(scores: Scores) -> dict[str, float]:
    """Return the scores that a model's card shows."""
    shown = {f"AP {t:.2f}": round(v, 4) for t, v in scores.average_precision.items()}
    return {**shown, "F1": round(scores.f1, 4), "Dice": round(scores.dice, 4)}
