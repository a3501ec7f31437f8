"""INT8 by ONNX Runtime against ours: how fast on one tile, and what the objects lose.

The bundled network in 8 bits, as `--precision int8` runs it, and in float32 by ONNX Runtime,
against ours in float32 and in what `auto` chooses: on the same tile, in turns, in one process. AP
is of held-out images at the true diameter of their objects, each padded and seen as one tile.

pip install --group dev
python tests/benchmarks/int8.py [DATA_DIR] [--images 12] [--side 512] [--threads 1] [--clock cpu]
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from pictures import DATA, Picture, chosen, pictures, set_of
from tally import heading, pooled, tally_of

from napari_unet.core import Model, drawn, load_model
from napari_unet.core.export import to_onnx
from napari_unet.core.inference import ready_network
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.models.network import Box
from napari_unet.core.normalize import apply_range
from napari_unet.core.rescale import to_model_size, usual_min_size

MODEL = "nuclei-fluorescence"
BASE = "ours, float32"

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def main() -> int:
    """Print a line for each way to run the network."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    model = load_model(MODEL)
    with tempfile.TemporaryDirectory() as folder:
        networks = _networks(model, Path(folder), args)
        seconds = _in_turns(networks, args)
        print(f"{MODEL}, {args.side} x {args.side}, {args.threads} threads, {args.clock} time")
        for name, value in seconds.items():
            rate = args.side**2 / value / 1e6
            against = "  ".join(f"{seconds[other] / value:6.2f}" for other in list(seconds)[:2])
            print(f"{name:24} {rate:7.3f} Mpx/s   to ours float32, auto: {against}")
        _print_scores(networks, model, args)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, default=DATA, help="folder of sets")
    parser.add_argument("--images", type=int, default=12, help="of those held out")
    parser.add_argument("--side", type=int, default=512, help="of the tile that is timed")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="the shortest of so many counts")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="cpu")
    return parser.parse_args()


def _networks(model: Model, folder: Path, args: argparse.Namespace) -> dict[str, Network]:
    plain = folder / "plain.onnx"
    plain.write_bytes(to_onnx(model))
    return {
        BASE: _ours(model, "float32"),
        "ours, auto": _ours(model, "auto"),
        "ONNX Runtime, float32": _onnx(plain, args.threads),
        "ours, int8": _ours(model, "int8"),
    }


def _ours(model: Model, precision: str) -> Network:
    network = ready_network(model, "cpu", precision)
    border = 2 * 2**model.config.depth  # as the export adds it itself

    def run(image_cyx: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width = image_cyx.shape[1:]
        wide = np.pad(image_cyx, ((0, 0), (border, border), (border, border)), "reflect")
        return network(wide, Box(border, border, border + height, border + width))

    return run


def _onnx(path: Path, threads: int) -> Network:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(image_cyx: NDArray[np.float32]) -> NDArray[np.float32]:
        return session.run(None, {"input": image_cyx[None]})[0][0]

    return run


def _scene(model: Model, side: int, seed: int) -> NDArray[np.float32]:
    image = drawn.varied_nuclei((side, side), seed)[0][None]
    return apply_range(image, model.config.range_of(image))


def _in_turns(networks: dict[str, Network], args: argparse.Namespace) -> dict[str, float]:
    clock = time.process_time if args.clock == "cpu" else time.perf_counter
    image = _scene(load_model(MODEL), args.side, 100)
    seconds = dict.fromkeys(networks, float("inf"))
    for _ in range(args.rounds):
        for name, network in networks.items():
            start = clock()
            network(image)
            seconds[name] = min(seconds[name], clock() - start)
    return seconds


def _print_scores(networks: dict[str, Network], model: Model, args: argparse.Namespace) -> None:
    folder = set_of(model.card, args.data)
    names = chosen(folder, "held-out", model.card)[: args.images]
    if not names:
        print(f"There are no such images in {folder}; the objects are not compared.")
        return
    tallies: dict[str, list] = {name: [] for name in networks}
    for picture in pictures(folder, names):
        for name, network in networks.items():
            tallies[name].append(tally_of(picture.truth, _labels(network, model, picture)))
    print(f"{'':24} {heading()}  of {len(names)} held-out images")
    means = {name: pooled(some) for name, some in tallies.items()}
    for name, tally in means.items():
        lost = means[BASE].mean_precision - tally.mean_precision
        print(f"{name:24} {tally}  mean AP lost {lost:.4f}")


def _labels(network: Network, model: Model, picture: Picture) -> NDArray[np.int32]:
    config = model.config
    diameter = picture.diameter or config.diameter
    scaled, ranges = to_model_size(picture.image[None], config, diameter, None)
    image = apply_range(scaled, config.range_of(scaled) if ranges is None else ranges)
    height, width = image.shape[1:]
    grid = 2**config.depth
    room = (0, 0), (0, -height % grid), (0, -width % grid)
    probability = network(np.pad(image, room, "reflect"))[:, :height, :width]
    return probability_to_labels(
        1 - probability[0],
        threshold=config.threshold,
        min_size=usual_min_size(config, diameter),
        split=config.split,
        shape=picture.truth.shape,
        score=config.score,
    )


if __name__ == "__main__":
    sys.exit(main())
