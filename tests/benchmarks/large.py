"""Segmenting an OME-Zarr as the image grows: memory and time a pixel stay as they are.

The whole of `napari-unet segment IMAGE.zarr`, from disk to disk: tiles, objects, coarser levels.
Peak memory above what the process held before and in all, and time a pixel, against those of the
smallest image; each size in a process of its own. Needs zarr.

python tests/benchmarks/large.py [1024 2048 4096] [--diameter 24 --threads 1 --clock cpu]
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from inference import peak_memory

from napari_unet.core import drawn

CHUNK = 512
ALLOWED = 3e9  # bytes that the process takes at the most


def main() -> int:
    """Print a line for each size; 1 if one takes too much memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sides", type=int, nargs="*", default=[1024, 2048, 4096])
    parser.add_argument("--model", default="nuclei-fluorescence")
    parser.add_argument("--diameter", type=float, default=24.0, help="of the objects (%(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--one", action="store_true", help="the first side, in this process")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measured(args)))
        return 0
    print("side   objects  grew by, GB  in all, GB  ratio  time a pixel, ratio")
    first: list[float] = []
    good = True
    for side in args.sides:
        words = [str(side), "--one", "--threads", str(args.threads), "--clock", args.clock]
        words += ["--model", args.model, "--diameter", str(args.diameter)]
        done = subprocess.run(
            [sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True, check=True
        )
        objects, grown, total, each = json.loads(done.stdout.splitlines()[-1])
        first = first or [total, each]
        good &= total < ALLOWED
        print(
            f"{side:5}  {objects:7}  {grown / 1e9:11.2f}  {total / 1e9:10.2f}  "
            f"{total / first[0]:5.2f}  {each / first[1]:19.2f}",
            flush=True,
        )
    return 0 if good else 1


def measured(args: argparse.Namespace) -> tuple[int, int, int, float]:
    """Return how many objects there are, by how much memory grew, its peak, and seconds a pixel."""
    import torch

    from napari_unet import cli
    from napari_unet.commands import segment_zarr
    from napari_unet.formats.ome_zarr import open_ome_zarr

    segment_zarr.MAX_WHOLE = 0  # small ones too, to compare
    torch.set_num_threads(args.threads)
    now = time.process_time if args.clock == "cpu" else time.perf_counter
    side = args.sides[0]
    with tempfile.TemporaryDirectory() as folder:
        image, labels = Path(folder) / "image.zarr", Path(folder) / "labels.zarr"
        write_scene(image, side)
        command = ["segment", str(image), "-o", str(labels), "--model", args.model, "--device"]
        command += ["cpu", "--diameter", str(args.diameter)]
        with peak_memory() as peak:
            start = now()
            if cli.main(command) != 0:
                raise SystemExit("it could not be segmented")
            seconds = now() - start
        total = peak_in_all()
        found = open_ome_zarr(labels).data
        objects = max(int(found[y : y + CHUNK].max()) for y in range(0, side, CHUNK))
    return objects, peak[0], total, seconds / side**2


def write_scene(path: Path, side: int) -> None:
    """Write an OME-Zarr of drawn nuclei, chunk by chunk."""
    import zarr  # for this benchmark alone

    scene, _ = drawn.nuclei((CHUNK, CHUNK), seed=1)
    group = zarr.create_group(str(path), zarr_format=2)
    array = group.create_array(
        "0",
        shape=(side, side),
        chunks=(CHUNK, CHUNK),
        dtype="uint16",
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )
    for y in range(0, side, CHUNK):
        for x in range(0, side, CHUNK):
            rows, columns = min(CHUNK, side - y), min(CHUNK, side - x)
            array[y : y + rows, x : x + columns] = scene[:rows, :columns]
    scale = [{"type": "scale", "scale": [1.0, 1.0]}]
    axes = [{"name": name, "type": "space"} for name in "yx"]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]


def peak_in_all(process: int | str = "self") -> int:
    """Return the most bytes that a process has held, of this one since `peak_memory` began."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    sys.exit(main())
