"""Labels to classes and back over a folder of label images: what is lost on the way.

python tests/benchmarks/round_trip.py [DATA_DIR]
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import tifffile

from napari_unet.core.metrics import THRESHOLDS, pool, score
from napari_unet.core.targets import classes_to_labels, labels_to_classes

REQUIRED = {0.5: 0.995, 0.7: 0.99, 0.9: 0.95}


def main() -> int:
    """Print the pooled AP at each IoU; 1 where one is below what is required."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"))
    folder = parser.parse_args().data / "nuclei-dsb2018" / "labels"
    files = sorted(folder.glob("*.tif"))
    if not files:
        print(f"No label images in {folder}: give the data folder as the argument.")
        return 2
    every, seconds, pixels = [], 0.0, 0
    for file in files:
        truth = tifffile.imread(file)
        start = time.perf_counter()
        found = classes_to_labels(labels_to_classes(truth))
        seconds += time.perf_counter() - start
        pixels += truth.size
        every.append(score(truth, found))
    together = pool(every)
    print(f"{len(files)} images, {together.n_truth} objects, {together.n_predicted} after")
    print(f"{1e3 * seconds / pixels * 2**20:.1f} ms for 1024x1024, there and back")
    print("IoU   AP      required")
    for threshold in THRESHOLDS:
        required = REQUIRED.get(threshold, "")
        print(f"{threshold:.2f}  {together.average_precision[threshold]:.4f}  {required}")
    ok = all(together.average_precision[iou] >= least for iou, least in REQUIRED.items())
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
