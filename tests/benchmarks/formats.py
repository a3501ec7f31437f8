"""Labels written and read back in each format: whether they are the same, how fast, how large.

python tests/benchmarks/formats.py [DATA_DIR] [--count N]
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

from napari_unet.formats.labels import read_labels, write_labels

ENDINGS = {
    "TIFF": ".tif",
    "PNG": ".png",
    "ImageJ ROI": ".zip",
    "GeoJSON": ".geojson",
    "COCO": ".json",
}


def main() -> int:
    """Print a line for each format; 1 where a pixel is not the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"))
    parser.add_argument("--count", type=int, default=100)
    args = parser.parse_args()
    files = sorted((args.data / "nuclei-dsb2018" / "labels").glob("*.tif"))[: args.count]
    if not files:
        print(f"No label images in {args.data}: give the data folder as the argument.")
        return 2
    truths = [tifffile.imread(file).astype(np.int32) for file in files]
    truths = [truth for truth in truths if truth.any()]
    objects = sum(len(np.unique(truth[truth > 0])) for truth in truths)
    pixels = sum(truth.size for truth in truths)
    print(f"{len(truths)} images, {objects} objects, {pixels / 1e6:.1f} million pixels")
    print(f"{'':12}  same images  wrong pixels  ms an object  bytes an object")
    wrong_at_all = 0
    for name, ending in ENDINGS.items():
        same, wrong, seconds, size = measure(truths, ending)
        wrong_at_all += wrong
        print(
            f"{name:12}  {same:5} of {len(truths)}  {wrong:12}  {1e3 * seconds / objects:12.2f}"
            f"  {size / objects:15.0f}"
        )
    return 1 if wrong_at_all else 0


def measure(truths: list[np.ndarray], ending: str) -> tuple[int, int, float, int]:
    """Return images and pixels that differ, seconds there and back, and bytes."""
    same = wrong = size = 0
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{ending}"
        for truth in truths:
            start = time.perf_counter()
            write_labels(path, truth)
            read = read_labels(path, truth.shape).labels
            seconds += time.perf_counter() - start
            off = np.count_nonzero(read != truth)
            same, wrong, size = same + (off == 0), wrong + off, size + path.stat().st_size
    return same, wrong, seconds, size


if __name__ == "__main__":
    sys.exit(main())
