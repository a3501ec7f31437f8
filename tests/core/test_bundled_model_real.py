"""The bundled model on the images that its card says it never saw."""

import numpy as np
import pytest
import tifffile

from napari_unet.core import load_model, segment
from napari_unet.core.metrics import match_objects
from real_data import data_folder

REQUIRED = {0.5: 0.75, 0.9: 0.10}


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.timeout(1200)  # a minute on two free cores
def test_nuclei_fluorescence_finds_nuclei_it_never_saw():
    folder = data_folder("nuclei-dsb2018")
    model = load_model("nuclei-fluorescence")
    found, objects = dict.fromkeys(REQUIRED, 0), 0
    for name in model.card.held_out:
        labels = segment(tifffile.imread(folder / "images" / f"{name}.tif"), model).labels
        truth = tifffile.imread(folder / "labels" / f"{name}.tif")
        objects += len(np.unique(truth[truth > 0])) + int(labels.max())
        for threshold in REQUIRED:
            found[threshold] += len(match_objects(truth, labels, threshold).truth)
    assert len(model.card.held_out) == 54
    for threshold, least in REQUIRED.items():
        assert found[threshold] / (objects - found[threshold]) >= least
