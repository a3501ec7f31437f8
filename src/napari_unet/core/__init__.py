"""Networks, losses, augmentation, tiling and teaching: plain functions, no Qt and no napari.

Names are imported when they are first used, so that torch is loaded only by those who need it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_unet.core.attention import attention_maps
    from napari_unet.core.config import ModelCard, ModelConfig
    from napari_unet.core.example import Example
    from napari_unet.core.fine_tuning import finetune, iter_finetune
    from napari_unet.core.library import available_models
    from napari_unet.core.linking import link_by_overlap
    from napari_unet.core.metrics import Scores, score
    from napari_unet.core.model_file import Model, load_model
    from napari_unet.core.predict import predict_tiles
    from napari_unet.core.segmentation import Segmentation, segment
    from napari_unet.core.targets import classes_to_labels, labels_to_classes
    from napari_unet.core.tracking import Tracked, track_by_motion
    from napari_unet.core.train import iter_train
    from napari_unet.core.weight_map import touching_cell_weights

_HOMES = {
    "Example": "example",
    "Model": "model_file",
    "ModelCard": "config",
    "ModelConfig": "config",
    "Scores": "metrics",
    "Segmentation": "segmentation",
    "Tracked": "tracking",
    "attention_maps": "attention",
    "available_models": "library",
    "classes_to_labels": "targets",
    "finetune": "fine_tuning",
    "iter_finetune": "fine_tuning",
    "iter_train": "train",
    "labels_to_classes": "targets",
    "link_by_overlap": "linking",
    "load_model": "model_file",
    "predict_tiles": "predict",
    "score": "metrics",
    "segment": "segmentation",
    "touching_cell_weights": "weight_map",
    "track_by_motion": "tracking",
    "with_classes": "classes",
}

__all__ = [
    "Example",
    "Model",
    "ModelCard",
    "ModelConfig",
    "Scores",
    "Segmentation",
    "Tracked",
    "attention_maps",
    "available_models",
    "classes_to_labels",
    "finetune",
    "iter_finetune",
    "iter_train",
    "labels_to_classes",
    "link_by_overlap",
    "load_model",
    "predict_tiles",
    "score",
    "segment",
    "touching_cell_weights",
    "track_by_motion",
    "with_classes",
]


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
