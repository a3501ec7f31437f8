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
