"""The loss of structural similarity, against scikit-image and by hand."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from napari_unet.core.loss_config import LossConfig
from napari_unet.core.losses import loss_of, ms_ssim_loss
from napari_unet.core.losses.similarity import SCALES, similarity


def scene(side=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    target = torch.zeros(2, side, side, dtype=torch.int64)
    target[0, 8:30, 10:40] = 1
    target[1, 20:50, 5:25] = 1
    return torch.randn(2, 2, side, side, generator=generator), target, torch.ones(2, side, side)


def sure(target, of=12.0):
    return torch.stack([(target == 0) * of, (target == 1) * of], dim=1)


def test_similarity_is_that_of_scikit_image():
    a, b = (np.random.default_rng(seed).random((40, 50)).astype(np.float32) for seed in (0, 1))
    _, whole = structural_similarity(
        a, b, data_range=1.0, gaussian_weights=True, use_sample_covariance=False, full=True
    )
    tensors = [torch.from_numpy(x)[None, None] for x in (a, b)]
    luminance, structure = similarity(*tensors, torch.ones(1, 1, 40, 50))
    ours = (luminance * structure)[0, 0].numpy()
    np.testing.assert_allclose(ours[5:-5, 5:-5], whole[5:-5, 5:-5], atol=1e-4)


def test_one_scale_is_one_less_the_mean_similarity():
    logits, target, weight = scene(16)
    found = logits.softmax(dim=1)[:, 1:]
    luminance, structure = similarity(found, target[:, None].float(), weight[:, None])
    mean = (luminance * structure).flatten(1).mean(dim=1).clamp(min=0.01).mean()
    assert ms_ssim_loss(logits, target, weight).item() == pytest.approx(1 - mean.item(), abs=1e-6)


def test_what_is_right_costs_nothing_and_what_is_shifted_more_the_farther():
    _, target, weight = scene(176)
    costs = [
        ms_ssim_loss(sure(target.roll(by, dims=2)), target, weight).item() for by in (0, 1, 4, 12)
    ]
    assert costs[0] == pytest.approx(0, abs=1e-3) and costs == sorted(costs) and costs[3] > 0.05
    assert sum(SCALES) == pytest.approx(1, abs=1e-3)


def test_only_checked_pixels_count():
    _, target, weight = scene()
    logits = sure(target.roll(1, dims=2), 4.0)  # nearly right: no factor is raised to the least
    weight[:, :, 32:] = 0
    wrong = logits.clone()
    wrong[:, :, :, 32:] = 9.0 * torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)
    kept = ms_ssim_loss(logits, target, weight)
    assert ms_ssim_loss(wrong, target, weight).item() == pytest.approx(kept.item(), abs=1e-6)
    nothing = ms_ssim_loss(logits.requires_grad_(), target, torch.zeros_like(weight))
    nothing.backward()
    assert nothing.item() == 0 and torch.isfinite(logits.grad).all()


def test_the_hybrid_loss_of_unet_3_plus_falls():
    hybrid = loss_of(LossConfig.parse("focal+ms-ssim+tversky(alpha=1,beta=1)"))
    logits, target, weight = scene(96)
    logits.requires_grad_()
    step = torch.optim.Adam([logits], lr=0.3)
    costs = []
    for _ in range(30):
        step.zero_grad()
        cost = hybrid(logits, target, weight)
        cost.backward()
        step.step()
        costs.append(cost.item())
    assert costs[-1] < 0.3 * costs[0]


def test_volumes_have_it_too():
    target = torch.zeros(1, 12, 24, 24, dtype=torch.int64)
    target[0, 3:9, 5:15, 5:15] = 1
    weight = torch.ones(1, 12, 24, 24)
    assert ms_ssim_loss(sure(target), target, weight).item() == pytest.approx(0, abs=1e-3)
    assert ms_ssim_loss(sure(1 - target), target, weight).item() > 0.5
