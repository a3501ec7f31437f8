import numpy as np
import pytest
import torch

from napari_unet.core.config import ModelConfig
from napari_unet.core.model_file import Model
from napari_unet.core.models.unet import UNet
from napari_unet.core.predict import predict_tiles
from napari_unet.core.tiling import network_geometry, plan_tiles, read_mirrored

ARCHITECTURES = ("unet", "unet-valid")
SIZES = [(97, 131), (200, 333), (33, 40), (1, 1), (3, 1000), (64, 16)]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def geometry_of(architecture, depth=4):
    return network_geometry(ModelConfig(architecture=architecture, depth=depth))


def lively_model(architecture, depth, seed=0):
    """An untrained model whose batch norms do something and whose answer is not flat."""
    config = ModelConfig(architecture=architecture, width=4, depth=depth)
    model = Model.fresh(config, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.network.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif name.endswith(("running_mean", ".bias")):
                tensor.uniform_(-0.3, 0.3, generator=generator)
    return model


def whole(image, model, tile):
    out = np.full((2, *image.shape[1:]), np.nan, np.float32)
    for result in predict_tiles(image, model, precision="float32", device="cpu", tile=tile):
        height, width = result.probability.shape[1:]
        out[:, result.y : result.y + height, result.x : result.x + width] = result.probability
    return out


def reflected(image, tile):
    """What a tile reads, by numpy: pad the image by reflection and cut."""
    around, spans = [(0, 0)], [slice(None)]
    for (start, stop), size in zip((tile.y_span, tile.x_span), image.shape[1:], strict=True):
        before = max(0, -start)
        around.append((before, max(0, stop - size)))
        spans.append(slice(start + before, stop + before))
    return np.pad(image, around, mode="reflect")[tuple(spans)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("max_tile", [16, 50, 128, 1000])
def test_tiles_cover_every_pixel_exactly_once(architecture, shape, max_tile):
    covered = np.zeros(shape, int)
    for tile in plan_tiles(shape, geometry_of(architecture), max_tile):
        assert tile.height <= max(16, max_tile) and tile.width <= max(16, max_tile)
        covered[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize("shape", SIZES)
def test_tiles_are_of_about_equal_size(shape):
    tiles = plan_tiles(shape, geometry_of("unet"), 96)
    heights, widths = {t.height for t in tiles}, {t.width for t in tiles}
    # One size, and a shorter one at the end: no more than one grid step for each tile before it.
    assert len(heights) <= 2 and len(widths) <= 2
    assert len(tiles) == -(-shape[0] // 96) * -(-shape[1] // 96)


def test_nearest_to_the_centre_comes_first():
    at = (20.0, 300.0)
    tiles = plan_tiles((200, 333), geometry_of("unet"), 48, at)
    distances = [np.hypot(t.y + t.height / 2 - at[0], t.x + t.width / 2 - at[1]) for t in tiles]
    assert distances == sorted(distances)
    first = tiles[0]
    assert first.y <= at[0] < first.y + first.height
    assert first.x <= at[1] < first.x + first.width


def test_the_corner_may_be_the_centre():
    assert (plan_tiles((200, 200), geometry_of("unet"), 48, (0, 0))[0].y) == 0
    middle = plan_tiles((240, 240), geometry_of("unet"), 48)[0]
    assert (middle.y, middle.x) == (96, 96)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("shape", SIZES)
def test_borders_are_mirrored_as_numpy_reflects(architecture, shape):
    image = np.random.default_rng(0).integers(0, 255, (2, *shape), np.uint8)
    for tile in plan_tiles(shape, geometry_of(architecture), 64):
        np.testing.assert_array_equal(read_mirrored(image, tile), reflected(image, tile))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", SIZES)
def test_tiles_read_legal_sizes(architecture, depth, shape):
    with torch.device("meta"):
        network = UNet(1, 2, width=1, depth=depth, valid=architecture == "unet-valid")
    for tile in plan_tiles(shape, geometry_of(architecture, depth), 64):
        (top, bottom), (left, right) = tile.y_span, tile.x_span
        out = network(torch.zeros(1, 1, bottom - top, right - left, device="meta"))
        assert tile.y_crop >= 0 and tile.y_crop + tile.height <= out.shape[2]
        assert tile.x_crop >= 0 and tile.x_crop + tile.width <= out.shape[3]


def test_the_valid_network_needs_92_pixels_around():
    """(572 - 388) / 2, figure 1 of the paper."""
    assert geometry_of("unet-valid").halo == 92


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("shape", [(97, 131), (33, 40), (1, 1), (3, 200)])
def test_tiled_equals_untiled(architecture, depth, shape):
    model = lively_model(architecture, depth)
    image = np.random.default_rng(1).integers(0, 4000, (1, *shape)).astype(np.uint16)
    once = whole(image, model, tile=4096)
    assert np.isfinite(once).all() and once.std() > 0.02 * (shape != (1, 1))
    for tile in (16, 48):
        assert np.abs(whole(image, model, tile) - once).max() < 1e-4


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_tiled_equals_untiled_at_the_full_depth(architecture):
    model = lively_model(architecture, depth=4)
    image = np.random.default_rng(2).normal(size=(1, 200, 333)).astype(np.float32)
    once = whole(image, model, tile=4096)
    for tile in (64, 144):
        assert np.abs(whole(image, model, tile) - once).max() < 1e-4


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_halo_is_as_wide_as_the_network_sees(depth):
    """A change beyond the halo changes nothing; the halo is not more than a grid step too wide."""
    geometry = geometry_of("unet", depth)
    model = lively_model("unet", depth)
    side = 4 * geometry.grid * -(-geometry.halo // geometry.grid)
    image = torch.zeros(1, 1, side, side)
    with torch.inference_mode():
        before = model.network(image)
        image[..., : side // 2, :] = torch.rand(side // 2, side)
        changed = (model.network(image) != before).any(dim=1)[0].any(dim=1)
    reach = int(changed.nonzero().max()) + 1 - side // 2
    assert geometry.halo - 2 * geometry.grid < reach <= geometry.halo
