"""Volumes through a network: tiled equals untiled, and what cannot be run is told."""

from itertools import product

import numpy as np
import pytest
import torch

from napari_unet.core import inference
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError, OutOfMemoryError
from napari_unet.core.model_file import Model
from napari_unet.core.predict import predict_plane
from napari_unet.core.predict_volume import predict_volume, predict_volume_tiles

CPU = {"device": "cpu", "precision": "float32"}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def lively(seed: int = 0, **settings) -> Model:
    model = Model.fresh(ModelConfig("unet-3d", **({"width": 2, "depth": 1} | settings)), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(("running_mean", "bias")):
            tensor.uniform_(-0.3, 0.3, generator=generator)
    return model


def noise(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4000, shape).astype(np.uint16)


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((36, 40, 33), {"depth": 1}),
        ((3, 40, 50), {"depth": 2, "anisotropy": 2.0}),
        ((33, 34, 17), {"depth": 2, "anisotropy": 4.0, "compress": 0.1}),
        ((1, 20, 40), {"depth": 1, "in_channels": 2}),
    ],
)
def test_tiled_equals_untiled(shape, settings):
    model = lively(**settings)
    image = noise(model.config.in_channels, *shape)
    told = []
    once = predict_volume(image, model, tile=4096, progress=lambda *t: told.append(t), **CPU)
    assert told == [(1, 1)] and once.std() > 0.005
    np.testing.assert_allclose(once.sum(axis=0), 1, atol=1e-5)
    tiled = predict_volume(image, model, tile=8, progress=lambda *t: told.append(t), **CPU)
    assert len(told) > 2
    assert np.abs(tiled - once).max() < 1e-5


def test_planes_see_their_neighbours():
    """Else it were a model of planes."""
    model, image = lively(), noise(1, 8, 16, 16)
    other = image.copy()
    other[:, 3] = 0
    ranges = model.config.range_of(image)
    before, after = (predict_volume(i, model, ranges=ranges, **CPU) for i in (image, other))
    changed = np.abs(before - after).max(axis=(0, 2, 3)) > 1e-6
    assert changed[2:5].all()


def test_flips_average_over_the_mirror_images():
    model, image = lively(), noise(1, 4, 12, 10)
    mean = np.mean(
        [
            predict_volume(image[:, :, ::y, ::x], model, **CPU)[:, :, ::y, ::x]
            for y, x in product((1, -1), repeat=2)
        ],
        axis=0,
    )
    found = predict_volume(image, model, average="flips", **CPU)
    np.testing.assert_allclose(found, mean, atol=1e-6)


def test_a_plane_for_a_model_of_volumes_and_the_other_way_round_is_told():
    with pytest.raises(InputError, match="choose a model of planes"):
        predict_plane(noise(1, 8, 8), lively(), **CPU)
    with pytest.raises(InputError, match="choose a model of volumes"):
        predict_volume(noise(1, 4, 8, 8), Model.fresh(ModelConfig(width=2, depth=1)), **CPU)
    with pytest.raises(InputError, match="not one volume"):
        predict_volume(noise(4, 8, 8), lively(), **CPU)
    with pytest.raises(InputError, match="takes 1 channel and the image has 2"):
        predict_volume(noise(2, 4, 8, 8), lively(), **CPU)


def test_where_memory_is_short_smaller_tiles_give_the_same(monkeypatch):
    model, image, said = lively(), noise(1, 20, 40, 40), []
    whole = predict_volume(image, model, **CPU)
    run = inference.ReadyNetwork.__call__

    def short(self, part, box):
        if part.size > 30_000:
            raise torch.OutOfMemoryError
        return run(self, part, box)

    monkeypatch.setattr(inference.ReadyNetwork, "__call__", short)
    found = np.zeros_like(whole)
    results = list(predict_volume_tiles(image, model, tell=said.append, **CPU))
    for result in results:
        found[(slice(None), *result.place)] = result.probability
    np.testing.assert_allclose(found, whole, atol=1e-5)
    assert len(results) > 1 and set(said) == {
        "Memory was short, so smaller tiles are computed, which takes a little longer."
    }
    monkeypatch.setattr(inference.ReadyNetwork, "__call__", lambda *_: short(None, image, None))
    with pytest.raises(OutOfMemoryError):
        list(predict_volume_tiles(np.tile(image, (1, 2, 1, 1)), model, tell=said.append, **CPU))
