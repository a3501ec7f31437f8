"""What `--loss` reads: a weighted sum of losses."""

import json
from dataclasses import asdict

import pytest

from napari_unet.core.errors import InputError
from napari_unet.core.loss_config import LOSSES, LossConfig, LossTerm
from napari_unet.core.losses import FUNCTIONS


def test_every_name_has_a_function_and_every_function_a_name():
    assert list(FUNCTIONS) == list(LOSSES)
    assert all(name == kind.name and kind.sentence and kind.paper for name, kind in LOSSES.items())


def test_settings_of_the_list_are_those_of_the_functions():
    for name, kind in LOSSES.items():
        told = FUNCTIONS[name].__kwdefaults__ or {}
        assert {key: setting.default for key, setting in kind.settings.items()} == told


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("dice", (LossTerm("dice"),)),
        ("weighted-ce + 0.5*dice", (LossTerm("weighted-ce"), LossTerm("dice", 0.5))),
        ("  ce+.01 * boundary ", (LossTerm("ce"), LossTerm("boundary", 0.01))),
        (
            "2*tversky( alpha = 0.2, beta=0.8 )+focal(gamma=1)",
            (
                LossTerm("tversky", 2.0, (("alpha", 0.2), ("beta", 0.8))),
                LossTerm("focal", 1.0, (("gamma", 1.0),)),
            ),
        ),
        ("dice()", (LossTerm("dice"),)),
    ],
)
def test_a_sum_is_read(text, terms):
    assert LossConfig.parse(text) == LossConfig(terms)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dicee", "'dicee' is not known; use weighted-ce, ce, "),
        ("", "Loss '' cannot be read"),
        ("dice +", "Loss '' cannot be read"),
        ("dice ce", "'dicece' is not known"),
        ("0*dice", "has the weight 0; give one above 0"),
        ("-1*dice", "cannot be read; write it as"),
        ("1.2.3*dice", "cannot be read"),
        ("dice(beta)", "cannot be read"),
        ("dice(beta=x)", "cannot be read"),
        ("dice(beta=nan)", "beta of loss dice is nan; it must be from 0.01 to 100"),
        ("dice(gamma=1)", "has no setting 'gamma'; it takes beta, smooth"),
        ("ce(gamma=1)", "it takes none"),
        ("focal(alpha=1.5)", "alpha of loss focal is 1.5; it must be from 0 to 1"),
        ("dice(smooth=0)", "smooth of loss dice is 0"),
    ],
)
def test_what_cannot_be_read_is_said(text, message):
    with pytest.raises(InputError, match=message):
        LossConfig.parse(text)


def test_a_sum_of_none_is_refused():
    with pytest.raises(InputError, match="A loss is missing"):
        LossConfig(())


def test_the_loss_that_is_not_named_is_that_of_the_paper():
    assert LossConfig() == LossConfig.parse("weighted-ce")


def test_it_is_written_with_a_run_that_is_stopped():
    config = LossConfig.parse("ce + 0.5*dice(beta=2)")
    assert json.loads(json.dumps(asdict(config)))["terms"][1]["weight"] == 0.5
