import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_unet.core.augment import AugmentConfig, Warp, apply_warp, draw_warp
from napari_unet.core.augment.geometry import elastic_displacement, linear_offset, smoothed_noise

STILL = AugmentConfig(elastic_sigma=0.0, rotate=False, flip=False, scale=(1.0, 1.0))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=seeded(seed))


def middle(array):
    return (array.shape[1] - 1) / 2, (array.shape[2] - 1) / 2


def warped(array, offset, **options):
    return apply_warp(array, Warp(offset), middle(array), **options)


@pytest.mark.parametrize("size", [(16, 16), (15, 20)])
@pytest.mark.parametrize("nearest", [False, True])
def test_nothing_drawn_changes_nothing(size, nearest):
    image = noise(2, *size)
    warp = draw_warp(size, STILL, seeded())
    torch.testing.assert_close(apply_warp(image, warp, middle(image), nearest=nearest), image)


@pytest.mark.parametrize("quarter", [1, 2, 3])
@pytest.mark.parametrize("nearest", [False, True])
def test_quarter_turns_are_those_of_numpy(quarter, nearest):
    image = noise(1, 15, 15)
    turned = warped(image, linear_offset((15, 15), quarter * math.pi / 2), nearest=nearest)
    expected = np.rot90(image.numpy(), quarter, axes=(1, 2))
    np.testing.assert_allclose(turned.numpy(), expected, atol=1e-4)


def test_mirroring_is_that_of_numpy():
    image = noise(3, 12, 17)
    flipped = warped(image, linear_offset((12, 17), mirror=True))
    np.testing.assert_allclose(flipped.numpy(), image.numpy()[:, :, ::-1], atol=1e-5)


def test_turning_and_magnifying_is_that_of_scipy():
    image, angle, zoom = noise(1, 31, 31), 0.7, 1.3
    turned = warped(image, linear_offset((31, 31), angle, zoom))[0].numpy()
    cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
    matrix = np.array([[cosine, sine], [-sine, cosine]])
    expected = ndimage.affine_transform(
        image[0].numpy(), matrix, offset=15 - matrix @ [15, 15], order=1, mode="reflect"
    )
    np.testing.assert_allclose(turned, expected, atol=1e-4)


def test_magnifying_twice_doubles_a_square():
    image = torch.zeros(1, 32, 32)
    image[0, 12:20, 13:19] = 1
    large = warped(image, linear_offset((32, 32), zoom=2.0), nearest=True)
    rows, columns = large[0].any(dim=1).sum(), large[0].any(dim=0).sum()
    assert (rows, columns) == (16, 12)


def test_an_elastic_warp_reads_where_scipy_reads():
    image = noise(1, 40, 50)
    field = elastic_displacement((40, 50), 6.0, 3, seeded(2))
    grid = np.mgrid[:40, :50]
    expected = ndimage.map_coordinates(
        image[0].numpy(), grid + field.numpy(), order=1, mode="reflect"
    )
    moved = warped(image, linear_offset((40, 50)) + field)[0].numpy()
    np.testing.assert_allclose(moved, expected, atol=1e-3)


@pytest.mark.parametrize("center", [(3.0, 4.0), (0.0, 0.0), (19.0, 24.0)])
def test_a_patch_is_cut_around_its_centre_and_mirrored_beyond_the_border(center):
    image = noise(1, 20, 25)
    patch = apply_warp(image, draw_warp((9, 9), STILL, seeded()), center)[0].numpy()
    padded = np.pad(image[0].numpy(), 9, mode="symmetric")
    y, x = int(center[0]) + 9 - 4, int(center[1]) + 9 - 4
    np.testing.assert_allclose(patch, padded[y : y + 9, x : x + 9], atol=1e-5)


def keys(distance):
    """Cubic convolution of Keys 1981 with a = -0.75, the one of torch."""
    a, d = -0.75, np.abs(distance)
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * (d**3 - 5 * d**2 + 8 * d - 4)
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def test_the_elastic_field_is_bicubic_between_the_points_of_a_coarse_grid():
    size, grid = (21, 33), 3
    field = elastic_displacement(size, 10.0, grid, seeded(5)).numpy()
    coarse = 10 * torch.randn(1, 2, grid, grid, generator=seeded(5))[0].numpy()
    # Coarse points lie on the patch's corners; beyond them their border values are repeated.
    matrices = []
    for n in size:
        at = np.linspace(0, grid - 1, n)
        matrix = np.zeros((n, grid))
        for point in range(-2, grid + 2):
            matrix[:, min(max(point, 0), grid - 1)] += keys(at - point)
        matrices.append(matrix)
    expected = np.einsum("yi,cij,xj->cyx", matrices[0], coarse, matrices[1])
    np.testing.assert_allclose(field, expected, atol=1e-3)
    np.testing.assert_allclose(field[:, ::20, ::32], coarse[:, ::2, ::2], atol=1e-4)


def test_displacements_have_a_standard_deviation_of_ten_pixels():
    corners = torch.stack(
        [
            elastic_displacement((5, 5), 10.0, 3, generator)[:, ::2, ::2]
            for generator in [seeded(1)] * 300
        ]
    )
    assert corners.std().item() == pytest.approx(10, abs=0.5)  # 5400 draws: error 0.1
    assert corners.mean().item() == pytest.approx(0, abs=0.6)
    y, x = corners[:, 0].flatten(), corners[:, 1].flatten()
    assert abs(torch.corrcoef(torch.stack([y, x]))[0, 1].item()) < 0.1


def test_same_seed_gives_the_same_warp():
    first, second, other = (
        draw_warp((16, 16), AugmentConfig(), seeded(seed)).offset_yx for seed in (3, 3, 4)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("seed", range(5))
def test_image_labels_and_mask_are_warped_alike(seed):
    labels = torch.arange(1, 37.0).reshape(1, 6, 6).repeat_interleave(16, 1)
    labels = labels.repeat_interleave(16, 2)
    warp = draw_warp((64, 64), AugmentConfig(), seeded(seed))
    as_image = apply_warp(labels, warp, (48.0, 48.0))
    as_labels = apply_warp(labels, warp, (48.0, 48.0), nearest=True)
    as_mask = apply_warp((labels > 18).float(), warp, (48.0, 48.0), nearest=True)
    assert torch.equal(as_mask, (as_labels > 18).float())
    # Inside a square interpolation changes nothing: image and labels show the same square.
    inside = (as_image - as_labels).abs() < 1e-3
    assert inside.float().mean() > 0.7


@pytest.mark.parametrize("seed", range(5))
def test_warped_labels_are_whole_and_none_is_new(seed):
    labels = torch.zeros(1, 64, 64)
    labels[0, 10:30, 10:30], labels[0, 30:50, 10:40] = 7, 2**24 - 1
    warp = draw_warp((48, 48), AugmentConfig(), seeded(seed))
    out = apply_warp(labels, warp, (32.0, 32.0), nearest=True)
    assert set(out.unique().tolist()) <= {0.0, 7.0, float(2**24 - 1)}
    assert out.any()


@pytest.mark.parametrize("shape", [(1, 1), (2, 50), (5, 5)])
def test_a_patch_may_be_larger_than_its_image(shape):
    patch = apply_warp(noise(1, *shape), draw_warp((32, 32), AugmentConfig(), seeded()), (0.0, 0.0))
    assert patch.shape == (1, 32, 32)
    assert torch.isfinite(patch).all()
    assert patch.min() >= 0 and patch.max() <= 1


def test_drawn_angles_zooms_and_mirrors_are_those_of_the_config():
    config = AugmentConfig(elastic_sigma=0.0, scale=(0.5, 2.0))
    generator = seeded(1)
    zooms, angles, mirrored = [], [], []
    for _ in range(400):
        offset = draw_warp((3, 3), config, generator).offset_yx.double()
        down, right = offset[:, 2, 1], offset[:, 1, 2]  # images of the two unit vectors
        determinant = down[0] * right[1] - down[1] * right[0]
        zooms.append(1 / determinant.abs().sqrt().item())
        mirrored.append(determinant.item() < 0)
        angles.append(math.atan2(right[0], down[0]) % (2 * math.pi))
    logs = np.log(zooms) / math.log(2)
    assert -1.001 < logs.min() < -0.95 and 0.95 < logs.max() < 1.001
    assert np.histogram(logs, 4, (-1.001, 1.001))[0].min() > 70
    assert np.histogram(angles, 4, (0, 2 * math.pi))[0].min() > 70
    assert 0.4 < np.mean(mirrored) < 0.6


@pytest.mark.parametrize("zoom", [0.5, 2.0, 3.0])
def test_a_zoom_enlarges_what_a_patch_shows(zoom):
    image = torch.zeros(1, 120, 120)
    image[0, 52:68, 54:66] = 1
    patch = apply_warp(image, draw_warp((48, 48), STILL, seeded(), zoom=zoom), middle(image))
    rows, columns = ((patch[0] > 0.5).any(dim=axis).sum().item() for axis in (1, 0))
    assert (rows, columns) == (16 * zoom, 12 * zoom)


def test_a_zoom_comes_on_top_of_the_one_that_is_drawn():
    """Same seed, same turn and mirror: every offset is divided by the zoom."""
    config = AugmentConfig(elastic_sigma=0.0)
    for seed in range(4):
        plain = draw_warp((16, 16), config, seeded(seed)).offset_yx
        zoomed = draw_warp((16, 16), config, seeded(seed), zoom=2.5).offset_yx
        torch.testing.assert_close(2.5 * zoomed, plain)


@pytest.mark.parametrize("zoom", [0.5, 4.0])
def test_the_elastic_deformation_is_that_of_the_patch_whatever_the_zoom(zoom):
    """As many pixels of what the network sees, not of the image."""
    config = AugmentConfig(rotate=False, flip=False, scale=(1.0, 1.0))
    zoomed = draw_warp((20, 24), config, seeded(7), zoom=zoom).offset_yx
    in_patch = zoom * (zoomed - linear_offset((20, 24), zoom=zoom))
    plain = draw_warp((20, 24), config, seeded(7)).offset_yx - linear_offset((20, 24))
    torch.testing.assert_close(in_patch, plain, atol=1e-3, rtol=0)
    assert in_patch.std() > 3


def test_smoothed_noise_is_that_of_scipy():
    alpha, sigma = 20.0, 3.0
    ours = smoothed_noise((40, 50), alpha, sigma, seeded())
    drawn = 2 * noise(2, 40, 50) - 1
    theirs = [
        alpha * ndimage.gaussian_filter(one, sigma, mode="nearest", radius=9)
        for one in drawn.numpy()
    ]
    assert np.allclose(ours.numpy(), theirs, atol=1e-4)


def test_the_finer_deformation_moves_only_where_it_is_asked_for():
    none = draw_warp((32, 32), STILL, seeded()).offset_yx
    bent = draw_warp((32, 32), replace(STILL, elastic_alpha=30.0), seeded()).offset_yx
    assert torch.allclose(none, linear_offset((32, 32)))
    assert (bent - none).abs().max() > 1
