"""Save a session: what is open as it was at one moment, written by a second thread."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any  # labels may be any integer dtype

import numpy as np
import tifffile
from numpy.typing import NDArray

import napari_unet
from napari_unet.core.errors import InputError
from napari_unet.formats.ome_tiff import write_mask, write_ome_labels
from napari_unet.session.identity import ImageIdentity, identify
from napari_unet.session.image import Image
from napari_unet.session.object_size import ObjectSize, SizeKey
from napari_unet.session.saved import Saved, SavedImage, SavedSettings
from napari_unet.session.saved_folder import Write, file_in, find_session, read_saved, write_saved
from napari_unet.session.saved_models import ModelsToSave
from napari_unet.session.versions import slug

__all__ = ["Snapshot", "identity_of", "link_of", "save_session"]

# A name that Windows gives to a device, whatever the ending.
DEVICES = {"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(10))}


@dataclass(frozen=True, eq=False)
class Snapshot:
    """An image with its labels as they are at one moment: arrays are copies.

    Attributes
    ----------
    image : Image
    labels : ndarray of int
    checked : ndarray of uint8
    sizes : dict
        See `sizes_of`.
    made_by : str
        The model that it was segmented with last.
    classes, colours : tuple of str
        See `SavedImage`.
    """

    image: Image
    labels: NDArray[Any]
    checked: NDArray[np.uint8]
    sizes: dict[str, float | None]
    made_by: str = ""
    classes: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()

    @staticmethod
    def sizes_of(
        size: ObjectSize, key: SizeKey | None, used: float | None
    ) -> dict[str, float | None]:
        """Return what a `SavedImage` says of the size of objects."""
        measured = None if key is None else size.measured_at(key)
        checked = None if key is None else size.from_checked(key)
        typed = size.typed
        return {"typed": typed, "measured": measured, "checked": checked, "used_diameter": used}


def save_session(
    folder: Path,
    snapshots: Sequence[Snapshot],
    settings: SavedSettings,
    models: ModelsToSave,
) -> str:
    """Write a session; reads images, so it is for a second thread.

    Images that an earlier save has put there and that are not among these stay there.

    Returns
    -------
    str
        What is told to the user.

    Raises
    ------
    InputError
        If it cannot be written; what was there is whole then.
    """
    before = read_saved(folder).images if find_session(folder) else ()
    found = [(one, identify(one.image)) for one in snapshots]
    stay = [one for one in before if not any(_is_of(one, *this) for this in found)]
    images, files = list(stay), models.new_in(folder)
    for snapshot, identity in found:
        old = next((one for one in before if _is_of(one, snapshot, identity)), None)
        name = old.file if old is not None else _free_name(folder, identity.name, images)
        entry = _entry(folder, name, snapshot, identity)
        files |= _files(folder, entry, snapshot)
        images.append(entry)
    saved = Saved(
        tuple(images),
        settings,
        models.versions,
        models.current,
        models.is_bundled,
        napari_unet.__version__,
    )
    warning = write_saved(folder, saved, files)
    count, versions = _count(len(snapshots), "image"), _count(len(models.versions), "version")
    others = f" {_count(len(stay), 'other image')} saved before stayed there." if stay else ""
    return f"Saved {count} and {versions} to {folder}.{others} {warning}".rstrip()


def identity_of(one: SavedImage) -> ImageIdentity:
    """Return what a saved image is known by."""
    return ImageIdentity(one.name, one.absolute, one.shape, one.dtype, one.checksum)


def link_of(folder: Path, path: str) -> tuple[str, str]:
    """Return the ways to an image from the session's folder, if there is one, and from the root."""
    absolute = Path(path).absolute()
    try:
        return Path(os.path.relpath(absolute, folder.absolute())).as_posix(), str(absolute)
    except ValueError:  # on another drive of Windows
        return "", str(absolute)


def _is_of(one: SavedImage, snapshot: Snapshot, identity: ImageIdentity) -> bool:
    """Whether a saved image is this one, with labels of the same kind."""
    return identity_of(one).is_same(identity) and bool(one.classes) == bool(snapshot.classes)


def _free_name(folder: Path, name: str, taken: Iterable[SavedImage]) -> str:
    """Name the files of an image by its name; none that is there is overwritten."""
    plain = slug(Path(name).stem)[:40].strip("-") or "image"
    plain = f"{plain}-image" if plain in DEVICES else plain
    used = {one.file for one in taken}
    number, free = 1, plain
    while free in used or any(
        file_in(folder, part, free).exists() for part in ("labels", "checked", "images")
    ):
        number += 1
        free = f"{plain}-{number}"
    return free


def _entry(folder: Path, name: str, snapshot: Snapshot, identity: ImageIdentity) -> SavedImage:
    image = snapshot.image
    own = folder / "images" / f"{name}.tif"
    path = Path(image.path) if image.path else own
    relative, absolute = link_of(folder, str(path))
    return SavedImage(
        file=name,
        name=image.name[:200],
        relative=relative,
        absolute=absolute,
        size=path.stat().st_size if path.is_file() and path != own else 0,
        shape=identity.shape,
        dtype=identity.dtype,
        checksum=identity.checksum,
        axes=image.axes,
        channels=image.channels,
        pixel_size=image.pixel_size,
        **snapshot.sizes,
        made_by=Path(snapshot.made_by).stem,
        classes=snapshot.classes,
        colours=snapshot.colours,
    )


def _files(folder: Path, entry: SavedImage, snapshot: Snapshot) -> dict[tuple[str, str], Write]:
    image = snapshot.image
    files: dict[tuple[str, str], Write] = {
        ("labels", entry.file): partial(
            write_ome_labels,
            labels=snapshot.labels,
            name=image.name,
            pixel_size=image.pixel_size,
        ),
        ("checked", entry.file): partial(write_mask, mask=snapshot.checked),
    }
    if not image.path and not file_in(folder, "images", entry.file).exists():
        files["images", entry.file] = partial(_write_image, image=image)
    return files


def _write_image(path: Path, image: Image) -> None:
    """Write an image that came from no file, as napari reads it again."""
    try:
        pixels = np.asarray(image.data)
    except Exception as error:  # a lazy array may fail with anything
        raise InputError(f"{image.name} could not be read; save it to a file first.") from error
    if pixels.dtype == bool:  # which TIFF files do not tell from numbers
        raise InputError(f"{image.name} came from no file and is of yes and no; save it to one.")
    is_rgb = image.axes.endswith("YXC")
    tifffile.imwrite(
        path,
        pixels,
        compression="zlib",
        photometric="rgb" if is_rgb else "minisblack",
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
