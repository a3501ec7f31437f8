"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from napari_unet.core.errors import InputError
from napari_unet.core.loss_config import LOSSES, LossConfig
from napari_unet.core.optimisers import OPTIMISERS
from napari_unet.core.schedules import SCHEDULES

PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")

__all__ = [
    "add_budget",
    "add_device",
    "add_format",
    "add_out",
    "add_reading",
    "add_settings",
    "add_watch",
    "listed",
    "names",
    "number",
    "odd",
    "spacing",
    "whole",
]


def add_format(parser: argparse.ArgumentParser, kinds: tuple[str, ...]) -> None:
    """Let the user choose the format that is written."""
    parser.add_argument(
        "--format",
        choices=kinds,
        help="to write (by the ending of OUT, else tiff)",
    )


def add_out(parser: argparse.ArgumentParser, purpose: str) -> None:
    """Ask where to write."""
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help=purpose)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Let the user say what the axes of a file are, and which channels are used."""
    parser.add_argument("--axes", help="one letter a dimension, such as ZCYX (the file's own)")
    parser.add_argument(
        "--channel",
        metavar="N",
        help="channels to use, counted from 0, such as 0 or 0,2; or grey for their mean",
    )


def add_budget(parser: argparse.ArgumentParser, seconds: float) -> None:
    """Let the user say how long to learn."""
    parser.add_argument(
        "--seconds",
        type=number(0.001, 1e7),
        help=f"how long to learn ({seconds:.0f}, or free where --steps or --epochs is given)",
    )
    parser.add_argument("--steps", type=whole(1, 10**9), help="how many steps to learn")
    parser.add_argument("--seed", type=whole(0, 2**31), default=0, help="(%(default)s)")
    parser.set_defaults(default_seconds=seconds)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Let the user say how to learn."""
    parser.add_argument("--patch", type=whole(16, 4096), help="side of a patch in pixels")
    parser.add_argument("--batch", type=whole(1, 4096), help="patches a step")
    parser.add_argument("--learning-rate", type=number(1e-8, 1), help="highest of the run")
    parser.add_argument(
        "--optimiser",
        choices=tuple(OPTIMISERS),
        metavar="NAME",
        help="; ".join(f"{name}: {one.sentence}" for name, one in OPTIMISERS.items()) + " (adamw)",
    )
    parser.add_argument(
        "--momentum", type=number(0, 0.9999), help="of the optimiser (0.9, of sgd 0.99)"
    )
    parser.add_argument("--weight-decay", type=number(0, 1), help="(0.01)")
    parser.add_argument(
        "--clip", type=number(0, 1e6), help="largest norm of a step's gradient, 0 for any (5)"
    )
    parser.add_argument(
        "--schedule",
        choices=tuple(SCHEDULES),
        metavar="NAME",
        help="how the rate goes: "
        + "; ".join(f"{name}: {one.sentence}" for name, one in SCHEDULES.items())
        + " (cosine)",
    )
    parser.add_argument(
        "--accumulate", type=whole(1, 4096), help="so many batches make one step (1)"
    )
    parser.add_argument(
        "--recompute",
        action="store_true",
        default=None,
        help="save memory: compute blocks again on the way back, a third slower",
    )
    parser.add_argument(
        "--average", type=number(0, 0.99999), help="decay of the average of the weights"
    )
    parser.add_argument(
        "--augment",
        default="",
        metavar="SETTINGS",
        help="how patches are varied, such as noise=0.2,scale=0.8-1.2,flip=no,window=0.3",
    )
    parser.add_argument(
        "--loss",
        type=_loss,
        metavar="SUM",
        help="of the checked pixels, such as weighted-ce+0.5*dice(beta=2): "
        + "; ".join(f"{name}: {kind.sentence}" for name, kind in LOSSES.items())
        + " (weighted-ce)",
    )
    parser.add_argument(
        "--epochs",
        type=number(0.001, 1e7),
        help="how long, as --steps: in an epoch patches cover what is checked once",
    )
    parser.add_argument(
        "--freeze",
        dest="frozen",
        type=whole(0, 8),
        help="so many levels of the contracting path stay as they are (0)",
    )


def add_watch(parser: argparse.ArgumentParser) -> None:
    """Let the user say when learning ends early."""
    parser.add_argument(
        "--watch",
        metavar="PART",
        help="images whose loss decides about --patience and the schedule plateau: a fraction, "
        "names, or a file, as for --held-out (what is learnt from)",
    )
    parser.add_argument(
        "--patience", type=whole(1, 10**6), help="looks without a lower loss that end the run"
    )
    parser.add_argument(
        "--watch-every", type=whole(1, 10**6), metavar="STEPS", help="between two looks (100)"
    )


def add_device(parser: argparse.ArgumentParser, *, with_int8: bool = False) -> None:
    """Let the user say what computes; 8 bits are for segmenting alone."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (%(default)s)")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS if with_int8 else PRECISIONS[:-1],
        default="auto",
        help="(%(default)s)"
        + ("; int8 needs the extra export, and is never chosen by itself" if with_int8 else ""),
    )


def listed(sentences: Mapping[str, str]) -> str:
    """Return what each name of a list means, for the help of an option."""
    return "; ".join(f"{name}: {sentence}" for name, sentence in sentences.items()) + (
        " (%(default)s)"
    )


def names(text: str) -> tuple[str, ...]:
    """Read names that commas part."""
    return tuple(name.strip() for name in text.split(","))


def _loss(text: str) -> LossConfig:
    try:
        return LossConfig.parse(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None


def spacing(text: str) -> tuple[float, ...]:
    """Read micrometres along two or three axes."""
    read = number(1e-9, 1e9)
    steps = tuple(read(part) for part in text.split(","))
    if len(steps) not in (2, 3):
        raise argparse.ArgumentTypeError(f"{text!r} is not two or three numbers")
    return steps


def number(low: float, high: float) -> Callable[[str], float]:
    """Return what reads a number between two bounds."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low:g} to {high:g}")
        return value

    return read


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return what reads a whole number between two bounds."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low} to {high}")
        return value

    return read


def odd(low: int, high: int) -> Callable[[str], int]:
    """Return what reads an odd number between two bounds."""

    def read(text: str) -> int:
        value = whole(low, high)(text)
        if value % 2 == 0:
            raise argparse.ArgumentTypeError(f"{text} is not odd: one is in the middle")
        return value

    return read
