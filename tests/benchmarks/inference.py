"""Segmenting a large image: ours, plain PyTorch and MONAI's sliding window, side by side.

Same weights, same image, same way from probabilities to objects; each contender runs in a process
of its own, in turns. Throughput, its ratio to MONAI's defaults, peak memory above what the process
held before, the part of the processor's matrix-product rate measured in the same process that
the pixels' own arithmetic takes (halos do not count), and how far the objects are those of plain
PyTorch. First the rates of products in float32 and bfloat16: no network can be faster in bfloat16
than that ratio, and how much of it the bare network gets is in its own line. The weights are the
bundled network's, padded with channels of zeros to the width asked: the same function at the cost
of that width.

pip install --group benchmark
python tests/benchmarks/inference.py [--width 64] [--side 2048] [--threads 2] [--clock cpu]
python tests/benchmarks/inference.py --grow 512 1024 2048 4096 --only ours

``--clock cpu --threads 1`` counts processor time: for a machine on which others compute too.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from napari_unet.core import drawn, load_model
from napari_unet.core.device import autocast_dtype, channels_last, choose_precision
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.matching import average_precision
from napari_unet.core.model_file import Model
from napari_unet.core.models.blocks import fold_batch_norm
from napari_unet.core.normalize import normalize
from napari_unet.core.segmentation import segment

MONAI_WINDOW, MONAI_BATCH = 256, 4  # it has no defaults for these (chosen, as its tutorials do)
MONAI = "MONAI, its defaults"
PRODUCT = 1024  # side of the matrices
CPU = torch.device("cpu")

Clock = Callable[[], float]


def main() -> int:
    """Print a line for each contender."""
    args = _arguments()
    if args.one:
        print(json.dumps(_run_one(args)))
        return 0
    torch.set_num_threads(args.threads)
    clock = time.process_time if args.clock == "cpu" else time.perf_counter
    rates = {name: _product_rate(name, clock) / 1e9 for name in ("float32", "bfloat16")}
    print(
        f"products of matrices: float32 {rates['float32']:.0f}, bfloat16 {rates['bfloat16']:.0f} "
        f"GFLOP/s, {rates['bfloat16'] / rates['float32']:.2f} times; "
        + ("AMX" if _has_amx() else "no AMX")
    )
    for side in args.grow or [args.side]:
        print(f"width {args.width}, {side} x {side}, {args.threads} threads, {args.clock} time")
        print("                           Mpx/s  to MONAI  to bare   MB  of matmul  AP 0.9")
        with tempfile.TemporaryDirectory() as folder:
            found = _in_turns(args, side, Path(folder))
            _print(found, Path(folder))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=32, choices=(16, 32, 64))
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--grow", type=int, nargs="+", help="sides, one after the other")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="the shortest of so many counts")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--only", nargs="+", help="words of the contenders' names")
    parser.add_argument("--one", help="run this contender in this process")
    parser.add_argument("--out", type=Path, help="where it puts its labels")
    return parser.parse_args()


def _in_turns(args: argparse.Namespace, side: int, folder: Path) -> dict[str, dict[str, float]]:
    names = [
        name for name in CONTENDERS if not args.only or any(word in name for word in args.only)
    ]
    found: dict[str, dict[str, float]] = {}
    for _ in range(args.rounds):
        for name in names:
            words = ["--one", name, "--out", str(folder / f"{name}.npy"), "--side", str(side)]
            words += ["--width", str(args.width), "--threads", str(args.threads)]
            words += ["--clock", args.clock]
            done = subprocess.run(
                [sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True, check=True
            )
            one = json.loads(done.stdout.splitlines()[-1])
            if name not in found or one["seconds"] < found[name]["seconds"]:
                found[name] = one
    return found


def _print(found: dict[str, dict[str, float]], folder: Path) -> None:
    truth = folder / f"{PLAIN}.npy"
    for name, one in found.items():

        def ratio(other: str, one: dict[str, float] = one) -> str:
            return f"{found[other]['seconds'] / one['seconds']:8.2f}" if other in found else " " * 8

        same = ""
        if (folder / f"{name}.npy").exists() and truth.exists():
            labels = np.load(folder / f"{name}.npy")
            same = f"{average_precision(np.load(truth), labels, (0.9,))[0]:8.4f}"
        bare = BARE_32 if "float32" in name or "MONAI" in name else BARE
        print(
            f"{name:25} {one['mpx']:7.3f}  {ratio(MONAI)} {ratio(bare)} "
            f"{one['bytes'] / 1e6:5.0f}  {one['fraction']:8.2f}  {same}"
        )


def _run_one(args: argparse.Namespace) -> dict[str, float]:
    torch.set_num_threads(args.threads)
    clock = time.process_time if args.clock == "cpu" else time.perf_counter
    image, _ = drawn.nuclei((args.side, args.side), seed=1)
    model = widened(load_model("nuclei-fluorescence"), args.width)
    contender = CONTENDERS[args.one](model)
    contender(image[:128, :128])  # what is compiled or folded once is not counted
    rate = _product_rate(contender.precision, clock)  # type: ignore[attr-defined]
    with peak_memory() as peak:
        start = clock()
        labels = contender(image)
        seconds = clock() - start
    rate = max(rate, _product_rate(contender.precision, clock))  # type: ignore[attr-defined]
    if labels is not None:
        np.save(args.out, labels)
    return {
        "seconds": seconds,
        "mpx": image.size / seconds / 1e6,
        "bytes": peak[0],
        "fraction": image.size * pixel_flops(model) / seconds / rate,
    }


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Yield a list that holds afterwards by how much the process grew at the most, in bytes."""
    peak = [0]
    Path("/proc/self/clear_refs").write_text("5")  # from here on a new peak is kept
    before = _status("VmRSS")
    yield peak
    peak[0] = _status("VmHWM") - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def _product_rate(precision: str, clock: Clock) -> float:
    """Operations a second of a product of square matrices, the best of five."""
    one = torch.ones(PRODUCT, PRODUCT, dtype=autocast_dtype(precision))
    one @ one
    times = []
    for _ in range(5):
        start = clock()
        one @ one
        times.append(clock() - start)
    return 2 * PRODUCT**3 / min(times)


def _has_amx() -> bool:
    """Whether the processor has matrix units, as Linux tells."""
    return "amx_bf16" in Path("/proc/cpuinfo").read_text()


def pixel_flops(model: Model) -> float:
    """Count the operations that the network takes for a pixel."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model.network(torch.zeros(1, 1, 64, 64))
    return counter.get_total_flops() / 64**2


def widened(model: Model, width: int) -> Model:
    """Return a network of more channels that computes the same: the others hold zeros."""
    factor = width // model.config.width
    wide = Model.fresh(replace(model.config, width=width))
    old = model.network.state_dict()
    new = {name: torch.zeros_like(value) for name, value in wide.network.state_dict().items()}
    for name, value in new.items():
        value += name.endswith("running_var")
        source = old[name]
        if name.startswith("merge") and name.endswith(".0.weight"):  # skip and up, side by side
            here = source.shape[1] // 2
            value[: len(source), :here] = source[:, :here]
            value[: len(source), factor * here : factor * here + here] = source[:, here:]
        else:
            value[tuple(slice(size) for size in source.shape)] = source
    wide.network.load_state_dict(new)
    wide.network.eval()
    return wide


class Ours:
    """From raw pixels to labels, as everybody calls it."""

    def __init__(self, precision: str, model: Model) -> None:
        self.model = model
        self.asked = precision
        self.precision = choose_precision(precision, CPU)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        size = self.model.config.diameter
        options = {"diameter": size, "precision": self.asked, "device": "cpu"}
        return segment(image, self.model, axes="YX", **options).labels


class Bare:
    """The network alone, folded and channels-last, on all of the image at once."""

    def __init__(self, precision: str, model: Model) -> None:
        self.precision = choose_precision(precision, CPU)
        network = fold_batch_norm(widened(model, model.config.width).network)
        self.network = channels_last(network, CPU, autocast_dtype(self.precision))

    def __call__(self, image: np.ndarray) -> None:
        plane = torch.from_numpy(image.astype(np.float32) / 1000)[None, None]
        plane = plane.to(autocast_dtype(self.precision), memory_format=torch.channels_last)
        with torch.inference_mode():
            self.network(plane)


class Usual:
    """Normalised, run by `infer`, and cut into the same objects as ours."""

    precision = "float32"

    def __init__(self, infer: Callable[[Model, Tensor], Tensor], model: Model) -> None:
        self.model, self.infer = model, infer

    def __call__(self, image: np.ndarray) -> np.ndarray:
        config = self.model.config
        plane = torch.from_numpy(normalize(image[None], config.percentiles))[None]
        with torch.no_grad():
            probability = self.infer(self.model, plane)[0].softmax(dim=0)
        return probability_to_labels(
            1 - probability[0].numpy(),
            threshold=config.threshold,
            min_size=config.min_size,
            split=config.split,
            score=config.score,
        )


def _whole(model: Model, plane: Tensor) -> Tensor:
    return model.network(plane)


def _windows(model: Model, plane: Tensor, **options: str) -> Tensor:
    from monai.inferers import sliding_window_inference  # for the benchmark alone

    return sliding_window_inference(plane, MONAI_WINDOW, MONAI_BATCH, model.network, **options)


PLAIN, BARE, BARE_32 = "PyTorch float32, whole", "bare network", "bare network, float32"
CONTENDERS: dict[str, Callable[[Model], Callable[[np.ndarray], np.ndarray | None]]] = {
    "ours": partial(Ours, "auto"),
    "ours, float32": partial(Ours, "float32"),
    BARE: partial(Bare, "auto"),
    BARE_32: partial(Bare, "float32"),
    PLAIN: partial(Usual, _whole),
    MONAI: partial(Usual, _windows),
    "MONAI, Gaussian blending": partial(Usual, partial(_windows, mode="gaussian")),
}

if __name__ == "__main__":
    sys.exit(main())
