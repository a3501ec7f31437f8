"""A large OME-Zarr on two worker processes, of which one is killed in the middle.

Segments it on this machine alone and on the cluster, and prints the AP at IoU 0.99 of one against
the other, which is 1 where they differ in numbering alone, and the peak memory of each process.
Needs zarr and dask.distributed. With --width the model is a small network of two poolings that has
learnt from drawn scenes for some seconds: for sides at which the bundled one takes hours.

python tests/benchmarks/cluster.py [--side 2048 --diameter 24 --model nuclei-fluorescence]
python tests/benchmarks/cluster.py --side 16384 --width 2
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any  # dask and zarr are not typed

import numpy as np
from large import peak_in_all, write_scene
from numpy.typing import NDArray

from napari_unet import cli
from napari_unet.commands import segment_zarr
from napari_unet.core import Example, Model, drawn, finetune
from napari_unet.core.config import ModelConfig
from napari_unet.engine.large import WorkFolder
from napari_unet.formats.ome_zarr import open_ome_zarr

IOU = 0.99
ALLOWED = 2e9  # bytes that a process takes at the most
STEPS = 150  # of teaching a small network
ROWS = 512  # of labels that are compared at a time


def main() -> int:
    """Print the comparison; 1 if labels differ or a process takes too much."""
    import distributed  # for this benchmark alone

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--diameter", type=float, default=24.0, help="of the objects (%(default)s)")
    parser.add_argument("--model", default="nuclei-fluorescence")
    parser.add_argument("--width", type=int, help="of a small network, instead of the model")
    args = parser.parse_args()
    segment_zarr.MAX_WHOLE = 0  # in parts, whatever the side
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.zarr"
        alone, together = Path(folder) / "alone.zarr", Path(folder) / "together.zarr"
        write_scene(image, args.side)
        model = args.model
        if args.width is not None:
            model = str(Path(folder) / "small.safetensors")
            small_model(args.width).save(model)
        words = ["segment", str(image), "--model", model, "--device", "cpu", "--diameter"]
        words.append(str(args.diameter))
        seconds = [segmented([*words, "-o", str(alone)])]
        peaks = {"alone": peak_in_all()}
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster:
            killer = Killer(cluster, peaks)
            killer.watch()
            address = ["--cluster", cluster.scheduler_address]
            seconds.append(segmented([*words, "-o", str(together), *address]))
            for process in killer.processes():
                peaks[f"worker {process}"] = peak_in_all(process)
        found = [open_ome_zarr(path).data for path in (alone, together)]
        precision, count = average_precision(*found)
    network = args.model if args.width is None else f"small network of width {args.width}"
    print(f"side {args.side}, {network}, {count} objects, ", end="")
    print(f"killed {killer.killed} after {killer.at} of {killer.tiles} tiles")
    print(f"AP at IoU {IOU} of the cluster against one machine: {precision:.6f}")
    print(f"time, one machine 1, cluster {seconds[1] / seconds[0]:.2f}")
    for name, peak in peaks.items():
        print(f"peak of {name:20} {peak / 1e9:5.2f} GB")
    is_good = precision == 1 and killer.killed and max(peaks.values()) < ALLOWED
    return 0 if is_good else 1


def small_model(width: int) -> Model:
    """Teach a small network, always the same, what drawn nuclei look like."""
    examples = [Example(*drawn.nuclei((256, 256), seed=seed)) for seed in range(10, 14)]
    config = ModelConfig(width=width, depth=2, diameter=2 * drawn.RADIUS, min_size=30)
    return finetune(Model.fresh(config), examples, steps=STEPS, keep=0.0, device="cpu")


def segmented(words: list[str]) -> float:
    """Run a command; how long it took, in seconds."""
    start = time.perf_counter()
    if cli.main(words) != 0:
        raise SystemExit("it could not be segmented")
    return time.perf_counter() - start


class Killer:
    """Kills a worker when half of the tiles are there."""

    def __init__(self, cluster: Any, peaks: dict[str, int]) -> None:
        self._cluster, self._peaks = cluster, peaks
        self.killed: int | None = None
        self.at = self.tiles = 0

    def processes(self) -> list[int]:
        """Return the processes of the workers that live."""
        return [worker.pid for worker in self._cluster.workers.values() if worker.pid]

    def watch(self) -> None:
        """From now on look at each tile that is noted."""
        note, begin = WorkFolder.note, WorkFolder.begin

        def begun(work: Any, plan: Any, *others: Any) -> Any:
            self.tiles = len(plan.tiles)
            return begin(work, plan, *others)

        def noted(work: Any, tile: Any) -> None:
            note(work, tile)
            self.at += self.killed is None
            if self.killed is None and self.at >= self.tiles / 2:
                self.killed = self.processes()[0]
                self._peaks[f"worker {self.killed}, killed"] = peak_in_all(self.killed)
                os.kill(self.killed, signal.SIGKILL)

        WorkFolder.begin, WorkFolder.note = begun, noted  # type: ignore[method-assign]


def average_precision(truth: Any, found: Any) -> tuple[float, int]:
    """Return hits by all objects at that IoU, and how many there are, in bounded memory."""
    shared: dict[tuple[int, int], int] = {}
    areas: list[dict[int, int]] = [{}, {}]
    for y in range(0, truth.shape[0], ROWS):
        both = [np.asarray(labels[y : y + ROWS]).astype(np.int64) for labels in (truth, found)]
        for area, labels in zip(areas, both, strict=True):
            add(area, labels[labels > 0])
        together = (both[0] > 0) & (both[1] > 0)
        pairs: dict[int, int] = {}
        add(pairs, both[0][together] << 32 | both[1][together])
        for pair, pixels in pairs.items():
            key = pair >> 32, pair & 0xFFFFFFFF
            shared[key] = shared.get(key, 0) + pixels
    hits = sum(
        pixels / (areas[0][one] + areas[1][other] - pixels) >= IOU
        for (one, other), pixels in shared.items()
    )
    return hits / (len(areas[0]) + len(areas[1]) - hits), len(areas[0])


def add(counts: dict[int, int], values: NDArray[np.int64]) -> None:
    """Count each value."""
    for value, count in zip(*(x.tolist() for x in np.unique_counts(values)), strict=True):
        counts[value] = counts.get(value, 0) + count


if __name__ == "__main__":
    sys.exit(main())
