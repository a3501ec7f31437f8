from dataclasses import replace

import pytest

from napari_unet.core.augment import AugmentConfig
from napari_unet.core.errors import InputError


def test_the_elastic_deformation_is_the_paper_s():
    """Ronneberger 2015, section 3.1: a coarse 3 by 3 grid, 10 pixels standard deviation."""
    config = AugmentConfig()
    assert (config.elastic_grid, config.elastic_sigma) == (3, 10.0)


@pytest.mark.parametrize(
    "setting",
    [
        {"elastic_sigma": -1.0},
        {"elastic_sigma": float("nan")},
        {"elastic_grid": 1},
        {"scale": (0.0, 1.0)},
        {"scale": (1.5, 1.0)},
        {"contrast": (-1.0, 1.0)},
        {"gamma": (0.5, float("inf"))},
        {"brightness": -0.1},
        {"noise": float("inf")},
        {"blur": -2.0},
        {"shade": -0.1},
        {"shade": float("nan")},
    ],
)
def test_a_setting_out_of_its_bounds_is_named(setting):
    with pytest.raises(InputError, match=next(iter(setting))):
        replace(AugmentConfig(), **setting)


def test_one_value_is_a_range_too():
    assert AugmentConfig(scale=(1.0, 1.0), elastic_sigma=0.0).scale == (1.0, 1.0)


def test_settings_are_read_and_the_others_stay():
    base = AugmentConfig(blur=0.7)
    read = base.changed("noise=0.2, scale=0.8-1.2, flip=no, elastic_grid=4")
    assert read == replace(base, noise=0.2, scale=(0.8, 1.2), flip=False, elastic_grid=4)
    assert base.changed("") == base


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nois=1", "'nois' is not known"),
        ("noise=much", "cannot be read"),
        ("scale=1", "cannot be read"),
        ("flip=1", "cannot be read"),
        ("window=1", "window is 1"),
        ("elastic_smooth=0", "elastic_smooth"),
    ],
)
def test_what_cannot_be_read_is_said(text, said):
    with pytest.raises(InputError, match=said):
        AugmentConfig().changed(text)
