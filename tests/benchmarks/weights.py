"""Touching-cell weights against one distance transform per cell over the whole image.

python tests/benchmarks/weights.py
"""

# ruff: noqa: T201
from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from napari_unet.core.weight_map import touching_cell_weights

RADII = {"nuclei": (8, 15), "crowded": (15, 26)}  # 8 to 14: half of the nuclei of DSB 2018


def cells(size: int, scene: str = "nuclei", seed: int = 0) -> np.ndarray:
    """400 discs for 1024x1024 at random places on a jittered grid; many touch when crowded."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size), np.int32)
    rows, columns = np.mgrid[:size, :size]
    n = round(size / 51.2)
    reach = 8 if scene == "crowded" else 20
    for i in range(n * n):
        y, x = (np.array(divmod(i, n)) + 0.5) * 51.2 + rng.integers(-reach, reach + 1, 2)
        radius = rng.integers(*RADII[scene])
        box = np.s_[max(0, int(y) - 30) : int(y) + 31, max(0, int(x) - 30) : int(x) + 31]
        labels[box][(rows[box] - y) ** 2 + (columns[box] - x) ** 2 < radius**2] = i + 1
    return labels


def brute_force(labels: np.ndarray, w0: float = 10.0, sigma: float = 5.0) -> np.ndarray:
    """The paper's equation as it stands."""
    first = np.full(labels.shape, np.inf)
    second = first.copy()
    for label in np.unique(labels[labels > 0]):
        distance = ndimage.distance_transform_edt(labels != label)
        second = np.minimum(second, np.maximum(first, distance))
        first = np.minimum(first, distance)
    return 1 + w0 * np.exp(-((first + second) ** 2) / (2 * sigma**2))


def seconds(function: Callable[[], object], repeats: int) -> float:
    """The shortest of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def compare(scene: str) -> tuple[float, float]:
    """How many times faster ours is than the brute force, and the largest difference."""
    labels = cells(1024, scene)
    fast = seconds(lambda: touching_cell_weights(labels), 5)
    start = time.perf_counter()
    exact = brute_force(labels)
    slow = time.perf_counter() - start
    difference = float(np.abs(touching_cell_weights(labels) - exact).max())
    count = len(np.unique(labels)) - 1
    print(f"{count} cells on 1024x1024, {scene}, {(labels > 0).mean():.0%} covered")
    print(f"  one transform a cell {slow:.2f} s, ours {1e3 * fast:.1f} ms: {slow / fast:.0f} times")
    print(f"  largest difference {difference:.4f}")
    return slow / fast, difference


def main() -> int:
    """Print both times, their ratio, the largest difference, and the cost by area."""
    found = [compare(scene) for scene in RADII]
    print("size   ms for 2^20 pixels")
    for size in (512, 1024, 2048):
        image = cells(size)
        took = seconds(lambda image=image: touching_cell_weights(image), 5)
        print(f"{size:5d}  {1e3 * took * 2**20 / image.size:.1f}")
    return 0 if found[0][0] >= 300 and max(one[1] for one in found) < 1e-2 else 1


if __name__ == "__main__":
    sys.exit(main())
