import pytest
import torch

from napari_unet.core.architectures import ARCHITECTURES
from napari_unet.core.config import ModelConfig
from napari_unet.core.models.build import build_network
from napari_unet.core.plan import LEAST_TILE, MOST_BYTES, Memory, input_pixels, plan_image
from napari_unet.core.tiling import network_geometry

WIDE = ModelConfig(width=64)
PLENTY = Memory("cuda", 10**13)


def bytes_of(config):
    return ARCHITECTURES[config.architecture].piece_bytes * config.width


def test_an_image_that_fits_is_one_tile():
    plan = plan_image(WIDE, (1000, 1200), PLENTY, "float32")
    (tile,) = plan.tiles
    assert (tile.height, tile.width) == (1000, 1200)
    assert "1000 x 1200 pixels in 1 tile of 1000 x 1200, it fits" in plan.sentence


@pytest.mark.parametrize("free", [10**9, 3 * 10**9, 10**11])
@pytest.mark.parametrize("shape", [(2048, 2048), (300, 9000), (9000, 300), (20_000, 20_000)])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_tile_takes_more_than_is_allowed(free, shape, precision):
    memory = Memory("cpu", free)
    plan = plan_image(WIDE, shape, memory, precision)
    each = bytes_of(WIDE) / (1 if precision == "float32" else 2)
    assert memory.allowed <= min(free / 4, MOST_BYTES)
    assert max(input_pixels(tile) for tile in plan.tiles) * each <= memory.allowed
    assert sum(tile.height * tile.width for tile in plan.tiles) == shape[0] * shape[1]


def test_tiles_read_little_more_than_squares_of_the_same_number_would():
    plan = plan_image(WIDE, (4000, 4000), Memory("cpu", 8 * 10**9), "bfloat16")
    read = sum(input_pixels(tile) for tile in plan.tiles)
    side = 4000 / len(plan.tiles) ** 0.5
    assert read <= len(plan.tiles) * (side + 2 * network_geometry(WIDE).halo + 16) ** 2


def test_a_long_strip_is_cut_across_alone():
    plan = plan_image(WIDE, (200, 20_000), Memory("cpu", 4 * 10**9), "float32")
    assert {tile.height for tile in plan.tiles} == {200}
    assert len(plan.tiles) > 1


def test_where_hardly_anything_is_free_tiles_are_the_least():
    plan = plan_image(WIDE, (500, 500), Memory("cpu", 1), "float32")
    assert max(max(tile.height, tile.width) for tile in plan.tiles) == LEAST_TILE


@pytest.mark.parametrize(("width", "most"), [(16, 1e11), (64, 5e11)])
def test_who_watches_gets_tiles_that_do_not_take_long(width, most):
    config = ModelConfig(width=width)
    slow = plan_image(config, (2048, 2048), Memory("cpu", 10**11), "bfloat16")
    quick = plan_image(config, (2048, 2048), Memory("cpu", 10**11), "bfloat16", quick=True)
    work = max(input_pixels(tile) for tile in quick.tiles) * 360 * width**2
    assert 0.4 * most <= work <= most
    assert len(quick.tiles) > len(slow.tiles)
    assert "so that the first is soon there" in quick.sentence


def test_a_side_that_is_asked_for_is_taken():
    plan = plan_image(WIDE, (100, 100), PLENTY, "float32", side=64)
    assert len(plan.tiles) == 4
    assert "as was asked for" in plan.sentence


def test_the_log_says_precision_device_halo_and_memory():
    sentence = plan_image(WIDE, (1024, 1024), Memory("cpu", 10**9), "bfloat16").sentence
    assert "as memory allows; halo 96, bfloat16 on cpu" in sentence
    assert "of the 0.25 GB that a tile may take (1 GB free)" in sentence


@pytest.mark.parametrize("name", ["unet", "unet-valid"])
def test_the_work_of_a_pixel_is_about_what_is_listed(name):
    """2 operations a weight and place where it is used, of convolutions alone."""
    width, side = 16, 188 if name == "unet-valid" else 32
    network = build_network(ModelConfig(architecture=name, width=width)).eval()
    total = 0.0

    def count(module, inputs, output):
        nonlocal total
        places = output.shape[2] * output.shape[3]
        if isinstance(module, torch.nn.ConvTranspose2d):
            places = inputs[0].shape[2] * inputs[0].shape[3]
        total += 2 * module.weight.numel() * places

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network(torch.zeros(1, 1, side, side))
    listed = ARCHITECTURES[name].pixel_flops * width**2 * side**2
    assert total <= 1.05 * listed
    assert total >= 0.95 * listed or name == "unet-valid"


def test_on_a_processor_levels_in_pieces_take_less_memory_so_tiles_are_larger():
    here, card = (
        plan_image(WIDE, (4096, 4096), Memory(name, free), "float32")
        for name, free in (("cpu", 4 * 10**9), ("cuda", 2 * 10**9))  # a part each, 1 GB of both
    )
    assert len(here.tiles) < len(card.tiles)
