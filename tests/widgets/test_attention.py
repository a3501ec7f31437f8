"""Attention maps are asked for in the model's menu, and come as layers."""

import numpy as np
import pytest

from brightness import brightness_model
from napari_unet.core.attention import attention_maps
from napari_unet.core.config import ModelConfig
from napari_unet.core.model_file import Model
from napari_unet.engine.runner import InlineRunner
from person import SCREEN, Shared, User, settle, wait_until


@pytest.fixture
def user(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(*SCREEN)
    user = User(viewer, Shared(InlineRunner()))
    yield user
    user.bench.close()
    user.__dict__.clear()


def chosen(user, model, path):
    model.save(path, half=False)
    user.bench.session.load_model_file(str(path))


def test_maps_of_the_shown_slice_become_layers(user, tmp_path):
    model = Model.fresh(ModelConfig("attention-unet", width=4, depth=3), seed=1)
    chosen(user, model, tmp_path / "attends.safetensors")
    stack = np.random.default_rng(0).random((3, 40, 50)).astype(np.float32)
    user.viewer.add_image(stack, name="cells", scale=(2, 1, 1))
    user.viewer.dims.set_current_step(0, 1)
    dock = user.dock()
    attention = dock.header.attention
    attention._show_state()
    assert attention.action.isEnabled()
    for _ in range(2):  # a second look replaces the first
        attention.action.trigger()
        wait_until(lambda: not attention._attention.busy)
        settle(0.1)
    names = [layer.name for layer in user.viewer.layers]
    assert names == ["cells", "cells attention, level 2", "cells attention, level 3"]
    layer = user.viewer.layers[1]
    assert tuple(layer.scale) == (2, 1, 1) and layer.visible
    assert not user.viewer.layers[2].visible
    expected = attention_maps(stack[1], model, axes="YX", device="cpu")[0]
    np.testing.assert_allclose(layer.data[1], expected, atol=1e-4)
    assert not layer.data[0].any()
    assert user.bench.workspace.chosen.name == "cells"  # the maps are no images to work on
    assert f"level 2 {expected.min():.2f} to {expected.max():.2f}" in dock.status.value
    assert tuple(layer.contrast_limits_range) == (0, 1)


def test_other_models_say_that_they_have_none(user, tmp_path):
    chosen(user, brightness_model(), tmp_path / "bright.safetensors")
    user.viewer.add_image(np.zeros((40, 40), np.float32))
    attention = user.dock().header.attention
    attention._show_state()
    assert not attention.action.isEnabled()
    assert "is a unet and has no attention gates" in attention.action.toolTip()
