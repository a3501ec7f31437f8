"""What a journal adds up to, plane by plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.packed import pack, unpack
from napari_unet.session.image import Place
from napari_unet.session.journal_file import (
    Record,
    encode_head,
    encode_record,
    read_head,
    read_records,
)

__all__ = ["KeptPlane", "compacted", "kept_planes"]


@dataclass(frozen=True, slots=True, eq=False)
class KeptPlane:
    """A plane as a journal knows it; `last` is the last record of it."""

    place: Place
    labels: NDArray[np.int32]
    checked: NDArray[np.uint8]
    last: Record


def kept_planes(path: Path) -> Iterator[KeptPlane]:
    """Yield each plane that is in a journal as its records leave it, the one edited last at last.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    head = read_head(path)
    if head is None:
        return
    by_place: dict[Place, list[Record]] = {}
    for record in _good(path):
        by_place[record.place] = by_place.pop(record.place, [])  # the last one comes last
        by_place[record.place].append(record)
    for place, records in by_place.items():
        labels = np.zeros(head.shape[-2:], np.int32)
        checked = np.zeros(head.shape[-2:], np.uint8)
        for record in records:
            for part, plane in ((record.labels, labels), (record.checked, checked)):
                if part is not None:
                    plane[record.box] = unpack(part)
        yield KeptPlane(place, labels, checked, records[-1])


def _good(path: Path) -> Iterator[Record]:
    """Records up to the first whose pixels are damaged, though its checksum is right."""
    for _, record in read_records(path):
        try:
            for part in (record.labels, record.checked):
                if part is not None:
                    unpack(part)
        except ValueError:
            return
        yield record


def compacted(path: Path, beside: Path) -> None:
    """Write a journal with one record for each plane that adds up to the same.

    Raises
    ------
    OSError
        If that fails.
    """
    head = read_head(path)
    if head is None:
        raise OSError(f"{path} is no journal any more")
    with beside.open("wb") as file:
        file.write(encode_head(head))
        for plane in kept_planes(path):
            rows, columns = plane.labels.shape
            record = replace(
                plane.last,
                box=(slice(0, rows), slice(0, columns)),
                labels=pack(plane.labels),
                checked=pack(plane.checked),
            )
            file.write(encode_record(record))
