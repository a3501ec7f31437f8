"""How objects are made of volumes is chosen where the true ones are known."""

import numpy as np
import pytest
import torch

from brightness import brightness_model
from napari_unet.core.calibrate_volumes import calibrate_volumes
from napari_unet.core.example import Example
from napari_unet.core.segmentation import segment
from small_volumes import balls

CPU = {"device": "cpu", "precision": "float32"}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def with_crumbs(labels: np.ndarray) -> np.ndarray:
    """Bright balls, and bright specks of two voxels that are no cells."""
    image = (labels > 0).astype(np.float32)
    image[1::7, ::9, 17:19] = 1
    return image


def test_crumbs_are_left_out_and_true_objects_stay():
    labels = balls()
    model = brightness_model(architecture="unet-3d", threshold=0.9, min_size=1)
    image, told = with_crumbs(labels), []
    before = segment(image, model, axes="ZYX", **CPU).labels
    chosen = calibrate_volumes(model, [Example(image, labels)], progress=told.append, **CPU)
    found = segment(image, chosen, axes="ZYX", **CPU).labels
    assert before.max() > 3
    np.testing.assert_array_equal(found > 0, labels > 0)
    assert found.max() == 3 and chosen.config.min_size > 2
    assert told[-1] == 1.0 and told == sorted(told)


def test_what_is_checked_in_part_tells_nothing():
    labels = balls()
    checked = np.ones(labels.shape, bool)
    checked[8, 8, 8] = False
    model = brightness_model(architecture="unet-3d")
    example = Example(with_crumbs(labels), labels, checked)
    assert calibrate_volumes(model, [example], **CPU) is model
