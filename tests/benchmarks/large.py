"""Segmenting from zarr to zarr as the image grows: memory and time a pixel stay as they are.

Peak memory above what the process held before, and time a pixel against that of the smallest
image; each size in a process of its own. Needs zarr.

python tests/benchmarks/large.py [1024 2048 4096] [--threads 1 --clock cpu]
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time

import torch
from inference import peak_memory

from napari_unet.core import drawn, load_model
from napari_unet.core.large import segment_large

CHUNK = 512


def main() -> int:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sides", type=int, nargs="*", default=[1024, 2048, 4096])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--one", action="store_true", help="the first side, in this process")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measured(args.sides[0], args.threads, args.clock)))
        return 0
    print("side   objects  peak, GB  time a pixel")
    first = 0.0
    for side in args.sides:
        words = [str(side), "--one", "--threads", str(args.threads), "--clock", args.clock]
        done = subprocess.run(
            [sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True, check=True
        )
        objects, peak, each = json.loads(done.stdout.splitlines()[-1])
        first = first or each
        print(f"{side:5}  {objects:7}  {peak / 1e9:8.2f}  {each / first:12.2f}", flush=True)
    return 0


def measured(side: int, threads: int, clock: str) -> tuple[int, int, float]:
    """Return how many objects there are, the peak in bytes, and seconds a pixel."""
    import zarr  # for this benchmark alone

    torch.set_num_threads(threads)
    now = time.process_time if clock == "cpu" else time.perf_counter
    scene, _ = drawn.nuclei((CHUNK, CHUNK), seed=1)
    model = load_model("nuclei-fluorescence")
    with tempfile.TemporaryDirectory() as folder:

        def array(name: str, dtype: str, *leading: int) -> zarr.Array:
            shape, chunks = (*leading, side, side), (*leading, CHUNK, CHUNK)
            path = f"{folder}/{name}"
            return zarr.create_array(path, shape=shape, chunks=chunks, dtype=dtype)

        image, probability = array("image", "uint16", 1), array("probability", "uint8")
        labels = array("labels", "int32")
        for y in range(0, side, CHUNK):
            for x in range(0, side, CHUNK):
                rows, columns = min(CHUNK, side - y), min(CHUNK, side - x)
                image[0, y : y + rows, x : x + columns] = scene[:rows, :columns]
        with peak_memory() as peak:
            start = now()
            objects = segment_large(image, model, probability, labels, device="cpu")
            seconds = now() - start
    return objects, peak[0], seconds / side**2


if __name__ == "__main__":
    sys.exit(main())
