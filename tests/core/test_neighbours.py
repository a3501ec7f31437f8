"""Neighbouring slices as channels: which are seen, and that the middle one is answered for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from brightness import brightness_model
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError, ModelFileError
from napari_unet.core.measure import measure_stack
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.neighbours import neighbours_of, plane_reader, through_axis
from napari_unet.core.segmentation import segment
from napari_unet.core.train import continued

CPU = {"device": "cpu", "precision": "float32"}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("index", "count", "slices", "seen"),
    [
        (0, 4, 3, [0, 0, 1]),
        (2, 4, 3, [1, 2, 3]),
        (3, 4, 3, [2, 3, 3]),
        (1, 4, 5, [0, 0, 1, 2, 3]),
        (0, 1, 3, [0, 0, 0]),
        (2, 4, 1, [2]),
    ],
)
def test_the_outermost_plane_stands_for_those_beyond_it(index, count, slices, seen):
    assert neighbours_of(index, count, slices) == seen


@pytest.mark.parametrize(
    ("axes", "axis"), [("ZYX", "Z"), ("TYX", "T"), ("ZTYX", "Z"), ("TZCYX", "Z"), ("QTYX", "T")]
)
def test_neighbours_lie_along_z_or_else_the_last_axis(axes, axis):
    assert through_axis(axes) == axis


def test_channels_stay_together_with_their_slices():
    """Each value is 10 times its plane, plus its channel."""
    stack = np.add.outer(10 * np.arange(4), np.arange(2))[:, :, None, None] * np.ones((1, 1, 3, 3))
    read = plane_reader(stack, "ZCYX", slices=3)
    assert read((2,))[:, 0, 0].tolist() == [10, 20, 30, 11, 21, 31]
    assert read((0,))[:, 0, 0].tolist() == [0, 0, 10, 1, 1, 11]


def test_of_a_movie_of_volumes_neighbours_are_of_the_same_moment():
    movie = np.add.outer(100 * np.arange(2), np.arange(3))[..., None, None] * np.ones((1, 1, 2, 2))
    read = plane_reader(movie, "TZYX", slices=3)
    assert read((1, 1))[:, 0, 0].tolist() == [100, 101, 102]


def stack():
    """Six planes; a square in another place of each."""
    image = np.zeros((6, 40, 40), np.float32)
    for z, plane in enumerate(image):
        plane[10:20, 3 + 5 * z : 10 + 5 * z] = 1
    return image


def test_what_is_said_is_of_the_middle_plane():
    """The network copies its first channel, which is the plane before."""
    image = stack()
    found = segment(image, brightness_model(channels=3, slices=3), axes="ZYX", **CPU)
    assert found.labels.shape == image.shape
    before = image[[0, 0, 1, 2, 3, 4]]
    np.testing.assert_array_equal(found.labels > 0, before > 0)


def test_a_plane_with_its_neighbours_as_channels_is_taken_as_it_is():
    image = stack()
    model = brightness_model(channels=3, slices=3)
    whole = segment(image, model, axes="ZYX", **CPU)
    one = segment(plane_reader(image, "ZYX", slices=3)((2,)), model, axes="CYX", **CPU)
    np.testing.assert_array_equal(one.probability, whole.probability[:, 2])


def test_objects_are_measured_with_their_neighbours():
    model = brightness_model(channels=3, slices=3, diameter=8.0)
    assert measure_stack(stack(), "ZYX", model, **CPU) == pytest.approx(8, rel=0.25)


def test_a_single_plane_is_refused():
    with pytest.raises(InputError, match="is a single plane, and the model looks at neighbouring"):
        segment(stack()[0], brightness_model(channels=3, slices=3), axes="YX", **CPU)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"slices": 2}, "must be odd"),
        ({"slices": 3, "in_channels": 2}, "cannot be shared among 3 slices"),
        ({"slices": 3, "in_channels": 3, "architecture": "unet-3d"}, "sees all slices"),
        ({"slices": 17, "in_channels": 17}, "from 1 to 15"),
    ],
)
def test_what_cannot_be_is_refused(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        ModelConfig(**settings)


def test_it_is_written_into_the_file_only_where_it_says_something(tmp_path):
    assert "slices" not in ModelConfig().to_json()
    config = ModelConfig(in_channels=6, slices=3, width=2, depth=1)
    assert config.takes == "2 channels of 3 neighbouring slices"
    Model.fresh(config).save(tmp_path / "deep.safetensors")
    assert load_model(tmp_path / "deep.safetensors").config == config
    with pytest.raises(ModelFileError, match="must be odd"):
        ModelConfig.from_json({**config.to_json(), "slices": 2})


def test_training_goes_on_only_from_as_many_slices():
    three = Model.fresh(ModelConfig(in_channels=3, width=2, depth=1))
    deep = Model.fresh(ModelConfig(in_channels=3, slices=3, width=2, depth=1))
    with pytest.raises(InputError, match="slices"):
        continued(deep, three)
