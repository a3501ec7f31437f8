"""Losses against hand calculations and against torch's own."""

import math

import pytest
import torch
from torch.nn import functional as F

from napari_unet.core.losses import agreement, distillation_loss, weighted_cross_entropy


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def one_row(*probabilities):
    """Logits (1, 2, 1, n) of pixels whose probability of class 1 is given."""
    p = torch.tensor(probabilities)
    return torch.stack([1 - p, p]).log()[None, :, None, :]


def test_cross_entropy_by_hand():
    logits = one_row(0.8, 0.5, 0.1)
    target = torch.tensor([[[1, 0, 1]]])
    weight = torch.tensor([[[1.0, 2.0, 10.0]]])
    by_hand = -(math.log(0.8) + 2 * math.log(0.5) + 10 * math.log(0.1)) / 3
    assert weighted_cross_entropy(logits, target, weight).item() == pytest.approx(by_hand)


def test_cross_entropy_of_weight_one_is_that_of_torch():
    logits, target = drawn(2, 3, 5, 7), torch.randint(3, (2, 5, 7))
    ours = weighted_cross_entropy(logits, target, torch.ones(2, 5, 7))
    assert ours.item() == pytest.approx(F.cross_entropy(logits, target).item())


def test_pixels_of_weight_zero_count_neither_above_nor_below():
    logits, target = drawn(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long)
    weight = torch.zeros(1, 4, 4)
    weight[:, :2] = 3.0
    upper = weighted_cross_entropy(logits[:, :, :2], target[:, :2], weight[:, :2])
    assert weighted_cross_entropy(logits, target, weight).item() == pytest.approx(upper.item())


def test_no_gradient_where_the_weight_is_zero():
    logits = drawn(1, 2, 4, 4).requires_grad_()
    weight = torch.ones(1, 4, 4)
    weight[0, 1, 2] = 0
    weighted_cross_entropy(logits, torch.zeros(1, 4, 4, dtype=torch.long), weight).backward()
    assert logits.grad[0, :, 1, 2].tolist() == [0, 0]
    assert (logits.grad[0, 0] != 0).sum() == 15


@pytest.mark.parametrize("loss", [weighted_cross_entropy, distillation_loss])
def test_nothing_known_gives_a_loss_of_zero_and_finite_gradients(loss):
    logits = drawn(1, 2, 3, 3).requires_grad_()
    other = torch.zeros(1, 3, 3, dtype=torch.long)
    other = drawn(1, 2, 3, 3, seed=1) if loss is distillation_loss else other
    value = loss(logits, other, torch.zeros(1, 3, 3))
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()


def test_distillation_by_hand():
    student, teacher = one_row(0.5, 0.9), one_row(0.8, 0.9)
    by_hand = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5)
    value = distillation_loss(student, teacher, torch.tensor([[[1.0, 1.0]]]))
    assert value.item() == pytest.approx(by_hand / 2, rel=1e-5)


def test_distillation_is_the_divergence_of_torch():
    student, teacher = drawn(2, 3, 4, 4), drawn(2, 3, 4, 4, seed=1)
    ours = distillation_loss(student, teacher, torch.ones(2, 4, 4))
    theirs = F.kl_div(
        F.log_softmax(student, 1), F.log_softmax(teacher, 1), reduction="sum", log_target=True
    )
    assert ours.item() == pytest.approx(theirs.item() / 32, rel=1e-5)


def test_distillation_is_zero_from_oneself():
    logits = drawn(1, 2, 4, 4)
    assert distillation_loss(logits, logits, torch.ones(1, 4, 4)).item() == pytest.approx(0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_are_summed_in_single_precision(dtype):
    logits = drawn(1, 2, 256, 256).to(dtype)
    target, weight = torch.zeros(1, 256, 256, dtype=torch.long), torch.ones(1, 256, 256)
    value = weighted_cross_entropy(logits, target, weight)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(F.cross_entropy(logits.double(), target).item(), rel=1e-4)


@pytest.mark.parametrize(
    ("cell", "background", "agreed"),
    [(1.0, 0.0, 1.0), (0.5, 0.5, 0.0), (0.0, 1.0, 0.0), (0.9, 0.3, 0.6), (1.0, 1.0, 0.0)],
)
def test_agreement_weighs_both_classes_the_same(cell, background, agreed):
    logits = one_row(cell, background, background, background).clamp(-30, 30)
    target, weight = torch.tensor([[[1, 0, 0, 0]]]), torch.tensor([[[9.0, 1.0, 1.0, 1.0]]])
    assert agreement(logits, target, weight).item() == pytest.approx(agreed, abs=1e-5)


def test_agreement_looks_only_where_something_is_known():
    logits, target = one_row(0.9, 0.1), torch.tensor([[[1, 1]]])
    assert agreement(logits, target, torch.tensor([[[1.0, 0.0]]])).item() == pytest.approx(0.8)
    assert agreement(logits, target, torch.zeros(1, 1, 2)).item() == 0


def test_agreement_is_one_number_a_patch():
    logits = torch.cat([one_row(0.9), one_row(0.1)])
    assert agreement(
        logits, torch.ones(2, 1, 1, dtype=torch.long), torch.ones(2, 1, 1)
    ).tolist() == [
        pytest.approx(0.8),
        0,
    ]
