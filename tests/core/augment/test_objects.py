import numpy as np
import pytest
import torch

from napari_unet.core.augment import AugmentConfig, Texture, apply_texture, draw_texture
from napari_unet.core.targets import labels_to_classes

SIDE, RADIUS = 96, 20


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def disk(center=(48, 48), radius=RADIUS, side=SIDE):
    y, x = np.ogrid[:side, :side]
    return np.hypot(y - center[0], x - center[1]) <= radius


def lit(cells, ground=0.1, light=0.9):
    return torch.from_numpy(np.where(cells, light, ground).astype(np.float32))[None]


def test_nothing_drawn_changes_nothing():
    image = torch.rand(2, 20, 30, generator=seeded())
    assert torch.equal(apply_texture(image, np.ones((20, 30), np.uint8), Texture()), image)


def test_at_the_rim_light_is_lost_as_of_a_ball():
    cells = disk()
    varied = apply_texture(lit(cells), cells.astype(np.uint8), Texture(rim=0.8))[0].numpy()
    assert varied[48, 48] == pytest.approx(0.9, abs=0.01)
    # Half way out a ball is sqrt(1 - 0.25) as thick; of what it lost 0.8 counts.
    expected = 0.1 + 0.8 * (1 - 0.8 * (1 - np.sqrt(0.75)))
    assert varied[48, 48 + RADIUS // 2] == pytest.approx(expected, abs=0.02)
    edge = varied[48, 48 + RADIUS]
    assert 0.1 + 0.8 * 0.2 - 0.01 <= edge <= 0.1 + 0.8 * 0.45
    row = varied[48, 48 : 48 + RADIUS]
    assert (np.diff(row) < 0.001).all()


def test_the_ground_stays_but_for_light_just_beside_an_object():
    cells = disk()
    image = lit(cells)
    image[0][torch.from_numpy(disk(radius=RADIUS + 1) & ~cells)] = 0.5  # blurred over the border
    far = ~disk(radius=RADIUS + 9)
    varied = apply_texture(image, cells.astype(np.uint8), Texture(rim=0.9, spots=0.5))[0].numpy()
    np.testing.assert_allclose(varied[far], 0.1, atol=1e-5)
    ring = varied[48, 48 + RADIUS + 1]
    assert ring < 0.25  # no brighter ring is left around it


def test_each_object_is_bright_in_its_own_middle():
    labels = np.zeros((SIDE, SIDE), int)
    labels[20:60, 10:50] = 1
    labels[20:60, 50:90] = 2  # they touch
    cells = labels_to_classes(labels)
    varied = apply_texture(lit(cells > 0), cells, Texture(rim=0.9))[0].numpy()
    row = varied[40]
    assert row[30] > 0.85 and row[70] > 0.85
    assert row[48] < 0.5 and row[51] < 0.5


@pytest.mark.parametrize("seed", range(4))
def test_spots_are_many_within_objects_and_none_beside_them(seed):
    cells = disk(radius=40)
    varied = apply_texture(lit(cells), cells.astype(np.uint8), Texture(spots=0.8, seed=seed))
    inside = varied[0].numpy()[disk(radius=36)]
    assert inside.std() > 0.08
    assert inside.min() > 0.1 and inside.max() < 0.1 + 0.8 * (1 + 0.8 * 0.61)
    np.testing.assert_allclose(varied[0].numpy()[~disk(radius=49)], 0.1, atol=1e-5)
    again = apply_texture(lit(cells), cells.astype(np.uint8), Texture(spots=0.8, seed=seed))
    assert torch.equal(varied, again)
    other = apply_texture(lit(cells), cells.astype(np.uint8), Texture(spots=0.8, seed=seed + 9))
    assert not torch.equal(varied, other)


def test_uneven_ground_stays_where_it_is():
    slope = torch.linspace(0, 0.4, SIDE).expand(1, SIDE, SIDE)
    cells = disk((48, 20), 12) | disk((48, 76), 12)
    image = torch.where(torch.from_numpy(cells), slope + 0.5, slope)
    varied = apply_texture(image, cells.astype(np.uint8), Texture(rim=0.95))[0]
    beside = varied - slope[0]
    assert beside[48, 48].abs() < 0.02
    edges = [float(beside[48, 20 - 12]), float(beside[48, 76 - 12])]
    assert edges[0] == pytest.approx(edges[1], abs=0.05)  # each to the ground about it


@pytest.mark.parametrize("shape", [(1, 4, 20, 20), (2, 1, 1), (1, 3, 5)])
@pytest.mark.parametrize("covered", [0, 1, 0.5])
def test_patches_of_any_shape_can_be_varied(shape, covered):
    image = torch.rand(shape, generator=seeded(1))
    cells = np.zeros(shape[1:], np.uint8)
    cells.reshape(-1)[: int(covered * cells.size)] = 1
    varied = apply_texture(image, cells, Texture(rim=0.5, spots=0.5))
    assert varied.shape == image.shape and torch.isfinite(varied).all()
    if covered in (0, 1):  # no object, or no ground to tell it from
        assert torch.equal(varied, image)


def test_planes_of_a_volume_are_varied_like_planes():
    cells = disk()
    volume = torch.stack([lit(cells), lit(cells)], dim=1)
    varied = apply_texture(volume, np.stack([cells, cells]).astype(np.uint8), Texture(rim=0.5))
    plane = apply_texture(lit(cells), cells.astype(np.uint8), Texture(rim=0.5))
    assert torch.equal(varied[:, 0], plane) and torch.equal(varied[:, 1], plane)


def test_half_of_the_patches_have_each_and_amounts_go_up_to_the_largest():
    drawn = [draw_texture(AugmentConfig(rim=0.6, spots=0.9), seeded(s)) for s in range(400)]
    for name, largest in (("rim", 0.6), ("spots", 0.9)):
        amounts = [getattr(one, name) for one in drawn if getattr(one, name) > 0]
        assert 160 < len(amounts) < 240
        assert 0.9 * largest < max(amounts) <= largest
    assert len({one.seed for one in drawn}) > 390


def test_nothing_is_drawn_where_both_are_off():
    generator = seeded(5)
    assert draw_texture(AugmentConfig(), generator) == Texture()
    assert torch.equal(torch.rand(3, generator=generator), torch.rand(3, generator=seeded(5)))
