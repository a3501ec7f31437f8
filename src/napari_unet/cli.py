"""The command `napari-unet`: reads the options, runs the command, turns errors into sentences."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from napari_unet.core.architectures import ARCHITECTURES, NORMS
from napari_unet.core.errors import InputError, ModelFileError, NapariUnetError
from napari_unet.core.loss_config import LOSSES, LossConfig
from napari_unet.core.optimisers import OPTIMISERS
from napari_unet.core.schedules import SCHEDULES

__all__ = ["build_parser", "main"]

DONE, OUR_FAILURE, WRONG_USE, STOPPED = 0, 1, 2, 130
DEFAULT_MODEL = "nuclei-fluorescence"
WRONG_FILES = (FileNotFoundError, PermissionError, FileExistsError, IsADirectoryError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0 when done, 2 for wrong use or bad input, 1 if we failed."""
    parser = build_parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as end:  # argparse ends the program: for --help, and for wrong use
        return end.code if isinstance(end.code, int) else WRONG_USE
    try:
        command = importlib.import_module(f"napari_unet.commands.{args.module}")
        code: int = command.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _end("stopped.", STOPPED)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:  # the last resort: a sentence instead of a traceback
        if args.debug:
            traceback.print_exc()
        return _end(*_sentence(error))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(
        prog="napari-unet",
        description="Segment with a U-Net, correct by hand, teach it from a few cells.",
    )
    parser.add_argument("--version", action=_Version, help="show the version and exit")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_Parser
    )
    _add_demo(_command(commands, "demo", "the loop on a sample image, with figures and a report"))
    _add_view(_command(commands, "view", "open napari with the plugin docked"))
    _add_segment(_command(commands, "segment", "segment files or folders"))
    train = _command(commands, "train", "train a model on many images")
    train.add_argument(
        "--teacher", metavar="MODEL", help="a larger model whose answers are learnt along"
    )
    _add_train(train)
    _add_finetune(_command(commands, "finetune", "teach a model from your own labels"))
    _add_evaluate(_command(commands, "evaluate", "compare segmentations with the truth"))
    _add_measure(_command(commands, "measure", "size, shape and intensity of objects as a table"))
    _add_convert(_command(commands, "convert", "labels and annotations from one format to another"))
    _add_models(_command(commands, "models", "list, show, import and export models"))
    return parser


class _Parser(argparse.ArgumentParser):
    """Reports wrong use in one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USE, f"napari-unet: {message}; see {self.prog} --help.\n")


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: that takes a while."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version  # slow to import

        sys.stdout.write(f"napari-unet {version('napari-unet-interactive')}\n")
        parser.exit()


def _sentence(error: Exception) -> tuple[str, int]:
    """What to tell the user, and the exit code."""
    if isinstance(error, InputError | ModelFileError):
        return str(error), WRONG_USE
    if isinstance(error, NapariUnetError):
        return str(error), OUR_FAILURE
    if isinstance(error, OSError) and error.strerror:
        where = f" {error.filename}" if error.filename else ""
        is_theirs = isinstance(error, WRONG_FILES)
        return f"The file{where} cannot be used: {error.strerror}.", (
            WRONG_USE if is_theirs else OUR_FAILURE
        )
    if isinstance(error, MemoryError):
        return "There is not enough memory; give smaller images.", OUR_FAILURE
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return f"Something went wrong that should not ({said}); run it with --debug.", OUR_FAILURE


def _end(sentence: str, code: int) -> int:
    sys.stderr.write(f"napari-unet: {sentence}\n")
    return code


_Commands = argparse._SubParsersAction  # has no public name


def _command(
    commands: _Commands[_Parser], name: str, purpose: str, module: str = ""
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=purpose, description=f"{purpose.capitalize()}.")
    parser.set_defaults(module=module or name)
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    return parser


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="DIR", default="napari-unet-demo", help="folder to write (%(default)s)"
    )
    _add_budget(parser, seconds=40.0)
    parser.add_argument(
        "--sample",
        choices=("coins", "nuclei"),
        default="coins",
        help="a photograph of coins as a negative, or drawn nuclei (%(default)s)",
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="where to start (%(default)s)")
    parser.add_argument("--view", action="store_true", help="open the result in napari")
    _add_device(parser)


def _add_view(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="files, or sessions, to open")


def _add_segment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", metavar="IN", nargs="+", help="files, folders or patterns")
    _add_out(parser, "folder to write, or a file such as a .tif for a single image")
    parser.add_argument("--recursive", action="store_true", help="go into folders of folders")
    parser.add_argument(
        "--again", action="store_true", help="also what an earlier run has done already"
    )
    _add_format(parser, ("tiff", "png", "roi", "geojson", "coco"))
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or file (%(default)s)")
    _add_reading(parser)
    parser.add_argument(
        "--threshold", type=_number(0, 1), help="foreground threshold, 0 to 1 (the model's)"
    )
    parser.add_argument(
        "--min-size", type=_whole(0, 10**9), help="smallest object in pixels (the model's)"
    )
    parser.add_argument(
        "--split", type=_number(0, 1), help="how eagerly touching objects are parted (the model's)"
    )
    parser.add_argument(
        "--diameter",
        type=_number(1, 10_000),
        help="of your objects in pixels, to which the image is rescaled (measured in each image)",
    )
    parser.add_argument(
        "--flips",
        action="store_true",
        help="average over mirror images: a little better, four times as long",
    )
    _add_device(parser)


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help="folder with images/ and labels/")
    _add_out(parser, "model file to write, ending in .safetensors")
    _add_budget(parser, seconds=600.0)
    _add_reading(parser)
    parser.add_argument(
        "--held-out",
        metavar="PART",
        help="what is only tested on: a fraction such as 0.1, names parted by commas, or a file "
        "with a name on each line",
    )
    parser.add_argument("--start", metavar="MODEL", help="go on from this model, of the same shape")
    parser.add_argument(
        "--classes",
        type=_names,
        default=(),
        help="the labels are classes, not objects: their names in order, separated by commas",
    )
    parser.add_argument(
        "--architecture",
        choices=tuple(ARCHITECTURES),
        default="unet",
        metavar="NAME",
        help=_listed({name: one.sentence for name, one in ARCHITECTURES.items()}),
    )
    parser.add_argument(
        "--norm", choices=tuple(NORMS), default="auto", metavar="NAME", help=_listed(NORMS)
    )
    parser.add_argument("--width", type=_whole(1, 256), default=32, help="of level 1 (%(default)s)")
    parser.add_argument(
        "--diameter",
        type=_number(0, 10_000),
        help="of the objects as the network sees them, in pixels: images are rescaled to it "
        "(their median, 12 to 40; 0 leaves images as they are)",
    )
    parser.add_argument(
        "--compress",
        type=_number(0, 100),
        default=0.1,
        help="intensities above it enter as their logarithm; 0 as they are (%(default)s)",
    )
    parser.add_argument(
        "--depth", type=_whole(1, 7), help="poolings (as many as in the architecture's paper)"
    )
    parser.add_argument("--dropout", type=_number(0, 0.95), default=0.0, help="(%(default)s)")
    _add_settings(parser)
    _add_watch(parser)
    parser.add_argument(
        "--resume", action="store_true", help="go on with the same run if it was stopped"
    )
    for name, purpose in (
        ("title", "what lists show"),
        ("purpose", "what it is for"),
        ("source", "which data it learnt from"),
        ("licence", "of the data"),
        ("failures", "where it is known to fail"),
    ):
        parser.add_argument(f"--{name}", default="", help=f"for the model's card: {purpose}")
    _add_device(parser)


def _add_finetune(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="name or file of the model to start from")
    parser.add_argument(
        "data",
        metavar="DATA",
        help="folder with images/, labels/ and, if you like, checked/; or a saved session",
    )
    _add_out(parser, "model file to write, ending in .safetensors")
    _add_budget(parser, seconds=120.0)
    _add_reading(parser)
    parser.add_argument(
        "--keep",
        type=_number(0, 1),
        default=0.5,
        help="0 learns freely, 1 stays close to what the model knows (%(default)s)",
    )
    parser.add_argument(
        "--classes",
        type=_names,
        default=(),
        help="the labels are classes, not objects: their names in order, separated by commas",
    )
    _add_settings(parser)
    _add_device(parser)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("truth", metavar="TRUTH", help="label file or folder")
    parser.add_argument("prediction", metavar="PRED", help="label file or folder")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--objects",
        metavar="TABLE",
        help="also write what became of each object: hit, missed, false, split or merged; ends in "
        ".csv or .parquet",
    )
    parser.add_argument("--volumes", action="store_true", help="objects reach through Z")
    parser.add_argument(
        "--classes",
        type=_names,
        default=(),
        help="the labels are classes, not objects: their names in order, separated by commas",
    )


def _add_measure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="image file or folder")
    parser.add_argument("labels", metavar="LABELS", help="its labels, or a folder of them")
    _add_out(parser, "table to write, ending in .csv or .parquet")
    _add_reading(parser)
    parser.add_argument(
        "--spacing",
        type=_spacing,
        metavar="UM",
        help="micrometres a pixel along Y and X, or Z, Y and X, such as 0.5,0.5 (the file's own)",
    )
    parser.add_argument("--volumes", action="store_true", help="objects reach through Z")


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN", help="labels, outlines, or a folder of frames")
    _add_out(parser, "file to write, or a folder ending in _GT or _RES")
    parser.add_argument("--image", help="that they are of, for formats that do not tell its size")
    parser.add_argument("--axes", help="of the labels, such as ZYX (the image's or the file's)")
    parser.add_argument(
        "--checked", metavar="MASK", help="file to write where the labels are true to"
    )
    _add_format(parser, ("tiff", "png", "roi", "geojson", "coco", "ctc"))


def _add_format(parser: argparse.ArgumentParser, kinds: tuple[str, ...]) -> None:
    parser.add_argument(
        "--format",
        choices=kinds,
        help="to write (by the ending of OUT, else tiff)",
    )


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(action="list", json=False)
    actions = parser.add_subparsers(metavar="ACTION", parser_class=_Parser)
    listing = _command(actions, "list", "list the models there are", "models")
    show = _command(actions, "show", "show what is known of a model", "models")
    show.add_argument("model", metavar="MODEL", help="name or file")
    for action in (listing, show):
        action.add_argument("--json", action="store_true", help="print JSON")
    take = _command(actions, "import", "copy a model file to your own models", "models")
    take.add_argument("file", metavar="FILE", help="a .safetensors file, or a .zip of BioImage.IO")
    take.add_argument("--name", help="what to call it (the file's name)")
    take.add_argument("--force", action="store_true", help="replace one of that name")
    prune = _command(actions, "prune", "cut a unet++ to a shallower, faster one", "models")
    prune.add_argument("model", metavar="MODEL", help="name or file")
    prune.add_argument("--depth", type=_whole(1, 6), required=True, help="poolings that are left")
    _add_out(prune, "model file to write, ending in .safetensors")
    prune.set_defaults(action="prune")
    distil = _command(actions, "distill", "teach a small model what a large one says", "train")
    distil.add_argument("teacher", metavar="MODEL", help="the large one: name or file")
    _add_train(distil)
    give = _command(actions, "export", "write a model for other programs", "models")
    give.add_argument("model", metavar="MODEL", help="name or file")
    _add_out(give, "file to write, ending in .pt, .onnx or .zip")
    give.add_argument(
        "--format", choices=("torchscript", "onnx", "bioimageio"), required=True, help="to write"
    )
    give.add_argument("--author", action="append", help="for bioimageio; may be given again")
    give.add_argument("--licence", help="of the weights, for bioimageio, such as CC-BY-4.0")
    give.set_defaults(action="export")
    listing.set_defaults(action="list")
    show.set_defaults(action="show")
    take.set_defaults(action="import")


def _add_out(parser: argparse.ArgumentParser, purpose: str) -> None:
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help=purpose)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--axes", help="one letter a dimension, such as ZCYX (the file's own)")
    parser.add_argument(
        "--channel",
        metavar="N",
        help="channels to use, counted from 0, such as 0 or 0,2; or grey for their mean",
    )


def _add_budget(parser: argparse.ArgumentParser, seconds: float) -> None:
    parser.add_argument(
        "--seconds",
        type=_number(0.001, 1e7),
        help=f"how long to learn ({seconds:.0f}, or free where --steps or --epochs is given)",
    )
    parser.add_argument("--steps", type=_whole(1, 10**9), help="how many steps to learn")
    parser.add_argument("--seed", type=_whole(0, 2**31), default=0, help="(%(default)s)")
    parser.set_defaults(default_seconds=seconds)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--patch", type=_whole(16, 4096), help="side of a patch in pixels")
    parser.add_argument("--batch", type=_whole(1, 4096), help="patches a step")
    parser.add_argument("--learning-rate", type=_number(1e-8, 1), help="highest of the run")
    parser.add_argument(
        "--optimiser",
        choices=tuple(OPTIMISERS),
        metavar="NAME",
        help="; ".join(f"{name}: {one.sentence}" for name, one in OPTIMISERS.items()) + " (adamw)",
    )
    parser.add_argument(
        "--momentum", type=_number(0, 0.9999), help="of the optimiser (0.9, of sgd 0.99)"
    )
    parser.add_argument("--weight-decay", type=_number(0, 1), help="(0.01)")
    parser.add_argument(
        "--clip", type=_number(0, 1e6), help="largest norm of a step's gradient, 0 for any (5)"
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
        "--accumulate", type=_whole(1, 4096), help="so many batches make one step (1)"
    )
    parser.add_argument(
        "--recompute",
        action="store_true",
        default=None,
        help="save memory: compute blocks again on the way back, a third slower",
    )
    parser.add_argument(
        "--average", type=_number(0, 0.99999), help="decay of the average of the weights"
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
        type=_number(0.001, 1e7),
        help="how long, as --steps: in an epoch patches cover what is checked once",
    )
    parser.add_argument(
        "--freeze",
        dest="frozen",
        type=_whole(0, 8),
        help="so many levels of the contracting path stay as they are (0)",
    )


def _add_watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--watch",
        metavar="PART",
        help="images whose loss decides about --patience and the schedule plateau: a fraction, "
        "names, or a file, as for --held-out (what is learnt from)",
    )
    parser.add_argument(
        "--patience", type=_whole(1, 10**6), help="looks without a lower loss that end the run"
    )
    parser.add_argument(
        "--watch-every", type=_whole(1, 10**6), metavar="STEPS", help="between two looks (100)"
    )


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (%(default)s)")
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16", "float16"),
        default="auto",
        help="(%(default)s)",
    )


def _listed(sentences: Mapping[str, str]) -> str:
    """What each name of a list means, for the help of an option."""
    return "; ".join(f"{name}: {sentence}" for name, sentence in sentences.items()) + (
        " (%(default)s)"
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _loss(text: str) -> LossConfig:
    try:
        return LossConfig.parse(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None


def _spacing(text: str) -> tuple[float, ...]:
    read = _number(1e-9, 1e9)
    steps = tuple(read(part) for part in text.split(","))
    if len(steps) not in (2, 3):
        raise argparse.ArgumentTypeError(f"{text!r} is not two or three numbers")
    return steps


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low:g} to {high:g}")
        return value

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low} to {high}")
        return value

    return read


if __name__ == "__main__":
    sys.exit(main())
