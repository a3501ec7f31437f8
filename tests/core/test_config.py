import json
from dataclasses import FrozenInstanceError, replace

import pytest

from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.errors import InputError, ModelFileError

NAN = float("nan")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"architecture": "resnet"}, "'resnet' is not known; use unet, unet-valid, .* or deeplab"),
        ({"norm": "layer"}, "'layer' is not known; use auto, batch, group, instance or none"),
        ({"in_channels": 0}, "in_channels is 0; it must be from 1 to 64"),
        ({"in_channels": 65}, "in_channels"),
        ({"width": 0}, "width"),
        ({"depth": 0}, "depth"),
        ({"depth": 8}, "depth"),
        ({"width": 2.5}, "width is 2\\.5; it must be a whole number"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": NAN}, "dropout"),
        ({"threshold": 1.01}, "threshold"),
        ({"threshold": NAN}, "threshold"),
        ({"min_size": -1}, "min_size"),
        ({"split": 1.1}, "split"),
        ({"classes": ("background",)}, "1 classes; 2 to 255"),
        ({"percentiles": (5.0, 5.0)}, "must rise"),
        ({"percentiles": (1.0, 101.0)}, "must rise"),
        ({"percentiles": (NAN, 99.0)}, "must rise"),
        ({"compress": -0.1}, "compress is -0\\.1; it must be from 0 to 100"),
        ({"compress": 100.5}, "compress"),
        ({"compress": NAN}, "compress"),
        ({"diameter": 0.0}, "diameter"),
        ({"diameter": NAN}, "diameter"),
    ],
)
def test_a_setting_out_of_its_bounds_is_named(setting, message):
    with pytest.raises(InputError, match=message):
        ModelConfig(**setting)


def test_a_config_changes_by_replace_alone():
    config = ModelConfig()
    with pytest.raises(FrozenInstanceError):
        config.width = 3
    assert replace(config, width=3).width == 3
    with pytest.raises(InputError):
        replace(config, width=0)


def test_a_config_survives_json():
    config = ModelConfig(
        "unet-valid", 3, ("background", "a", "b"), 8, 2, 0.5, diameter=12.5, compress=0.1
    )
    assert ModelConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_a_model_from_before_intensities_were_compressed_leaves_them_as_they_are():
    values = ModelConfig(width=4).to_json()
    del values["compress"]
    assert ModelConfig.from_json(values) == ModelConfig(width=4)
    assert ModelConfig().compress == 0


def test_a_model_from_before_norms_could_be_chosen_has_those_it_had():
    for architecture, norm in (("unet", "batch"), ("unet-valid", "none")):
        values = ModelConfig(architecture).to_json()
        del values["norm"]
        assert ModelConfig.from_json(values).network_norm == norm


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"attention": True, "heads": 2}, r"does not know \(attention, heads\); update"),
        ({"width": 0}, "settings cannot be used: width is 0"),
        ({"width": "wide"}, "settings cannot be used"),
        ({"percentiles": [1.0]}, "settings cannot be used"),
        ({"classes": 5}, "settings cannot be used"),
    ],
)
def test_a_foreign_config_is_refused_with_a_sentence(values, message):
    with pytest.raises(ModelFileError, match=message):
        ModelConfig.from_json(values)


def test_a_card_survives_json_and_leaves_its_path_behind():
    card = ModelCard("a", scores={"AP 0.50": 0.8}, held_out=("x", "y"), path="somewhere")
    back = ModelCard.from_json(json.loads(json.dumps(card.to_json())), path="elsewhere")
    assert back == replace(card, path="elsewhere")


def test_a_card_of_a_newer_version_is_read():
    assert ModelCard.from_json({"name": "a", "mood": "good", "path": "not this"}).path == ""


def test_a_card_without_a_name_is_refused():
    with pytest.raises(ModelFileError, match="card cannot be read"):
        ModelCard.from_json({"title": "A"})
