"""Measuring objects: ours against scikit-image's, side by side on one drawn image.

python tests/benchmarks/regions.py [--side PIXELS]
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from skimage.measure import regionprops_table

from napari_unet import sample_data
from napari_unet.core.regions import measure_regions

PROPERTIES = (
    "label",
    "area",
    "centroid",
    "axis_major_length",
    "axis_minor_length",
    "eccentricity",
    "orientation",
    "solidity",
    "feret_diameter_max",
    "perimeter_crofton",
    "intensity_mean",
    "intensity_std",
    "intensity_min",
    "intensity_max",
    "equivalent_diameter_area",
)


def main() -> int:
    """Print how long both take; 1 where ours is not faster."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2048)
    side = parser.parse_args().side
    image, labels = sample_data.nuclei((side, side), 1)
    ours = best_of_three(lambda: measure_regions(labels, image[None]))
    theirs = best_of_three(lambda: regionprops_table(labels, image, properties=PROPERTIES))
    print(f"{labels.max()} objects on {side} x {side} pixels")
    print(f"ours {ours:.2f} s, scikit-image {theirs:.2f} s, ratio {theirs / ours:.1f}")
    return 0 if ours < theirs else 1


def best_of_three(call: Callable[[], object]) -> float:
    """Return the least of three times in seconds."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
