"""A small network learns what a large one says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from napari_unet.core.augment import AugmentConfig
from napari_unet.core.distil import check_teacher, softened_divergence
from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.core.model_file import Model
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.predict import predict_plane
from napari_unet.core.train import iter_train
from small_scenes import SMALL, discs, ended, example, photograph

SETTINGS = TrainSettings(
    patch=32, batch=2, learning_rate=1e-2, average=0.9, augment=AugmentConfig(elastic_sigma=2)
)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_divergence_is_that_of_torch_and_0_where_both_agree():
    a, b = torch.randn(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    theirs = (
        F.kl_div(F.log_softmax(a / 3, dim=1), F.softmax(b / 3, dim=1), reduction="none")
        .sum(dim=1)
        .mean()
    )
    assert softened_divergence(a, b, 3.0) == pytest.approx(float(9 * theirs), abs=1e-6)
    assert softened_divergence(a, a) == pytest.approx(0.0, abs=1e-7)


def test_the_middle_of_a_larger_answer_is_compared():
    small = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    assert softened_divergence(small, F.pad(small, (2, 2, 2, 2))) == pytest.approx(0, abs=1e-7)


def test_a_student_comes_nearer_to_a_teacher_who_knows_more_than_the_labels():
    """The labels are empty; only the teacher says that there are discs."""
    lit = example([(14, 14), (40, 40), (14, 46)])
    config = replace(SMALL, width=8)
    _, teacher = ended(
        iter_train([lit], config, settings=SETTINGS, steps=40, device="cpu", precision="float32")
    )
    dark = Example(lit.image, np.zeros_like(lit.labels))
    found = {}
    for taught in (teacher, None):
        _, student = ended(
            iter_train(
                [dark],
                SMALL,
                teacher=taught,
                settings=SETTINGS,
                steps=30,
                device="cpu",
                precision="float32",
            )
        )
        labels = discs((64, 64), [(30, 30)])
        answer = predict_plane(photograph(labels)[None], student, device="cpu")
        found[taught is not None] = float(answer[1][labels > 0].mean())
    assert found[True] > found[False] + 0.1


@pytest.mark.parametrize(
    ("other", "what"),
    [({"in_channels": 2}, "in channels"), ({"diameter": 9.0}, "diameter")],
)
def test_a_teacher_of_other_images_is_refused(other, what):
    with pytest.raises(InputError, match=what):
        check_teacher(Model.fresh(replace(SMALL, **other), seed=0), SMALL)


def test_a_teacher_of_other_patches_is_refused():
    teacher = Model.fresh(replace(SMALL, depth=4), seed=0)
    with pytest.raises(InputError, match="patches of 48"):
        ended(
            iter_train(
                [example([(30, 30)])],
                SMALL,
                teacher=teacher,
                steps=1,
                settings=replace(SETTINGS, patch=36),
                device="cpu",
            )
        )
