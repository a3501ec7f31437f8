"""How is learnt where nobody says otherwise: from many images, and from a few corrected cells."""

from __future__ import annotations

from dataclasses import replace

from napari_unet.core.augment import AugmentConfig
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.sampling import WeightSettings

__all__ = [
    "CAREFUL_SETTINGS",
    "TEACH_SETTINGS",
    "TEACH_VOLUME_SETTINGS",
    "TRAIN_SETTINGS",
    "VOLUME_SETTINGS",
]

# For a set of many images: what a microscope, a stain and a camera may vary, and objects of
# two thirds to one and a half times the usual size.
TRAIN_SETTINGS = TrainSettings(
    learning_rate=2e-3,
    side_weight=1.0,  # chosen: side outputs together count as much as the output
    augment=AugmentConfig(
        scale=(0.7, 1.45),
        brightness=0.05,
        contrast=(0.7, 1.4),
        gamma=(0.7, 1.4),
        noise=0.04,
        blur=1.0,
        shade=0.3,
    ),
)

# For volumes: patches as large as memory and patience allow, bent in the plane as much as those of
# planes are against their size (chosen).
VOLUME_SETTINGS = replace(
    TRAIN_SETTINGS, patch=64, batch=2, augment=replace(TRAIN_SETTINGS.augment, elastic_sigma=2.5)
)

# For seconds of training on a laptop: many small steps. Measured by tests/benchmarks/teaching.py
# on drawn dark nuclei: AP 0.5 of what was not corrected is 0.48 after 120 steps of 2 patches,
# and 0.00 after 60 steps of 4, which take as long. Noise and blur are weak: what parts a cell from
# its ground may be a twentieth of the range of intensities (docs/measured.md, phase contrast).
TEACH_SETTINGS = TrainSettings(
    patch=128,
    batch=2,
    learning_rate=3e-3,
    average=0.99,
    weights=WeightSettings(on_cells=False, balance=True),
    augment=AugmentConfig(brightness=0.05, gamma=(0.8, 1.25), noise=0.02, blur=0.5),
)

# Where most of what is found looks right, and the few worst were corrected: Adam steps as far for
# nothing as for something, and weights as in the long training leave outlines where they lay.
CAREFUL_SETTINGS = replace(TEACH_SETTINGS, learning_rate=3e-4, weights=TRAIN_SETTINGS.weights)

# For volumes: as in training, with the step and the average of a short run (chosen).
TEACH_VOLUME_SETTINGS = replace(VOLUME_SETTINGS, learning_rate=1e-3, average=0.99, side_weight=0.0)
