"""Drawn scenes with their truth: nuclei in fluorescence, cells in phase contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Look", "cells", "nuclei", "photograph", "varied_nuclei"]

RADIUS = 11.0  # pixels, of a typical drawn nucleus (chosen: a 20x objective)
CROWDING = 0.35  # share of the nuclei that are put against another one (chosen)
SPREAD = 26.0  # pixels, radius of a typical drawn cell without its arms (chosen: a 10x objective)
HALO = 7.0  # pixels, how far the light around a cell reaches (chosen)


@dataclass(frozen=True)
class Look:
    """How nuclei look in one experiment.

    Attributes
    ----------
    density : float
        Nuclei per area, against the usual.
    spread : float
        Standard deviation of the logarithm of their brightness.
    grains : float
        Contrast of chromatin.
    light : float
        Photons, against the usual; few are noisy.
    ground : float
        Out-of-focus light, against the usual.
    """

    density: float = 1.0
    spread: float = 0.45
    grains: float = 0.22
    light: float = 1.0
    ground: float = 1.0


def varied_nuclei(
    shape: tuple[int, int] = (512, 512), seed: int = 0
) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Draw fluorescent nuclei of another look with every seed; see `nuclei`."""
    rng = np.random.default_rng([seed, 1])
    look = Look(
        density=float(np.exp(rng.uniform(np.log(0.2), np.log(1.6)))),
        spread=float(rng.uniform(0.1, 0.9)),
        grains=float(rng.uniform(0.03, 0.4)),
        light=float(np.exp(rng.uniform(np.log(0.4), np.log(20.0)))),
        ground=float(rng.uniform(0.02, 1.3)),
    )
    return nuclei(shape, seed, look=look)


def nuclei(
    shape: tuple[int, int] = (512, 512), seed: int = 0, *, look: Look | None = None
) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Draw fluorescent nuclei: uneven in shape and brightness, some touching, blurred, noisy.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    seed : int
        The same seed gives the same image.
    look : Look, optional
        Other than the usual.

    Returns
    -------
    image : ndarray of uint16
        Counts of a camera with an offset of 100.
    truth : ndarray of int32
        0 is background, every other value one nucleus.
    """
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, np.int32)
    look = look or Look()
    light = look.ground * _background(shape, rng)
    placed: list[tuple[float, float, float]] = []
    for _ in range(max(1, round(look.density * shape[0] * shape[1] / (15 * RADIUS**2)))):
        radius = RADIUS * float(np.clip(rng.lognormal(0, 0.18), 0.6, 1.7))
        y, x = _place(shape, radius, placed, rng)
        rows, columns, inside = _outline(shape, (y, x), radius, rng)
        free = inside & (truth[rows, columns] == 0)
        if free.sum() < 0.85 * max(1, inside.sum()) or not _is_one_piece(free):
            continue
        placed.append((y, x, radius))
        truth[rows, columns][free] = len(placed)
        light[rows, columns] += _glow(inside, radius, rng, look)
    return photograph(look.light * light, rng), truth


def cells(
    shape: tuple[int, int] = (512, 512), seed: int = 0
) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Draw spread cells in phase contrast: dark, with arms and grains, and a bright halo around.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    seed : int
        The same seed gives the same image.

    Returns
    -------
    image : ndarray of uint16
        Counts of a camera.
    truth : ndarray of int32
        0 is background, every other value one cell.
    """
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, np.int32)
    delay = np.zeros(shape)
    wanted = max(1, round(shape[0] * shape[1] / (9 * SPREAD**2)))
    for _ in range(4 * wanted):
        radius = SPREAD * float(np.clip(rng.lognormal(0, 0.22), 0.6, 1.6))
        center = float(rng.uniform(0, shape[0])), float(rng.uniform(0, shape[1]))
        rows, columns, inside = _spread_out(shape, center, radius, rng)
        if (truth[rows, columns] > 0)[inside].any() or not _is_one_piece(inside):
            continue
        truth[rows, columns][inside] = truth.max() + 1
        delay[rows, columns] += _thickness(inside, radius, rng)
        if truth.max() == wanted:
            break
    return _phase_contrast(delay, rng), truth


def _background(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Out-of-focus light: a slope and a few broad clouds, in photons."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    slope = 18 + 14 * rng.uniform(-1, 1) * (y / shape[0] - 0.5) + 10 * (x / shape[1] - 0.5)
    clouds = ndimage.gaussian_filter(rng.standard_normal(shape), 60, mode="wrap")
    out: NDArray[np.float64] = slope + 6 * clouds / (clouds.std() + 1e-9)
    return np.maximum(out, 4)


def _place(
    shape: tuple[int, int],
    radius: float,
    placed: list[tuple[float, float, float]],
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Anywhere, or against a nucleus that is there."""
    if not placed or rng.random() > CROWDING:
        return float(rng.uniform(0, shape[0])), float(rng.uniform(0, shape[1]))
    y, x, other = placed[rng.integers(len(placed))]
    distance, angle = (radius + other) * rng.uniform(0.9, 1.05), rng.uniform(0, 2 * np.pi)
    return y + distance * float(np.sin(angle)), x + distance * float(np.cos(angle))


def _outline(
    shape: tuple[int, int], center: tuple[float, float], radius: float, rng: np.random.Generator
) -> tuple[slice, slice, NDArray[np.bool_]]:
    """Return the box of a nucleus and its pixels: an ellipse with a few Fourier dents."""
    aspect, turn = rng.uniform(1, 1.45), rng.uniform(0, np.pi)
    orders = np.arange(2, 6)
    sizes = rng.normal(0, 0.10, len(orders)) / (orders - 1)
    phases = rng.uniform(0, 2 * np.pi, len(orders))
    reach = 1.7 * radius
    rows, columns = (
        slice(min(size, max(0, int(at - reach))), max(0, min(size, int(at + reach) + 1)))
        for at, size in zip(center, shape, strict=True)
    )
    y, x = np.mgrid[rows, columns].astype(float)
    y, x = y - center[0], x - center[1]
    along = (x * np.cos(turn) + y * np.sin(turn)) / np.sqrt(aspect)
    across = (y * np.cos(turn) - x * np.sin(turn)) * np.sqrt(aspect)
    angle = np.arctan2(across, along)
    edge = 1 + (sizes * np.cos(orders * angle[..., None] + phases)).sum(axis=-1)
    return rows, columns, np.hypot(along, across) <= radius * edge


def _is_one_piece(free: NDArray[np.bool_]) -> bool:
    return int(free.sum()) >= 30 and ndimage.label(free)[1] == 1


def _glow(
    inside: NDArray[np.bool_], radius: float, rng: np.random.Generator, look: Look
) -> NDArray[np.float64]:
    """Photons of one nucleus: thicker in the middle, with grains of chromatin and nucleoli."""
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    thickness = np.sqrt(np.clip(depth / (0.7 * radius), 0, 1))
    noise = rng.standard_normal(inside.shape)
    grains = sum(ndimage.gaussian_filter(noise, sigma) * sigma for sigma in (1.0, 2.2))
    brightness = 130 * np.clip(rng.lognormal(0, look.spread), 0.3, 3)
    glow = brightness * (0.45 + 0.55 * thickness) * (1 + look.grains * grains)
    for _ in range(rng.integers(0, 4)):  # nucleoli hold little DNA
        spot = np.zeros(inside.shape)
        middle = np.argwhere(depth > 0.4 * radius)
        if len(middle):
            spot[tuple(middle[rng.integers(len(middle))])] = 1
            spot = ndimage.gaussian_filter(spot, 0.14 * radius)
            glow *= 1 - 0.4 * spot / spot.max()
    return np.where(inside, np.maximum(glow, 0), 0.0)


def photograph(light: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint16]:
    """Blur by the lens and by what is out of focus, then count photons and add camera noise."""
    sharp = ndimage.gaussian_filter(light, 1.1)
    haze = ndimage.gaussian_filter(light, 12)
    photons = rng.poisson(0.88 * sharp + 0.12 * haze).astype(float)
    counts = 100 + 2.5 * photons + rng.normal(0, 4, light.shape)
    image: NDArray[np.uint16] = np.clip(np.rint(counts), 0, 65535).astype(np.uint16)
    return image


def _spread_out(
    shape: tuple[int, int], center: tuple[float, float], radius: float, rng: np.random.Generator
) -> tuple[slice, slice, NDArray[np.bool_]]:
    """Return the box of a spread cell and its pixels: a body drawn out into two to five arms."""
    reach = int(2.6 * radius)
    rows, columns = (
        slice(min(size, max(0, int(at) - reach)), max(0, min(size, int(at) + reach + 1)))
        for at, size in zip(center, shape, strict=True)
    )
    y, x = np.mgrid[rows, columns].astype(float)
    y, x = y - center[0], x - center[1]
    angle = np.arctan2(y, x)
    edge = np.full(angle.shape, rng.uniform(0.65, 0.85))
    first = rng.uniform(0, 2 * np.pi)
    for arm in range(rng.integers(2, 6)):
        at = first + arm * rng.uniform(1.1, 1.9)
        off = np.abs((angle - at + np.pi) % (2 * np.pi) - np.pi)
        edge += rng.uniform(0.4, 1.4) * np.exp(-0.5 * (off / rng.uniform(0.14, 0.3)) ** 2)
    for order in (5, 9, 14):  # ruffles
        edge *= 1 + rng.normal(0, 0.03) * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    return rows, columns, np.hypot(y, x) <= radius * edge


def _thickness(
    inside: NDArray[np.bool_], radius: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """By how much a cell delays light: a dome, a nucleus with its nucleoli, grains, a firm rim."""
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    dome = np.clip(depth / (0.6 * radius), 0, 1) ** 0.5
    rim = np.exp(-0.5 * ((depth - 1.5) / 1.2) ** 2)
    noise = rng.standard_normal(inside.shape)
    grains = np.maximum(4.6 * ndimage.gaussian_filter(noise, 1.3) - 0.5, 0)
    delay = 0.3 + 0.5 * dome + 0.5 * rim + 0.7 * grains * dome
    middle = np.unravel_index(int(np.argmax(depth)), depth.shape)
    y, x = np.indices(depth.shape)
    away = np.hypot(y - middle[0], x - middle[1])
    nucleus = 0.32 * radius
    delay -= 0.25 * (away < nucleus) - 0.3 * np.exp(-0.5 * ((away - nucleus) / 1.2) ** 2)
    delay += 0.6 * np.exp(-0.5 * (away / 2.0) ** 2)
    return np.where(inside, np.maximum(delay, 0), 0.0)


def _phase_contrast(delay: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint16]:
    """What delays light is dark; what surrounds it is bright, as the ring lets it leak."""
    sharp = ndimage.gaussian_filter(delay, 0.8)
    near, far = ndimage.gaussian_filter(delay, HALO / 2), ndimage.gaussian_filter(delay, 3 * HALO)
    light = 1 - 0.3 * (sharp - 0.6 * near - 0.3 * far)
    shade = ndimage.gaussian_filter(rng.standard_normal(delay.shape), 80, mode="wrap")
    light += 0.008 * shade / (shade.std() + 1e-9) + rng.normal(0, 0.012, delay.shape)
    image: NDArray[np.uint16] = np.clip(np.rint(30000 * light), 0, 65535).astype(np.uint16)
    return image
