from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_unet.core.augment import AugmentConfig, Intensity, apply_intensity, draw_intensity
from napari_unet.core.augment.blur import gaussian_blur

STILL = {"brightness": 0.0, "contrast": 1.0, "gamma": 1.0, "blur": 0.0, "noise": 0.0, "seed": 0}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def patch(*shape):
    return torch.rand(*(shape or (2, 20, 30)), generator=seeded()) * 3 - 1


def varied(image, **drawn):
    return apply_intensity(image, Intensity(**(STILL | drawn)))


def test_nothing_drawn_changes_nothing():
    torch.testing.assert_close(varied(patch()), patch(), atol=1e-6, rtol=0)


def test_brightness_is_added():
    torch.testing.assert_close(varied(patch(), brightness=0.25), patch() + 0.25)


def test_contrast_is_stretched_about_each_channel_s_mean():
    image = torch.tensor([[[0.0, 1.0, 2.0]], [[4.0, 4.0, 7.0]]])
    expected = [[[-1.0, 1.0, 3.0]], [[3.0, 3.0, 9.0]]]
    torch.testing.assert_close(varied(image, contrast=2.0), torch.tensor(expected))


def test_gamma_bends_between_black_and_white_and_nowhere_else():
    image = torch.tensor([[[-0.5, 0.0, 0.25, 1.0, 1.5]]])
    expected = [[[-0.5, 0.0, 0.5, 1.0, 1.5]]]
    torch.testing.assert_close(varied(image, gamma=0.5), torch.tensor(expected))


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.2, 3.0])
def test_blur_is_scipy_s_gaussian(sigma):
    out = varied(patch(), blur=sigma).numpy()
    reach = max(1, round(3 * sigma))
    for channel, expected in zip(out, patch().numpy(), strict=True):
        gaussian = ndimage.gaussian_filter(expected, sigma, mode="nearest", radius=reach)
        np.testing.assert_allclose(channel, gaussian, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 9)])
def test_small_patches_are_blurred_too(shape):
    assert varied(patch(*shape), blur=3.0).shape == shape


def test_noise_has_the_drawn_standard_deviation_and_its_own_seed():
    image = torch.zeros(1, 100, 100)
    first, second, other = (varied(image, noise=0.2, seed=seed) for seed in (1, 1, 2))
    assert first.std().item() == pytest.approx(0.2, rel=0.04)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_the_patch_is_not_written_to():
    image = patch()
    varied(image, brightness=0.1, contrast=1.2, gamma=0.7, blur=1.0, noise=0.1, shade=0.3)
    assert torch.equal(image, patch())


def test_drawn_values_fill_the_ranges_of_the_config():
    config, generator = AugmentConfig(), seeded(3)
    drawn = [draw_intensity(config, generator) for _ in range(500)]
    for name, (low, high) in {
        "brightness": (-config.brightness, config.brightness),
        "contrast": config.contrast,
        "gamma": config.gamma,
        "blur": (0.0, config.blur),
        "noise": (0.0, config.noise),
    }.items():
        values = np.array([getattr(one, name) for one in drawn])
        near = 0.05 * (high - low)
        assert low <= values.min() < low + near and high - near < values.max() <= high
    for name in ("blur", "noise"):
        assert 0.4 < np.mean([getattr(one, name) == 0 for one in drawn]) < 0.6
    assert len({one.seed for one in drawn}) == 500


def test_same_seed_draws_the_same():
    config = AugmentConfig()
    assert draw_intensity(config, seeded(5)) == draw_intensity(config, seeded(5))


@pytest.mark.parametrize("seed", range(20))
def test_varied_patches_stay_finite(seed):
    extreme = torch.tensor([-1.0, 0.0, 1e-30, 1.0, 5.0]).repeat(1, 8, 4)
    out = apply_intensity(extreme, draw_intensity(AugmentConfig(), seeded(seed)))
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()


def shading(sigma, seed=0, shape=(1, 64, 48)):
    """The factor by which light is changed: a patch of ones shows it."""
    return varied(torch.ones(shape), shade=sigma, seed=seed)


def test_light_is_even_unless_asked_for():
    generator = seeded(1)
    assert AugmentConfig().shade == 0
    assert all(draw_intensity(AugmentConfig(), generator).shade == 0 for _ in range(50))


def test_asking_for_uneven_light_draws_the_rest_as_before():
    plain, uneven = (draw_intensity(AugmentConfig(shade=shade), seeded(9)) for shade in (0.0, 0.4))
    assert uneven == replace(plain, shade=uneven.shade)


def test_half_of_the_patches_have_uneven_light():
    config, generator = AugmentConfig(shade=0.4), seeded(3)
    shades = np.array([draw_intensity(config, generator).shade for _ in range(500)])
    assert 0.4 < (shades == 0).mean() < 0.6
    some = shades[shades > 0]
    assert some.min() < 0.02 and 0.38 < some.max() <= 0.4
    assert some.mean() == pytest.approx(0.2, abs=0.03)


def test_the_logarithm_of_the_light_is_drawn_on_a_coarse_grid():
    """Corners, middles of the sides and the middle are as drawn, whatever the size."""
    drawn = torch.randn(1, 1, 3, 3, generator=seeded(5))[0, 0]
    light = shading(0.3, seed=5, shape=(1, 65, 33))[0].log() / 0.3
    torch.testing.assert_close(light[::32, ::16], drawn, atol=1e-4, rtol=0)


@pytest.mark.parametrize("seed", range(5))
def test_uneven_light_is_smooth(seed):
    light = shading(0.4, seed)[0].log()
    assert light.std() > 0.05
    for axis in (0, 1):
        assert light.diff(dim=axis).abs().max() < 0.15 * 0.4  # no step between neighbours
        assert light.diff(n=2, dim=axis).abs().max() < 0.02


def test_uneven_light_leaves_the_mean_about_as_it_is():
    """That of exp(x) with x of standard deviation s is exp(s^2 / 2)."""
    means = torch.stack([shading(0.2, seed).mean() for seed in range(200)])
    assert means.mean().item() == pytest.approx(1, abs=0.03)
    assert means.min() > 0.6 and means.max() < 1.6


def test_uneven_light_has_its_own_seed_and_is_the_same_in_all_channels():
    first, again, other = (shading(0.3, seed, (2, 20, 20)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(first[0], first[1])


def test_uneven_light_is_a_factor():
    image = torch.rand(1, 30, 30, generator=seeded(2))
    light = shading(0.3, shape=(1, 30, 30))
    torch.testing.assert_close(varied(image, shade=0.3), image * light, atol=1e-6, rtol=0)
    assert not varied(torch.zeros(1, 30, 30), shade=0.3).any()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 9)])
def test_small_patches_have_uneven_light_too(shape):
    assert torch.isfinite(shading(0.4, shape=shape)).all()


def test_window_and_level_cut_off_and_stretch():
    image = torch.tensor([[[-1.0, 0.2, 0.45, 0.7, 2.0]]])
    expected = [[[0.0, 0.0, 0.5, 1.0, 1.0]]]
    torch.testing.assert_close(varied(image, window=(0.2, 0.7)), torch.tensor(expected))


def test_photons_vary_with_the_root_of_the_intensity_and_dark_pixels_not():
    image = torch.tensor([0.25, 1.0, -0.5])[:, None, None].expand(3, 200, 200)
    noisy = varied(image, shot_noise=0.1)
    assert noisy.mean(dim=(1, 2)).tolist() == pytest.approx([0.25, 1.0, -0.5], abs=0.002)
    assert noisy.std(dim=(1, 2)).tolist() == pytest.approx([0.05, 0.1, 0.0], abs=0.002)


def test_channels_are_emptied_but_for_one():
    image = torch.ones(3, 4, 4)
    left = [varied(image, channel_drop=0.6, seed=seed).amax(dim=(1, 2)).sum() for seed in range(60)]
    assert min(left) == 1 and max(left) == 3
    assert varied(torch.ones(1, 4, 4), channel_drop=0.99).min() == 1


def test_haze_is_smooth_and_lies_over_what_is_left_of_the_image():
    image = torch.rand(1, 96, 96, generator=seeded(3))
    hazy = varied(image, haze=0.4)
    haze = hazy - 0.6 * image
    assert haze.min() >= -1e-6 and haze.max() <= 0.4 + 1e-6
    assert haze.std() > 0.01
    steps = haze.diff(dim=-1).abs().max(), haze.diff(dim=-2).abs().max()
    assert max(steps) < 0.4 / 4  # of points that lie eight pixels apart, no step is steeper
    assert torch.equal(hazy, varied(image, haze=0.4))


def test_some_haze_has_blobs_as_wide_as_objects():
    rough = []
    for seed in range(40):
        haze = varied(torch.zeros(1, 256, 256), haze=0.6, seed=seed)
        haze = haze / haze.mean()
        rough.append(float((haze - gaussian_blur(haze, 3.0))[:, 16:-16, 16:-16].std()))
    assert min(rough) < 0.01 and max(rough) > 0.03  # a smooth ground has 0.021 at the most


def test_haze_of_the_objects_lies_about_them():
    image = torch.zeros(1, 90, 90)
    image[:, 40:50, 40:50] = 1
    near, far = [], []
    for seed in range(60):
        haze = varied(image, haze=0.5, seed=seed) - 0.5 * image
        near.append(haze[0, 45, 45])
        far.append(haze[0, 5, 45])
    assert torch.stack(near).mean() > 1.3 * torch.stack(far).mean()


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 9), (1, 4, 20, 20)])
def test_patches_of_any_shape_have_haze(shape):
    hazy = varied(torch.rand(shape, generator=seeded(1)), haze=0.5)
    assert hazy.shape == shape and torch.isfinite(hazy).all()


def test_what_was_added_later_changes_no_batch_in_which_it_is_off():
    before = draw_intensity(AugmentConfig(), seeded(7))
    with_all = AugmentConfig(shot_noise=0.2, window=0.5, channel_drop=0.1, haze=0.4)
    after = draw_intensity(with_all, seeded(7))
    assert replace(after, shot_noise=0.0, window=(0.0, 1.0), channel_drop=0.0, haze=0.0) == before
    hazes = [draw_intensity(with_all, seeded(seed)).haze for seed in range(40)]
    assert all(0 <= haze <= 0.4 for haze in hazes) and 5 < sum(h > 0 for h in hazes) < 35
    windows = [draw_intensity(with_all, seeded(seed)).window for seed in range(40)]
    assert all(0 <= low < high <= 1 for low, high in windows)
    assert 5 < sum(window != (0.0, 1.0) for window in windows) < 35
