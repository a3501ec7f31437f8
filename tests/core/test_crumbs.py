"""Small things that nobody checked are no neighbours of cells that somebody drew."""

from dataclasses import replace

import numpy as np
import pytest

from napari_unet.core import fine_tuning
from napari_unet.core import live as live_module
from napari_unet.core.crumbs import without_crumbs
from napari_unet.core.example import Example
from napari_unet.core.fine_tuning import iter_finetune
from napari_unet.core.knowing import Knowledge
from napari_unet.core.live import LiveTeaching
from napari_unet.core.optimise import TrainSettings
from small_scenes import discs, ended, photograph, small_model

SETTINGS = TrainSettings(patch=48, batch=2, learning_rate=1e-2, average=0.9)
CPU = {"device": "cpu", "precision": "float32"}
DRAWN, SPECK, NEIGHBOUR, SMALL = 1, 2, 3, 4


@pytest.fixture
def shown():
    """A cell was drawn, and a small one; a speck and a neighbour were found."""
    labels = np.zeros((64, 64), np.int32)
    for number, place, radius in (
        (DRAWN, (20, 20), 10),
        (SPECK, (20, 35), 4.5),
        (NEIGHBOUR, (44, 20), 6),
        (SMALL, (20, 50), 4),
    ):
        labels[discs((64, 64), [place], radius) > 0] = number
    checked = np.isin(labels, (DRAWN, SMALL))
    return Example(photograph(labels), labels, checked)


def names(example):
    return set(np.unique(example.labels)) - {0}


def test_what_nobody_checked_and_is_less_than_half_as_wide_is_left_out(shown):
    (left,) = without_crumbs([shown])
    assert names(left) == {DRAWN, NEIGHBOUR, SMALL}
    kept = shown.labels != SPECK
    assert np.array_equal(left.labels[kept], shown.labels[kept])
    assert SPECK in names(shown)


def test_what_is_partly_checked_stays(shown):
    checked = shown.mask.copy()
    checked[20, 33] = True
    touched = replace(shown, checked=checked)
    assert without_crumbs([touched]) == [touched]


def test_without_a_checked_cell_and_of_classes_all_stays(shown):
    ground = replace(shown, checked=shown.labels == 0)
    classes = replace(shown, semantic=True)
    assert without_crumbs([ground, classes]) == [ground, classes]


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("module", [fine_tuning, live_module])
def test_lessons_of_a_kind_that_is_not_known_leave_them_out(monkeypatch, shown, module, is_known):
    monkeypatch.setattr(module, "what_is_known", lambda *_, **__: Knowledge(is_known))
    learnt_from = []
    draw = module.patch_sampler

    def sampler(examples, *rest):
        learnt_from.extend(examples)
        return draw(examples, *rest)

    monkeypatch.setattr(module, "patch_sampler", sampler)
    earlier = replace(shown, replayed=True)
    if module is live_module:
        live = LiveTeaching(small_model(), settings=SETTINGS, **CPU)
        ended(live.learn([shown, earlier], seconds=0.01))
    else:
        ended(iter_finetune(small_model(), [shown, earlier], settings=SETTINGS, steps=1, **CPU))
    assert [SPECK in names(one) for one in learnt_from] == [is_known, is_known]
