"""Losses against hand calculations and against torch's own."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch.nn import functional as F

from napari_unet.core.loss_config import LossConfig
from napari_unet.core.losses import (
    FUNCTIONS,
    agreement,
    balanced_cross_entropy,
    binary_cross_entropy,
    boundary_loss,
    cross_entropy,
    dice_loss,
    distillation_loss,
    focal_loss,
    generalised_dice_loss,
    loss_of,
    tversky_loss,
    weighted_cross_entropy,
)
from napari_unet.core.losses.boundary import signed_distance


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


every_loss = pytest.mark.parametrize("loss", FUNCTIONS.values(), ids=FUNCTIONS)


def scene(classes=2, side=8, batch=2):
    """Logits, targets in which every class occurs, weights up to 3 of which some are 0."""
    target = torch.arange(batch * side * side).reshape(batch, side, side) // 3 % classes
    weight = 3 * torch.rand(batch, side, side, generator=torch.Generator().manual_seed(2))
    weight[:, 1:3, 2:5] = 0
    return drawn(batch, classes, side, side), target, weight


@every_loss
@pytest.mark.parametrize("classes", [2, 4])
def test_no_gradient_where_the_weight_is_zero_and_one_everywhere_else(loss, classes):
    logits, target, weight = scene(classes)
    loss(logits.requires_grad_(), target, weight).backward()
    felt = logits.grad.abs().sum(dim=1)
    assert not felt[weight == 0].any()
    # The distance from an outline is 0 at the outline itself.
    assert (felt[weight > 0] > 0).float().mean() > (0.3 if loss is boundary_loss else 0.999)


@every_loss
@pytest.mark.parametrize("classes", [2, 4])
def test_what_is_not_known_changes_nothing(loss, classes):
    logits, target, weight = scene(classes)
    unknown = weight == 0
    value = loss(logits, target, weight)
    other = torch.where(unknown.unsqueeze(1), drawn(*logits.shape, seed=9), logits)
    labels = torch.where(unknown, classes - 1 - target, target)
    torch.testing.assert_close(loss(other, labels, weight), value)


@every_loss
def test_nothing_checked_gives_a_loss_of_zero_and_gradients_of_zero(loss):
    logits, target, weight = scene()
    value = loss(logits.requires_grad_(), target, 0 * weight)
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()  # nan would be any


@every_loss
@pytest.mark.parametrize("sure", [1e4, -1e4])
def test_values_and_gradients_are_finite_however_sure_the_network_is(loss, sure):
    _, target, weight = scene()
    logits = torch.zeros(2, 2, 8, 8)
    logits[:, 1] = sure
    value = loss(logits.requires_grad_(), target, weight)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(logits.grad).all()


@every_loss
@pytest.mark.parametrize("classes", [2, 4])
def test_each_is_lowest_for_the_truth(loss, classes):
    logits, target, weight = scene(classes)
    truth = 20 * (F.one_hot(target, classes).movedim(-1, 1) - 0.5)
    best = loss(truth, target, weight)
    assert best < loss(logits, target, weight) < loss(-truth, target, weight)
    if loss is not boundary_loss:
        assert best.item() == pytest.approx(0, abs=1e-3)


@every_loss
def test_a_step_against_the_gradient_lowers_it(loss):
    logits, target, weight = scene(3)
    value = loss(logits.requires_grad_(), target, weight)
    value.backward()
    with torch.no_grad():
        assert loss(logits - logits.grad, target, weight) < value


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_loss_is_summed_in_single_precision(loss, dtype):
    _, target, weight = scene()
    logits = torch.full((2, 2, 8, 8), 0.25).to(dtype)
    value = loss(logits, target, 100 * weight)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(logits.float(), target, 100 * weight))


def test_nothing_known_gives_a_distillation_of_zero_and_finite_gradients():
    logits = drawn(1, 2, 3, 3).requires_grad_()
    value = distillation_loss(logits, drawn(1, 2, 3, 3, seed=1), torch.zeros(1, 3, 3))
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()


def test_plain_cross_entropy_takes_every_checked_pixel_alike():
    logits = one_row(0.8, 0.5, 0.1)
    target, weight = torch.tensor([[[1, 0, 1]]]), torch.tensor([[[10.0, 2.0, 0.0]]])
    by_hand = -(math.log(0.8) + math.log(0.5)) / 2
    assert cross_entropy(logits, target, weight).item() == pytest.approx(by_hand)


def test_balanced_cross_entropy_by_hand():
    logits = one_row(0.8, 0.9, 0.3, 0.2)
    target, weight = torch.tensor([[[1, 0, 0, 0]]]), torch.tensor([[[5.0, 1.0, 3.0, 0.0]]])
    background = -(math.log(0.1) + 3 * math.log(0.7)) / 4
    by_hand = (-math.log(0.8) + background) / 2
    assert balanced_cross_entropy(logits, target, weight).item() == pytest.approx(by_hand)
    alone = balanced_cross_entropy(logits[..., 1:], target[..., 1:], weight[..., 1:])
    assert alone.item() == pytest.approx(background)


def test_binary_cross_entropy_of_two_classes_is_cross_entropy():
    logits, target, weight = scene()
    torch.testing.assert_close(
        binary_cross_entropy(logits, target, weight), weighted_cross_entropy(logits, target, weight)
    )


def test_binary_cross_entropy_of_three_classes_by_hand():
    p = torch.tensor([0.2, 0.5, 0.3])
    logits, weight = p.log()[None, :, None, None], torch.full((1, 1, 1), 2.0)
    for target, by_hand in (
        (0, -(math.log(0.5) + math.log(0.7)) / 2),
        (1, -(math.log(0.5) + math.log(0.7)) / 2),
        (2, -(math.log(0.5) + math.log(0.3)) / 2),
    ):
        value = binary_cross_entropy(logits, torch.tensor([[[target]]]), weight)
        assert value.item() == pytest.approx(2 * by_hand, rel=1e-5)


def test_binary_cross_entropy_is_that_of_torch():
    logits, target, _ = scene(4)
    probability = logits.softmax(1)[:, 1:]
    member = F.one_hot(target, 4).movedim(-1, 1)[:, 1:].float()
    ours = binary_cross_entropy(logits, target, torch.ones(target.shape))
    torch.testing.assert_close(ours, F.binary_cross_entropy(probability, member))


def test_focal_loss_by_hand():
    logits, target = one_row(0.9, 0.4), torch.tensor([[[1, 0]]])
    weight = torch.tensor([[[1.0, 3.0]]])
    cell = -0.25 * 0.1**2 * math.log(0.9)
    background = -0.75 * 0.4**2 * math.log(0.6)
    value = focal_loss(logits, target, weight)
    assert value.item() == pytest.approx((cell + 3 * background) / 2, rel=1e-4)


def test_focal_loss_without_focus_is_cross_entropy():
    logits, target, weight = scene(3)
    ours = focal_loss(logits, target, weight, alpha=0.5, gamma=0.0)
    torch.testing.assert_close(2 * ours, weighted_cross_entropy(logits, target, weight))


def test_dice_by_hand():
    """TP 0.9 + 2 * 0.5, all found 2.9, all true 3."""
    logits, target = one_row(0.9, 0.5, 0.5, 0.25), torch.tensor([[[1, 1, 0, 0]]])
    weight = torch.tensor([[[1.0, 2.0, 1.0, 2.0]]])
    overlap = (2 * 1.9 + 1) / (2.9 + 3 + 1)
    assert dice_loss(logits, target, weight).item() == pytest.approx(1 - overlap, rel=1e-5)
    almost_none = dice_loss(logits, target, weight, smooth=1e-6)
    assert almost_none.item() == pytest.approx(1 - 2 * 1.9 / 5.9, rel=1e-4)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_dice_of_a_beta_is_the_f_measure(beta):
    logits, target, weight = scene()
    p, g, w = (t.numpy().ravel() for t in (logits.softmax(1)[:, 1], target, weight))
    precision, recall = (w * p * g).sum() / (w * p).sum(), (w * p * g).sum() / (w * g).sum()
    f = (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
    ours = dice_loss(logits, target, weight, beta=beta, smooth=1e-6)
    assert ours.item() == pytest.approx(1 - f, rel=1e-4)


def test_tversky_by_hand():
    logits, target = one_row(0.9, 0.5, 0.5, 0.25), torch.tensor([[[1, 1, 0, 0]]])
    value = tversky_loss(logits, target, torch.ones(1, 1, 4), alpha=0.3, beta=0.7, smooth=2.0)
    by_hand = (1.4 + 2) / (1.4 + 0.3 * 0.75 + 0.7 * 0.6 + 2)
    assert value.item() == pytest.approx(1 - by_hand, rel=1e-5)


def test_overlap_is_averaged_over_the_classes_but_the_background():
    logits, target, weight = scene(4)
    p = logits.softmax(1)
    each = []
    for number in (1, 2, 3):
        g = (target == number).float()
        hit, found, true = (weight * p[:, number] * g).sum(), weight * p[:, number], weight * g
        each.append(1 - (2 * hit + 1) / (found.sum() + true.sum() + 1))
    torch.testing.assert_close(dice_loss(logits, target, weight), torch.stack(each).mean())


def test_a_class_that_is_absent_and_not_found_costs_nothing():
    logits, target = torch.zeros(1, 2, 8, 8), torch.zeros(1, 8, 8, dtype=torch.long)
    logits[:, 1] = -30
    for loss in (dice_loss, tversky_loss, generalised_dice_loss):
        assert loss(logits, target, torch.ones(1, 8, 8)).item() == pytest.approx(0, abs=1e-6)


def test_generalised_dice_by_hand():
    """Of background 3 are true, 2.4 found, 2.3 hit; of cell 1, 1.6 and 0.9."""
    logits, target = one_row(0.9, 0.4, 0.2, 0.1), torch.tensor([[[1, 0, 0, 0]]])
    overlap = 2 * (2.3 / 9 + 0.9) / ((3 + 2.4) / 9 + (1 + 1.6))
    value = generalised_dice_loss(logits, target, torch.ones(1, 1, 4))
    assert value.item() == pytest.approx(1 - overlap, rel=1e-5)


def test_distances_by_hand():
    inside = np.array([[0, 0, 1, 1, 1, 0]], bool)
    known = np.ones((1, 6), bool)
    assert signed_distance(inside, known).tolist() == [[2, 1, 0, -1, 0, 1]]
    known[0, 2] = False  # the nearest that is known is a pixel further
    assert signed_distance(inside, known)[0, [0, 1, 3, 4, 5]].tolist() == [3, 2, -1, 0, 1]
    assert not signed_distance(inside, inside).any()
    assert not signed_distance(inside, ~inside).any()


def test_distances_are_those_to_every_pixel_of_the_other_side():
    rng = np.random.default_rng(0)
    inside, known = rng.random((9, 11)) < 0.3, rng.random((9, 11)) < 0.8
    ours = signed_distance(inside, known)
    every, is_in = np.argwhere(np.ones_like(inside)), inside.ravel()
    to_in = cdist(every, np.argwhere(inside & known)).min(axis=1)
    to_out = cdist(every, np.argwhere(~inside & known)).min(axis=1)
    np.testing.assert_allclose(ours.ravel(), np.where(is_in, 1 - to_out, to_in), rtol=1e-6)


def test_boundary_loss_by_hand():
    logits, target = one_row(0.1, 0.2, 0.6, 0.9), torch.tensor([[[0, 0, 1, 1]]])
    weight = torch.tensor([[[1.0, 2.0, 1.0, 1.0]]])
    by_hand = (2 * 0.1 + 2 * 1 * 0.2 + 0 * 0.6 - 1 * 0.9) / 4
    assert boundary_loss(logits, target, weight).item() == pytest.approx(by_hand, rel=1e-5)


def test_boundary_loss_costs_more_the_farther_from_the_outline():
    target = torch.zeros(1, 1, 9, dtype=torch.long)
    target[..., :3] = 1
    costs = []
    for wrong in range(3, 9):
        p = [1.0, 1.0, 1.0, *6 * [0.0]]
        p[wrong] = 1.0
        costs.append(boundary_loss(one_row(*p).clamp(min=-30), target, torch.ones(1, 1, 9)).item())
    assert np.allclose(np.diff(costs), 1 / 9, atol=1e-5)


def test_a_sum_is_the_sum_and_only_weighted_cross_entropy_has_the_weights():
    logits, target, weight = scene(3)
    alike = (weight > 0).float()
    assert 0 < alike.mean() < 1 and not torch.equal(weight, alike)
    loss = loss_of(LossConfig.parse("weighted-ce + 0.5*dice(beta=2) + 0.01*boundary"))
    by_hand = (
        weighted_cross_entropy(logits, target, weight)
        + 0.5 * dice_loss(logits, target, alike, beta=2.0)
        + 0.01 * boundary_loss(logits, target, alike)
    )
    torch.testing.assert_close(loss(logits, target, weight), by_hand)


def test_the_loss_that_is_not_named_is_weighted_cross_entropy_to_the_bit():
    logits, target, weight = scene()
    ours = loss_of(LossConfig())(logits, target, weight)
    assert torch.equal(ours, weighted_cross_entropy(logits, target, weight))


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
