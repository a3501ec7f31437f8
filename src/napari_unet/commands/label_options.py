"""The options of the commands that work on labels: compare, measure, link and convert them."""

from __future__ import annotations

import argparse

from napari_unet.commands.options import (
    add_format,
    add_out,
    add_reading,
    names,
    number,
    spacing,
    whole,
)

__all__ = ["add_convert", "add_evaluate", "add_link", "add_measure"]


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Let the user say what is compared."""
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
        type=names,
        default=(),
        help="the labels are classes, not objects: their names in order, separated by commas",
    )


def add_measure(parser: argparse.ArgumentParser) -> None:
    """Let the user say what is measured."""
    parser.add_argument("image", metavar="IMAGE", help="image file or folder")
    parser.add_argument("labels", metavar="LABELS", help="its labels, or a folder of them")
    add_out(parser, "table to write, ending in .csv or .parquet")
    add_reading(parser)
    parser.add_argument(
        "--spacing",
        type=spacing,
        metavar="UM",
        help="micrometres a pixel along Y and X, or Z, Y and X, such as 0.5,0.5 (the file's own)",
    )
    parser.add_argument("--volumes", action="store_true", help="objects reach through Z")


def add_link(parser: argparse.ArgumentParser) -> None:
    """Let the user say what makes two objects one."""
    parser.add_argument("labels", metavar="LABELS", help="of a stack or a movie")
    add_out(parser, "label file to write, or a folder ending in _RES")
    parser.add_argument(
        "--by",
        choices=("overlap", "motion"),
        default="overlap",
        help="what makes two objects one: that they lie over each other, or that they move little, "
        "which needs the extra tracking (%(default)s)",
    )
    parser.add_argument("--axes", help="of the labels, such as TYX (the file's own)")
    parser.add_argument("--along", type=str.upper, help="which axis is gone along (Z, else T)")
    parser.add_argument(
        "--gap",
        type=whole(0, 100),
        help="planes in which an object may be missed (0, by motion 1)",
    )
    parser.add_argument(
        "--least",
        type=number(0.01, 1),
        help="by overlap: share of the smaller one that must lie over the other (0.5)",
    )
    parser.add_argument(
        "--distance", type=number(0.01, 1e6), help="by motion: pixels to the next frame"
    )
    parser.add_argument("--divisions", action="store_true", help="by motion: cells may divide")
    parser.add_argument(
        "--table", metavar="TABLE", help="also where each is in each plane: .csv or .parquet"
    )
    add_format(parser, ("tiff", "ctc"))


def add_convert(parser: argparse.ArgumentParser) -> None:
    """Let the user say what becomes what."""
    parser.add_argument("input", metavar="IN", help="labels, outlines, or a folder of frames")
    add_out(parser, "file to write, or a folder ending in _GT or _RES")
    parser.add_argument("--image", help="that they are of, for formats that do not tell its size")
    parser.add_argument("--axes", help="of the labels, such as ZYX (the image's or the file's)")
    parser.add_argument(
        "--checked", metavar="MASK", help="file to write where the labels are true to"
    )
    add_format(parser, ("tiff", "png", "roi", "geojson", "coco", "ctc"))
