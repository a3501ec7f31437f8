"""Labels to classes and back on every label image of nuclei-dsb2018."""

import numpy as np
import pytest
import tifffile

from napari_unet.core.metrics import match_objects
from napari_unet.core.targets import classes_to_labels, labels_to_classes
from real_data import data_folder

REQUIRED = {0.5: 0.995, 0.7: 0.99, 0.9: 0.95}


@pytest.mark.slow
@pytest.mark.real_data
def test_real_nuclei_come_back_from_classes():
    files = sorted((data_folder("nuclei-dsb2018") / "labels").glob("*.tif"))
    found, objects = dict.fromkeys(REQUIRED, 0), 0
    for file in files:
        truth = tifffile.imread(file)
        back = classes_to_labels(labels_to_classes(truth))
        objects += len(np.unique(truth[truth > 0])) + int(back.max())
        for threshold in REQUIRED:
            found[threshold] += len(match_objects(truth, back, threshold).truth)
    assert len(files) == 541
    for threshold, least in REQUIRED.items():
        assert found[threshold] / (objects - found[threshold]) >= least
