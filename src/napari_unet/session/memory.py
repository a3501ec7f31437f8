"""Corrections of earlier rounds and days, kept on disk to be learnt along with the new ones.

The folder of a model holds ``images/``, ``labels/`` and ``checked/`` with files of equal names,
as `napari-unet finetune` reads them.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.core.library import user_models_dir
from napari_unet.formats.images import read_image, read_labels, write_image, write_labels
from napari_unet.session.versions import slug

__all__ = ["Memory", "Remembered", "memory_dir"]

log = logging.getLogger(__name__)

# Larger planes are cut to what is checked and this many pixels around it (chosen).
LARGE = 2**24
AROUND = 512

PARTS = ("images", "labels", "checked")


@dataclass(frozen=True, eq=False)
class Remembered:
    """What is to be remembered: the name of an image, and what is checked in one of its planes."""

    name: str
    example: Example


def memory_dir(model: str) -> Path:
    """Return the folder for what is taught to a model, by the model's name."""
    return user_models_dir().parent / "training" / (slug(model) or "model")


class Memory:
    """Reads and writes one folder; all but `count` and `forget` is for a second thread.

    Parameters
    ----------
    folder : Path
        It may not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[tuple[Path, int], Example] = {}

    @property
    def count(self) -> int:
        """How many planes are remembered."""
        return len(self._files())

    def keep(self, corrections: Sequence[Remembered]) -> set[str]:
        """Write what is checked, in the place of what was remembered of the same planes.

        Returns
        -------
        set of str
            Their names on disk, for `recall`.

        Raises
        ------
        InputError
            If the folder cannot be written.
        """
        names = set()
        for one in corrections:
            name = name_of(one)
            example = _cut(one.example)
            image = example.image_cyx
            plane, axes = (image[0], "YX") if len(image) == 1 else (image, "CYX")
            write_image(self._file("images", name), plane, axes)
            write_labels(self._file("labels", name), example.labels, "YX")
            write_image(self._file("checked", name), example.mask, "YX")  # last: now it is whole
            names.add(name)
        return names

    def marked(self, one: Remembered) -> Example:
        """Return an example in which is marked what is not yet remembered so: it is recent.

        Of a plane that is so large that a part of it is remembered, nothing is marked.
        """
        example, file = one.example, self._file("checked", name_of(one))
        if not file.is_file():
            return replace(example, recent=example.mask)
        try:
            known = self._example(file)
        except (InputError, OSError) as error:
            log.warning("%s cannot be compared: %s", file, error)
            return example
        if known.labels.shape != example.labels.shape:
            return example
        recent = example.mask & (~known.mask | (known.labels != example.labels))
        return replace(example, recent=recent)

    def recall(self, channels: int, without: set[str]) -> list[Example]:
        """Return what is remembered of other planes; what cannot be read is left out."""
        found = []
        for file in self._files():
            if file.stem in without:
                continue
            try:
                example = self._example(file)
            except (InputError, OSError) as error:
                log.warning("%s is left out: %s", file, error)
                continue
            if len(example.image_cyx) == channels:
                found.append(example)
        return found

    def forget(self) -> None:
        """Remove all of it.

        Raises
        ------
        InputError
            If it cannot be removed.
        """
        try:
            if self.folder.is_dir():
                shutil.rmtree(self.folder)
        except OSError as error:
            raise InputError(
                f"{self.folder} could not be removed: {error.strerror or error}."
            ) from error
        self._read.clear()

    def _files(self) -> list[Path]:
        """The checked areas, which are written last."""
        return sorted((self.folder / "checked").glob("*.tif"))

    def _file(self, part: str, name: str) -> Path:
        return self.folder / part / f"{name}.tif"

    def _example(self, file: Path) -> Example:
        key = file, file.stat().st_mtime_ns
        if key not in self._read:
            for old in [old for old in self._read if old[0] == file]:
                del self._read[old]
            image, axes = read_image(self._file("images", file.stem))
            labels = read_labels(self._file("labels", file.stem))[0].astype(np.int32)
            checked = read_labels(file)[0] != 0
            self._read[key] = Example(image, labels, checked, axes=axes, replayed=True)
        return self._read[key]


def name_of(one: Remembered) -> str:
    """Name a plane by its image's name and what is in it, whatever the image is called."""
    image = np.ascontiguousarray(one.example.image_cyx)
    digest = hashlib.blake2b(image.tobytes() + str(image.shape).encode(), digest_size=6)
    return f"{slug(one.name)[:40] or 'image'}-{digest.hexdigest()}"


def _cut(example: Example) -> Example:
    """Leave out what is far from all that is checked, where a plane is large."""
    mask = example.mask
    if mask.size <= LARGE:
        return example
    box = []
    for axis in (1, 0):
        there = np.flatnonzero(mask.any(axis=axis))
        box.append(slice(max(0, int(there[0]) - AROUND), int(there[-1]) + 1 + AROUND))
    rows, columns = box
    part = (rows, columns)
    image = example.image_cyx[(slice(None), *part)]
    return replace(
        example, image=image, axes="CYX", labels=example.labels[part], checked=mask[part]
    )
