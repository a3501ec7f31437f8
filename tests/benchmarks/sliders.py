"""How soon labels follow a slider, against what was asked: 0.1 s for 1024 x 1024, 1 s for 4096.

A drawn scene of 1024 x 1024 pixels is segmented by the bundled network, its probabilities are
tiled to each side, and then each slider is moved a few times: from its value to labels that are
written into the array that the viewer shows, undo and index of objects included. The network does
not run again. The time is the shortest of the moves; "seen" is a move of the threshold to labels of
the 768 x 800 pixels that the camera shows, which come first. Processor time is that of all threads
together: where two cores are free, the wall clock shows down to half of it.

python tests/benchmarks/sliders.py [--sides 1024 4096] [--clock cpu] [--moves 4]

Against another version of the sources, in the same run and in turns:

python tests/benchmarks/sliders.py --against FOLDER/src
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_unet.core import drawn, load_model
from napari_unet.core.events import TileResult
from napari_unet.core.object_score import ObjectScore
from napari_unet.core.predict import predict_plane
from napari_unet.session.image import Image
from napari_unet.session.pair import ObjectSettings, Pair

ALLOWED_S = {1024: 0.1, 4096: 1.0}
SCENE = 1024
MODEL = "nuclei-fluorescence"

SEEN = np.s_[100:868, 100:900]  # by a camera on a laptop

Clock = Callable[[], float]

# How each slider moves: by little, as a hand does.
MOVES = {"threshold": 0.01, "min_size": 2, "split": 0.02}


def main() -> int:
    """Print a line for each slider and side."""
    args = _arguments()
    if args.one:
        print(json.dumps(_times(np.load(args.one), args)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "probability.npy"
        np.save(scene, _background())
        sources = [None, args.against] if args.against else [None]
        found = [_in_a_process(scene, source, args) for source in sources]
    print(f"{args.clock} time; the model's threshold, smallest object, split and score")
    for which, now in found[0].items():
        side, slider = which.split()
        line = f"{side:>5} x {side}  {slider:9} {now:7.3f} s"
        if int(side) in ALLOWED_S and slider != "seen":
            line += f"   to what was asked {now / ALLOWED_S[int(side)]:6.2f}"
        if len(found) > 1:
            line += f"   {found[1][which]:7.3f} s in {args.against}, {found[1][which] / now:5.1f}"
        print(line)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sides", type=int, nargs="+", default=list(ALLOWED_S))
    parser.add_argument("--moves", type=int, default=4, help="of each slider")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="cpu")
    parser.add_argument("--against", help="another folder of sources")
    parser.add_argument("--no-seen", action="store_true", help="for sources that lack it")
    parser.add_argument("--one", help="time with these probabilities in this process")
    return parser.parse_args()


def _background() -> NDArray[np.float32]:
    """What the network says of a drawn scene, at the size it knows."""
    image, _ = drawn.nuclei((SCENE, SCENE), seed=1)
    return predict_plane(image[None], load_model(MODEL), device="cpu")[0]


def _in_a_process(scene: Path, source: str | None, args: argparse.Namespace) -> dict[str, float]:
    words = ["--one", str(scene), "--clock", args.clock, "--moves", str(args.moves)]
    words += ["--sides", *map(str, args.sides)]
    words += ["--no-seen"] * args.no_seen
    here = dict(os.environ) if source is None else {**os.environ, "PYTHONPATH": source}
    done = subprocess.run(
        [sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True, check=True, env=here
    )
    times: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return times


def _times(scene: NDArray[np.float32], args: argparse.Namespace) -> dict[str, float]:
    clock = time.process_time if args.clock == "cpu" else time.perf_counter
    config = load_model(MODEL).config
    times = {}
    for side in args.sides:
        pair = _pair(np.tile(scene, (-(-side // SCENE),) * 2)[:side, :side])
        values = {name: getattr(config, name) for name in MOVES}
        _move(pair, ObjectSettings(**values, score=config.score))
        for slider, step in MOVES.items():
            taken = []
            for _ in range(args.moves):
                values[slider] += step
                start = clock()
                _move(pair, ObjectSettings(**values, score=config.score))
                taken.append(clock() - start)
            times[f"{side} {slider}"] = min(taken)
        if not args.no_seen:
            times[f"{side} seen"] = min(_glimpse(pair, values, config.score, clock, args.moves))
    return times


def _glimpse(
    pair: Pair, values: dict[str, float], score: ObjectScore | None, clock: Clock, moves: int
) -> list[float]:
    """How long what is seen takes, which comes first on a large plane."""
    taken = []
    for _ in range(moves):
        values["threshold"] -= MOVES["threshold"]
        start = clock()
        settings = ObjectSettings(**values, score=score)
        assert pair.accept((), pair.glimpse((), settings, SEEN))
        taken.append(clock() - start)
    return taken


def _pair(background: NDArray[np.float32]) -> Pair:
    shape: tuple[int, int] = background.shape
    image = Image("scene", np.zeros(shape, np.uint8), "YX")
    pair = Pair(image, np.zeros(shape, np.int32), np.zeros(shape, np.uint8))
    pair.begin()
    both = np.stack([background, 1 - background])
    pair.place_tile((), TileResult(0, 0, both, 0, 1))
    return pair


def _move(pair: Pair, settings: ObjectSettings) -> None:
    pair.remade_by = "objects"
    assert pair.accept((), pair.propose((), settings))
    assert pair.labels.any()


if __name__ == "__main__":
    sys.exit(main())
