"""Patches that are left as they are."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unet.core.augment import (
    AugmentConfig,
    apply_intensity,
    apply_warp,
    draw_config,
    draw_intensity,
    draw_warp,
)
from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.core.sampling import PatchSampler, WeightSettings
from small_scenes import discs

STRONG = AugmentConfig(haze=0.9, noise=0.5, contrast=(0.3, 3.0))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_as_many_are_left_as_was_asked_for():
    config = replace(STRONG, plain=0.3)
    drawn = [draw_config(config, seeded(seed)) for seed in range(500)]
    left = [one for one in drawn if one != config]
    assert set(left) == {AugmentConfig.unvaried(flip=True)}
    assert 0.24 < len(left) / len(drawn) < 0.36


def test_none_are_left_unasked_and_nothing_is_drawn():
    generator = seeded(3)
    before = generator.get_state()
    assert draw_config(STRONG, generator) is STRONG
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("flip", [True, False])
def test_what_is_left_is_the_image_or_its_mirror_image(flip):
    image = torch.rand(1, 33, 33, generator=seeded(1))
    config = AugmentConfig.unvaried(flip=flip)
    seen = set()
    for seed in range(12):
        generator = seeded(seed)
        warp = draw_warp((33, 33), config, generator)
        patch = apply_warp(image, warp, (16, 16))
        patch = apply_intensity(patch, draw_intensity(config, generator))
        straight = bool(torch.allclose(patch, image, atol=1e-5))
        mirrored = bool(torch.allclose(patch, image.flip(2), atol=1e-5))
        assert straight != mirrored
        seen.add(mirrored)
    assert seen == ({True, False} if flip else {False})


def test_the_sampler_leaves_a_part_of_its_patches():
    """An image of two values: a patch that is left as it is shows no other."""
    labels = discs((80, 80), [(20, 20), (60, 60)], radius=8)
    image = Example((labels > 0).astype(np.float32), labels)
    parts = {}
    for plain in (0.0, 0.5):
        batches = iter(of(image, plain, STRONG))
        patches = [patch for _ in range(25) for patch in next(batches).image]
        parts[plain] = np.mean([len(p.round(decimals=3).unique()) <= 2 for p in patches])
    assert parts[0.0] < 0.05
    assert 0.35 < parts[0.5] < 0.65


def of(image, plain, augment):
    return PatchSampler(
        [image],
        side=32,
        batch=4,
        percentiles=(1.0, 99.8),
        augment=replace(augment, plain=plain),
        weights=WeightSettings(),
    )


@pytest.mark.parametrize("plain", [-0.1, 1.0])
def test_a_part_out_of_its_bounds_is_named(plain):
    with pytest.raises(InputError, match="plain"):
        AugmentConfig(plain=plain)
