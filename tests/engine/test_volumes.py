"""A volume segmented by the worker's task, run here."""

import numpy as np
import pytest
import torch

from napari_unet.core.config import ModelConfig
from napari_unet.core.model_file import Model
from napari_unet.core.predict_volume import predict_volume
from napari_unet.engine import JobCancelledError, SegmentVolumeTask
from napari_unet.engine.tasks import run_task
from small_scenes import ended


@pytest.fixture
def model(tmp_path):
    torch.set_num_threads(1)
    path = tmp_path / "balls.safetensors"
    return Model.fresh(ModelConfig("unet-3d", width=2, depth=1), "balls", seed=1).save(path)


def test_the_tiles_of_a_volume_are_what_core_says_in_bytes(model):
    image = np.random.default_rng(0).random((1, 5, 12, 10))
    task = SegmentVolumeTask(image, model.card.path, device="cpu", precision="float32")
    events, done = ended(run_task(task, lambda: False))
    found = np.zeros((2, 5, 12, 10))
    for event in events:
        assert event.probability.dtype == np.uint8
        found[(slice(None), *event.place)] = event.probability / 255
    expected = predict_volume(image, model, device="cpu", precision="float32")
    assert np.abs(found - expected).max() < 0.01
    assert (done.device, done.precision, done.notes) == ("this computer", "float32", ())


def test_it_is_stopped_before_the_first_tile(model):
    task = SegmentVolumeTask(np.zeros((1, 5, 12, 10)), model.card.path, device="cpu")
    with pytest.raises(JobCancelledError):
        ended(run_task(task, lambda: True))
