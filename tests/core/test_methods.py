"""Every method goes the whole way: trained a little, tiled, saved, loaded, taught, exported."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from methods import WHOLE_WAY
from napari_unet.core import export
from napari_unet.core.augment import AugmentConfig
from napari_unet.core.config import ModelConfig
from napari_unet.core.fine_tuning import iter_finetune
from napari_unet.core.loss_config import LossConfig
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.predict import predict_plane
from napari_unet.core.predict_volume import predict_volume
from napari_unet.core.segmentation import segment
from napari_unet.core.tiling import network_geometries
from napari_unet.core.train import iter_train
from small_scenes import ended, example
from small_volumes import volume_example

CENTERS = [(14, 14), (14, 46), (32, 30), (48, 14), (48, 48)]
STILL = AugmentConfig(
    elastic_sigma=0.0, rotate=False, flip=False, scale=(1.0, 1.0), brightness=0.0,
    contrast=(1.0, 1.0), gamma=(1.0, 1.0), noise=0.0, blur=0.0,
)  # fmt: skip
SETTINGS = TrainSettings(patch=16, batch=2, learning_rate=1e-2, average=0.5, augment=STILL)
STEPS = 4


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def learnt_from(config):
    """A tiny image or volume with as many channels as the network takes."""
    one = volume_example() if config.is_volumetric else example(CENTERS)
    space = config.spatial_axes
    channels = np.stack([one.image] * config.in_channels)
    return replace(one, image=channels, axes=f"C{space}")


def probabilities_of(content, image):
    again = torch.jit.load(io.BytesIO(content))
    with torch.inference_mode():
        return again(torch.from_numpy(image)).numpy()


@pytest.mark.parametrize("method", [pytest.param(m, id=f"{m.kind}: {m.name}") for m in WHOLE_WAY])
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_method_goes_the_whole_way(method, tmp_path):
    config = ModelConfig(**({"width": 4, "depth": 1} | method.config))
    settings = replace(
        SETTINGS,
        loss=LossConfig.parse(method.loss),
        augment=STILL.changed(method.augment),
        **method.settings,
    )
    where = {"device": "cpu", "precision": "float32"} | method.run
    given = learnt_from(config)
    events, model = ended(iter_train([given], config, settings=settings, steps=STEPS, **where))
    assert np.isfinite(events[-1].loss)
    before = Model.fresh(config).network.state_dict()
    assert not all(torch.equal(t, before[n]) for n, t in model.network.state_dict().items())

    predict = predict_volume if config.is_volumetric else predict_plane
    whole, tiled = (
        predict(given.image_cyx, model, tile=tile, device="cpu", precision="float32")
        for tile in (4096, 16)
    )
    np.testing.assert_allclose(tiled, whole, atol=1e-5)

    model.save(tmp_path / "mine.safetensors", half=False)
    loaded = load_model(tmp_path / "mine.safetensors")
    again = predict(given.image_cyx, loaded, device="cpu", precision="float32")
    np.testing.assert_allclose(again, whole, atol=1e-5)
    found = segment(given.image, loaded, axes=given.axes, device="cpu")
    assert found.labels.shape == given.labels.shape

    sides = [one.patch_side(2 * one.halo + 4 * one.grid) for one in network_geometries(config)]
    image = np.random.default_rng(0).random((2, config.in_channels, *sides)).astype(np.float32)
    answer = probabilities_of(export.to_torchscript(loaded), image)
    np.testing.assert_allclose(answer, export.probabilities(loaded, image), atol=1e-4)

    if not config.is_volumetric:
        teaching = replace(settings, side_weight=0.0, patience=0)
        _, (taught, _) = ended(iter_finetune(loaded, [given], settings=teaching, steps=1, **where))
        assert taught.config.architecture == config.architecture
