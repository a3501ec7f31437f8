"""How a network is trained is chosen from images and memory."""

import pytest

from napari_unet.core.architectures import ARCHITECTURES
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.plan import Memory
from napari_unet.core.recipe import choose_recipe
from napari_unet.core.tiling import network_geometries

ROOMY = Memory("cpu", 8 * 10**9)
SHAPES = [(512, 512)]


def chosen(architecture="unet", shapes=SHAPES, diameter=24.0, memory=ROOMY, width=32):
    return choose_recipe(ModelConfig(architecture, width=width), shapes, diameter, memory)


def test_nuclei_of_24_pixels_by_hand():
    """A U-Net sees 46 pixels around with three poolings and 94 with four; two nuclei are 48."""
    recipe = chosen()
    assert (recipe.depth, recipe.patch, recipe.norm) == (4, 192, "batch")
    # 4 x 28 bytes a pixel and channel: 132 MB a patch, and 2 GB may be used
    assert recipe.batch == 4
    assert recipe.sentence == (
        "Objects are 24 pixels wide: 4 poolings, with which the network sees 94 pixels around "
        "each, and patches of 192 pixels; 4 of them a step take about 0.5 GB of the 2.0 that may "
        "be used; each step has patches enough for batch norm."
    )


@pytest.mark.parametrize(("diameter", "depth"), [(8.0, 2), (20.0, 3), (24.0, 4), (60.0, 5)])
def test_wider_objects_ask_for_more_poolings(diameter, depth):
    assert chosen(diameter=diameter).depth == depth


def test_patches_are_no_larger_than_images_and_no_smaller_than_shows_something():
    assert chosen(diameter=60.0).patch == 480
    assert chosen(diameter=60.0, shapes=[(200, 300)]).patch == 224
    assert chosen(diameter=3.0).patch == 96


def test_where_memory_is_short_patches_are_fewer_and_then_smaller():
    few = chosen(memory=Memory("cpu", 10**9))
    assert (few.batch, few.patch) == (1, 192) and few.norm == "group"
    assert "too few for batch norm, so group norm" in few.sentence
    small = chosen(memory=Memory("cpu", 2 * 10**8))
    assert small.patch < 192 and small.batch == 1
    assert chosen(memory=Memory("cuda", 8 * 10**10)).batch == 12


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_chosen_is_legal(architecture):
    axes = ARCHITECTURES[architecture].axes
    recipe = chosen(architecture, [(64, 128, 128)[-axes:]], None, width=8)
    config = ModelConfig(architecture, width=8, depth=recipe.depth, norm=recipe.norm)
    assert network_geometries(config)[-1].patch_side(recipe.patch) == recipe.patch
    assert recipe.sentence.startswith("Nobody knows how wide the objects are")


def test_nothing_to_choose_by_is_refused():
    with pytest.raises(InputError, match="no images to choose by"):
        chosen(shapes=[])
