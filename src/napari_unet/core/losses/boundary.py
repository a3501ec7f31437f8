"""The boundary loss: how far from the true outline a network is wrong."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

__all__ = ["boundary_loss", "signed_distance"]


def boundary_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Boundary loss of Kervadec et al. 2019 (arXiv:1812.07032), section 2.

    Each pixel's probability of a class times its signed distance from the outline of that class,
    averaged over the classes but the background and over the pixels of weight above 0. It is
    negative where a network is right, and blind to a class that does not occur: it is meant to be
    added, with a small weight, to a loss that is not (there 0.01 and more).

    Parameters
    ----------
    logits, target, weight : Tensor
        As in `weighted_cross_entropy`.

    Returns
    -------
    Tensor, scalar
        In pixels; 0 if no pixel has a weight.
    """
    probability = logits.float().softmax(dim=1)[:, 1:]
    known = weight > 0
    classes, truth, checked = logits.shape[1], target.cpu().numpy(), known.cpu().numpy()
    distances = np.stack(
        [
            [signed_distance(plane == number, where) for number in range(1, classes)]
            for plane, where in zip(truth, checked, strict=True)
        ]
    )
    distance = torch.from_numpy(distances).to(probability.device)
    loss = (probability * distance).mean(dim=1) * weight
    return loss.sum() / known.sum().clamp(min=1)


def signed_distance(inside: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return how far each pixel lies outside of what is inside, and below 0 how deep within it.

    As in the authors' released code a pixel at the outline is 1 from it outside and 0 inside.
    Distances are to the nearest pixel that is known.

    Parameters
    ----------
    inside : ndarray of bool, shape (Y, X)
        What belongs to the class.
    known : ndarray of bool, shape (Y, X)
        Where that is true; elsewhere the distance means nothing.

    Returns
    -------
    ndarray of float32, shape (Y, X)
        In pixels; 0 everywhere if all that is known lies on one side.
    """
    within, without = inside & known, ~inside & known
    if not within.any() or not without.any():
        return np.zeros(inside.shape, np.float32)
    outwards = ndimage.distance_transform_edt(~within)
    inwards = ndimage.distance_transform_edt(~without)
    distance: NDArray[np.float32] = np.where(inside, 1 - inwards, outwards).astype(np.float32)
    return distance
