"""Open a TIFF file of a stranger: what it declares is bounded before anything is made of it.

tifffile makes lists of as many planes as the OME-XML of a file counts, opens the files that it
names, and unpacks a strip whatever comes out. So this is looked at first.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from xml.etree import ElementTree

import tifffile

from napari_unet.core.errors import InputError

__all__ = ["check_packed", "open_tiff"]

# Planes that the OME-XML of one file may count (chosen: a list of them takes 32 MB).
MOST_PLANES = 2**22

# How many times its size a strip can unpack to, by the compression's number. zlib's own pages say
# 1032 : 1; of LZMA 6,827 : 1 was measured, on 2^27 zeros.
REACH = {8: 1032, 32946: 1032, 34925: 10_000}
LZMA = 34925

# What a strip may unpack to before it is measured (chosen: nothing happens to the memory).
UNMEASURED = 2**28
STEP = 2**22  # bytes that are unpacked at a time while measuring

COUNTS = ("PlaneCount", "NumPlanes", "IFD")


@contextmanager
def open_tiff(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a file whose series may be looked at.

    Raises
    ------
    InputError
        If its XML has entities, names files in other folders, or counts planes without end.
    """
    with tifffile.TiffFile(path) as file:
        text = file.pages.first.description
        if "<!ENTITY" in text:  # OME-XML has none; they can unfold
            raise InputError(f"{path.name} has entities in its XML, as no microscope writes.")
        if file.is_ome:
            _check_ome(text, path.name)
        yield file


def _check_ome(text: str, name: str) -> None:
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return  # then tifffile does not go by it either
    for element in root.iter():
        values = element.attrib
        beside = values.get("FileName", "") if element.tag.endswith("UUID") else ""
        if "/" in beside or "\\" in beside or ":" in beside:  # a drive of Windows
            raise InputError(
                f"{name} takes planes from {beside[:80]!r}, which lies in another folder; put its "
                "files side by side."
            )
        planes = prod(int(values.get(f"Size{axis}", 1)) for axis in "ZCT")
        counts = [planes, *(int(values.get(key, 0)) for key in COUNTS), _steps(element)]
        if max(counts) > MOST_PLANES:
            raise InputError(
                f"{name} counts {max(counts):,.0f} planes; it is damaged, or not from a microscope."
            )


def _steps(element: ElementTree.Element) -> float:
    """Return how many steps a further axis has, as OME's ModuloAlong says it."""
    values = element.attrib
    if not element.tag[:-1].endswith("Along") or "Start" not in values:
        return 0
    return abs((float(values["End"]) - float(values["Start"])) / float(values.get("Step", 1)))


def check_packed(file: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path) -> None:
    """Refuse a series of which a strip or tile unpacks to much more than its pixels.

    Raises
    ------
    InputError
    """
    for page in series.pages:
        key = None if page is None else page.keyframe
        if page is None or key is None or key.dtype is None or key.compression not in REACH:
            continue
        most = 2 * prod(key.chunks) * key.dtype.itemsize + STEP
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            if count * REACH[key.compression] <= max(UNMEASURED, most):
                continue
            file.filehandle.seek(offset)
            if _unpacks_to_more(file.filehandle.read(count), key.compression, most):
                raise InputError(
                    f"{path.name} has a strip that unpacks to far more than its pixels; "
                    "it is damaged and not read."
                )


def _unpacks_to_more(packed: bytes, compression: int, most: int) -> bool:
    total = 0
    for size in _unlzma(packed) if compression == LZMA else _unzlib(packed):
        total += size
        if total > most:
            return True
    return False


def _unzlib(packed: bytes) -> Iterator[int]:
    """Yield the sizes of what is unpacked, piece by piece."""
    unpacker = zlib.decompressobj()
    while packed and not unpacker.eof:
        yield len(unpacker.decompress(packed, STEP))
        packed = unpacker.unconsumed_tail


def _unlzma(packed: bytes) -> Iterator[int]:
    unpacker = lzma.LZMADecompressor()
    while not unpacker.eof:
        piece = len(unpacker.decompress(packed, STEP))
        packed = b""
        yield piece
        if unpacker.needs_input:  # it ends in the middle: tifffile will say so
            return
