"""The parser of the command `napari-unet`: each command, and the options that it has."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from napari_unet.commands.label_options import (
    add_convert,
    add_evaluate,
    add_link,
    add_measure,
)
from napari_unet.commands.options import (
    add_budget,
    add_device,
    add_format,
    add_out,
    add_reading,
    add_settings,
    add_watch,
    listed,
    names,
    number,
    odd,
    spacing,
    whole,
)
from napari_unet.core.architectures import ARCHITECTURES, NORMS
from napari_unet.core.symmetries import AVERAGES

__all__ = ["WRONG_USE", "build_parser"]

WRONG_USE = 2  # what the program ends with
DEFAULT_MODEL = "nuclei-fluorescence"


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
    train.add_argument(
        "--volumes",
        action="store_true",
        help="objects reach through Z: a network of volumes learns, the 3D U-Net",
    )
    train.add_argument(
        "--spacing",
        type=spacing,
        metavar="UM",
        help="of volumes: micrometres along Z, Y and X, such as 2,0.5,0.5 (the files' own)",
    )
    _add_pretrain(
        _command(commands, "pretrain", "learn the look of images that nobody has labelled")
    )
    _add_finetune(_command(commands, "finetune", "teach a model from your own labels"))
    add_evaluate(_command(commands, "evaluate", "compare segmentations with the truth"))
    add_measure(_command(commands, "measure", "size, shape and intensity of objects as a table"))
    add_link(
        _command(commands, "link", "one number for an object through slices, or frames of a movie")
    )
    add_convert(_command(commands, "convert", "labels and annotations from one format to another"))
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
    add_budget(parser, seconds=40.0)
    parser.add_argument(
        "--sample",
        choices=("coins", "nuclei"),
        default="coins",
        help="a photograph of coins as a negative, or drawn nuclei (%(default)s)",
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="where to start (%(default)s)")
    parser.add_argument("--view", action="store_true", help="open the result in napari")
    add_device(parser)


def _add_view(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="files, or sessions, to open")


def _add_segment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", metavar="IN", nargs="+", help="files, folders or patterns")
    add_out(parser, "folder to write, or a file such as a .tif for a single image")
    parser.add_argument("--recursive", action="store_true", help="go into folders of folders")
    parser.add_argument(
        "--again", action="store_true", help="also what an earlier run has done already"
    )
    add_format(parser, ("tiff", "png", "roi", "geojson", "coco"))
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or file (%(default)s)")
    add_reading(parser)
    parser.add_argument(
        "--threshold", type=number(0, 1), help="foreground threshold, 0 to 1 (the model's)"
    )
    parser.add_argument(
        "--min-size",
        type=whole(0, 10**9),
        help="smallest object in pixels (the model's); at the border a quarter is enough",
    )
    parser.add_argument(
        "--split", type=number(0, 1), help="how eagerly touching objects are parted (the model's)"
    )
    parser.add_argument(
        "--diameter",
        type=number(1, 10_000),
        help="of your objects in pixels, to which the image is rescaled (measured in each image)",
    )
    parser.add_argument(
        "--average",
        choices=tuple(AVERAGES),
        default="none",
        help="over what: flips takes mirror images too, four times as long; rotations also quarter "
        "turns, eight times as long (%(default)s)",
    )
    parser.add_argument(
        "--flips", dest="average", action="store_const", const="flips", help="--average flips"
    )
    parser.add_argument(
        "--link",
        action="store_true",
        help="objects of neighbouring slices or frames that lie over each other get one number, as "
        "by the command link",
    )
    parser.add_argument(
        "--uncertainty",
        action="store_true",
        help="also write how far the versions that are averaged differ, as a TIFF",
    )
    add_device(parser, with_int8=True)
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="of a dask scheduler, such as tcp://host:8786, whose workers segment OME-Zarr (none)",
    )


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help="folder with images/ and labels/")
    add_out(parser, "model file to write, ending in .safetensors")
    add_budget(parser, seconds=600.0)
    add_reading(parser)
    parser.add_argument(
        "--held-out",
        metavar="PART",
        help="what is only tested on: a fraction such as 0.1, names parted by commas, or a file "
        "with a name on each line",
    )
    parser.add_argument("--start", metavar="MODEL", help="go on from this model, of the same shape")
    parser.add_argument(
        "--share",
        type=number(0.0, 1.0),
        default=1.0,
        metavar="PART",
        help="of what was learnt since --start so much is taken: a mean of the weights of both "
        "(%(default)s)",
    )
    parser.add_argument(
        "--classes",
        type=names,
        default=(),
        help="the labels are classes, not objects: their names in order, separated by commas",
    )
    _add_network(parser)
    parser.add_argument(
        "--slices",
        type=odd(1, 15),
        default=1,
        help="of a stack or a movie that are seen at once to say what is in the middle one, such "
        "as 3: 2.5D (%(default)s)",
    )
    parser.add_argument("--dropout", type=number(0, 0.95), default=0.0, help="(%(default)s)")
    add_settings(parser)
    parser.add_argument(
        "--automatic",
        action="store_true",
        help="choose depth, patch, batch and norm, where they are not said, from the size of "
        "objects and images and the memory that is free, and say why",
    )
    add_watch(parser)
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
    add_device(parser)


def _add_network(parser: argparse.ArgumentParser) -> None:
    """Let the user choose the shape of the network."""
    parser.add_argument(
        "--architecture",
        choices=tuple(ARCHITECTURES),
        default="unet",
        metavar="NAME",
        help=listed({name: one.sentence for name, one in ARCHITECTURES.items()}),
    )
    parser.add_argument(
        "--norm", choices=tuple(NORMS), default="auto", metavar="NAME", help=listed(NORMS)
    )
    parser.add_argument("--width", type=whole(1, 256), default=32, help="of level 1 (%(default)s)")
    parser.add_argument(
        "--diameter",
        type=number(0, 10_000),
        help="of the objects as the network sees them, in pixels: images are rescaled to it "
        "(their median, 12 to 40; 0 leaves images as they are)",
    )
    parser.add_argument(
        "--compress",
        type=number(0, 100),
        default=0.1,
        help="intensities above it enter as their logarithm; 0 as they are (%(default)s)",
    )
    parser.add_argument(
        "--depth", type=whole(1, 7), help="poolings (as many as in the architecture's paper)"
    )


def _add_pretrain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", metavar="IMAGE", nargs="+", help="files, folders or patterns")
    add_out(parser, "model file to write, ending in .safetensors")
    add_budget(parser, seconds=600.0)
    add_reading(parser)
    parser.add_argument("--start", metavar="MODEL", help="go on from this model")
    parser.add_argument(
        "--objects",
        type=number(1, 10_000),
        help="how wide the objects of the images are, in pixels: images are then rescaled to "
        "--diameter (as they are)",
    )
    _add_network(parser)
    parser.add_argument("--patch", type=whole(16, 4096), help="side of a patch in pixels")
    parser.add_argument("--batch", type=whole(1, 4096), help="patches a step")
    parser.add_argument("--learning-rate", type=number(1e-8, 1), help="highest of the run")
    add_device(parser)


def _add_finetune(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="name or file of the model to start from")
    parser.add_argument(
        "data",
        metavar="DATA",
        help="folder with images/, labels/ and, if you like, checked/; or a saved session",
    )
    add_out(parser, "model file to write, ending in .safetensors")
    add_budget(parser, seconds=120.0)
    add_reading(parser)
    parser.add_argument(
        "--keep",
        type=number(0, 1),
        default=0.5,
        help="0 learns freely, 1 stays close to what the model knows (%(default)s)",
    )
    parser.add_argument(
        "--classes",
        type=names,
        default=(),
        help="the labels are classes, not objects: their names in order, separated by commas",
    )
    add_settings(parser)
    add_device(parser)


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
    prune = _command(actions, "prune", "cut a model to a smaller, faster one", "models")
    prune.add_argument("model", metavar="MODEL", help="name or file")
    size = prune.add_mutually_exclusive_group(required=True)
    size.add_argument("--depth", type=whole(1, 6), help="poolings that are left of a unet++")
    size.add_argument("--width", type=whole(1, 255), help="channels of level 1 left of a unet")
    prune.add_argument(
        "--data",
        metavar="DATA",
        help="folder with images/ and labels/: channels are chosen by it, and it is said what is "
        "lost (none; needed for --width)",
    )
    add_out(prune, "model file to write, ending in .safetensors")
    add_device(prune)
    prune.set_defaults(action="prune")
    distil = _command(actions, "distill", "teach a small model what a large one says", "train")
    distil.add_argument("teacher", metavar="MODEL", help="the large one: name or file")
    _add_train(distil)
    distil.set_defaults(volumes=False, spacing=None)
    give = _command(actions, "export", "write a model for other programs", "models")
    give.add_argument("model", metavar="MODEL", help="name or file")
    add_out(give, "file to write, ending in .pt, .onnx or .zip")
    give.add_argument(
        "--format", choices=("torchscript", "onnx", "bioimageio"), required=True, help="to write"
    )
    give.add_argument("--author", action="append", help="for bioimageio; may be given again")
    give.add_argument("--licence", help="of the weights, for bioimageio, such as CC-BY-4.0")
    give.set_defaults(action="export")
    listing.set_defaults(action="list")
    show.set_defaults(action="show")
    take.set_defaults(action="import")
