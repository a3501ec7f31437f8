import numpy as np
import pytest

from brightness import brightness_model
from core.test_blocks import assert_same_objects
from napari_unet.core import large_plan
from napari_unet.core.blocks import BlockSettings
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.large import segment_large
from napari_unet.core.predict import predict_plane

CPU = {"device": "cpu", "precision": "float32"}


class Stored:
    """An array that is read and written in parts, as zarr's are."""

    def __init__(self, array):
        self.array = array
        self.shape, self.ndim, self.dtype = array.shape, array.ndim, array.dtype
        self.most = 0

    def __getitem__(self, index):
        part = self.array[index]
        self.most = max(self.most, part.size)
        return part.copy()

    def __setitem__(self, index, value):
        self.array[index] = value


def squares(shape=(300, 340)):
    image = np.random.default_rng(0).normal(10, 1, (1, *shape))
    for y, x in np.random.default_rng(1).integers(0, 280, (40, 2)):
        image[0, y : y + 12, x : x + 9] = 100
    return image


def test_from_array_to_array_the_objects_are_those_in_memory(monkeypatch):
    monkeypatch.setattr(large_plan, "MOST_TILE", 128)
    image, model = squares(), brightness_model()
    settings = BlockSettings(split=0.3, block=100, margin=16)
    lazy, probability = Stored(image), Stored(np.zeros((300, 340), np.uint8))
    labels, seen = Stored(np.zeros((300, 340), np.int32)), []
    count = segment_large(
        lazy,
        model,
        probability,
        labels,
        settings=settings,
        progress=lambda *at: seen.append(at),
        **CPU,
    )
    whole = 1 - predict_plane(image, model, **CPU)[0]
    difference = probability.array / 255 - whole
    assert np.abs(difference).max() < 0.51 / 255
    expected = probability_to_labels(probability.array, split=0.3)
    assert count == expected.max() > 10
    assert_same_objects(labels.array, expected)
    assert seen == [(done, len(seen)) for done in range(1, len(seen) + 1)] and len(seen) > 4


def test_a_write_that_fails_is_told():
    class Full(Stored):
        def __setitem__(self, index, value):
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        segment_large(
            squares(),
            brightness_model(),
            Full(np.zeros((300, 340), np.uint8)),
            np.zeros((300, 340), np.int32),
            **CPU,
        )


def test_arrays_of_another_shape_and_models_of_classes_are_refused():
    image, small = squares(), np.zeros((3, 3), np.uint8)
    with pytest.raises(InputError, match="make them alike"):
        segment_large(image, brightness_model(), small, small)
    with pytest.raises(InputError, match="kinds of pixels"):
        segment_large(image, brightness_model(semantic=True), small, small)


@pytest.mark.parametrize(
    ("config", "side"),
    [
        (ModelConfig("unet", width=16), 1024),  # (1024 + 2 * 96)^2 pixels of 16 * 16 + 40 bytes
        (ModelConfig("unet", width=36), 1024),  # 0.91 GB; not in pieces it would be 1.55 GB
        (ModelConfig("unet", width=48), 512),  # 1.19 GB would be too much
        (ModelConfig("unet-valid", width=64), 256),
    ],
)
def test_tiles_are_the_largest_that_memory_has_room_for(config, side):
    plan = large_plan.plan_large(np.zeros((1, 4096, 4096), np.uint8), config)
    assert plan.tile == (side, side)
