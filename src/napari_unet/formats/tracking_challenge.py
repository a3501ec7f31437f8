"""The folders of the Cell Tracking Challenge: a label image a frame, and who is whose daughter.

``01_GT/SEG/man_seg000.tif``, ``01_GT/TRA/man_track000.tif`` and ``01_GT/TRA/man_track.txt`` hold
the truth, ``01_RES/mask000.tif`` and ``01_RES/res_track.txt`` a result. A line of the text is
number, first frame, last frame, and number of the mother or 0 (Ulman et al. 2017, supplement).
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.core.files import write_beside
from napari_unet.formats import images
from napari_unet.formats.annotations import Annotations, Track, check_canvas

__all__ = ["is_sequence", "names_sequence", "read_sequence", "write_sequence"]

FRAME = re.compile(r"(man_seg|man_track|mask)_?(\d+)(?:_(\d+))?\.tiff?", re.IGNORECASE)
LARGEST_FRAME = 100_000


def names_sequence(path: Path) -> bool:
    """Whether a folder of that name would be one of the challenge: 01_GT or 01_RES."""
    return path.name.upper().endswith(("_GT", "_RES"))


def is_sequence(path: Path) -> bool:
    """Whether there are frames in a folder, or in its SEG or TRA."""
    return path.is_dir() and bool(_frames(_folder(path)))


def read_sequence(path: Path, shape: tuple[int, ...] | None = None) -> Annotations:
    """Read the frames of a folder as one stack; of a folder with SEG and TRA those of SEG.

    Frames and slices that the truth leaves out are not checked.

    Parameters
    ----------
    path : Path
        01_GT, its SEG or TRA, or 01_RES.
    shape : tuple of int, optional
        Of the stack; None ends it with the last frame that is there.

    Raises
    ------
    InputError
        If there are no frames, or they do not fit together.
    """
    folder = _folder(path)
    frames = _frames(folder)
    if not frames:
        raise InputError(f"There are no frames such as man_seg000.tif or mask000.tif in {path}.")
    last = max(frame for frame, _ in frames)
    first = _frame_labels(frames[min(frames)])
    is_sliced = any(z is not None for _, z in frames)
    deep = () if not is_sliced else (1 + max(z or 0 for _, z in frames),)
    if shape is None:
        shape = (last + 1, *deep, *first.shape)
    check_canvas(shape, path.name)
    if last >= shape[0] or shape[-first.ndim :] != first.shape:
        raise InputError(
            f"{path} is of frames 0 to {last} of {first.shape}, and the image has the shape "
            f"{shape}; give the image that belongs to it."
        )
    labels = np.zeros(shape, np.int32)
    checked = np.zeros(shape, bool)
    for (frame, z), file in frames.items():
        plane = _frame_labels(file)
        at = frame if z is None else (frame, z)
        if labels[at].shape != plane.shape:
            raise InputError(f"{file.name} is of {plane.shape} and others of {first.shape}.")
        labels[at], checked[at] = plane, True
    axes = "TYX" if labels.ndim == 3 else "TZYX"
    return Annotations(labels, axes, None if checked.all() else checked, tracks=_tracks(folder))


def write_sequence(path: Path, annotations: Annotations) -> None:
    """Write frames and tracks: in a folder ending in _RES as a result, else as truth.

    The first axis is time. Equal numbers in frames that follow each other are one object; where
    an object is away for a while, it comes back as its own daughter, as the challenge has it. A
    frame of which nothing is checked has no file in SEG.

    Raises
    ------
    InputError
        If there is no axis of time, or a number is over 65535.
    """
    labels = annotations.labels
    if labels.ndim not in (3, 4):
        raise InputError("The Cell Tracking Challenge's layout needs frames over time (T).")
    if labels.max(initial=0) > 65535:
        raise InputError("The Cell Tracking Challenge's layout has numbers up to 65535.")
    digits = max(3, len(str(len(labels) - 1)))
    tracked, tracks = _linked(labels, annotations.tracks)
    lines = "".join(f"{t.number} {t.begin} {t.end} {t.parent}\n" for t in tracks)
    is_result = path.name.upper().endswith("_RES")
    axes = "ZYX"[-labels.ndim + 1 :]
    for frame, (seg, tra) in enumerate(zip(labels, tracked, strict=True)):
        number = f"{frame:0{digits}d}.tif"
        if is_result:
            images.write_labels(path / f"mask{number}", tra, axes)
            continue
        images.write_labels(path / "TRA" / f"man_track{number}", tra, axes)
        if annotations.checked is None or annotations.checked[frame].any():
            images.write_labels(path / "SEG" / f"man_seg{number}", seg, axes)
    name = path / "res_track.txt" if is_result else path / "TRA" / "man_track.txt"
    write_beside(name, lines.encode())


def _folder(path: Path) -> Path:
    return next((path / name for name in ("SEG", "TRA") if (path / name).is_dir()), path)


def _frames(folder: Path) -> dict[tuple[int, int | None], Path]:
    frames: dict[tuple[int, int | None], Path] = {}
    for file in sorted(folder.iterdir()):
        found = FRAME.fullmatch(file.name)
        if found and int(found[2]) <= LARGEST_FRAME:
            z = None if found[3] is None else int(found[3])
            frames[int(found[2]), z] = file
    return frames


def _frame_labels(file: Path) -> NDArray[Any]:
    return images.read_labels(file)[0]


def _tracks(folder: Path) -> tuple[Track, ...]:
    """Read the text beside the frames, or beside those of TRA."""
    places = [folder, folder.parent / "TRA", folder.parent]
    names = ("man_track.txt", "res_track.txt")
    file = next((p / n for p in places for n in names if (p / n).is_file()), None)
    if file is None:
        return ()
    try:
        rows = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
        return tuple(Track(*(int(part) for part in row)) for row in rows if row)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{file} is damaged; each line has four numbers: object, first and last frame, mother."
        ) from error


def _linked(labels: NDArray[Any], known: tuple[Track, ...]) -> tuple[NDArray[Any], list[Track]]:
    """Give an object that was away a new number when it comes back; return the tracks."""
    frames: dict[int, list[int]] = {}
    for frame, plane in enumerate(labels):
        for number in np.unique(plane[plane > 0]).tolist():
            frames.setdefault(number, []).append(frame)
    mothers = {track.number: track.parent for track in known}
    out, free = labels.copy(), max(frames, default=0)
    tracks = []
    for number, seen in frames.items():
        cuts = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(seen)) if b > a + 1), len(seen)]
        parent, name = mothers.get(number, 0), number
        for begin, end in pairwise(cuts):
            if begin:
                parent, name, free = name, free + 1, free + 1
                for frame in seen[begin:end]:
                    out[frame][labels[frame] == number] = name
            tracks.append(Track(name, seen[begin], seen[end - 1], parent))
    return out, sorted(tracks, key=lambda track: track.number)
