"""Read a session's folder, as the dock saves it, as examples to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_unet.commands.data import NamedExample
from napari_unet.commands.inputs import Reading
from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.formats.images import read_image
from napari_unet.formats.ome_tiff import read_labels_of_shape
from napari_unet.session.identity import identify
from napari_unet.session.image import Image
from napari_unet.session.save_run import identity_of
from napari_unet.session.saved import SavedImage
from napari_unet.session.saved_folder import file_in, find_session, read_saved

__all__ = ["session_examples"]


def session_examples(
    folder: Path, reading: Reading, classes: Sequence[str] = (), slices: int = 1
) -> list[NamedExample]:
    """Read the planes of a session in which anything is checked.

    Parameters
    ----------
    folder : Path
        Of the session.
    reading : Reading
        A session knows its axes and channels; nothing else may be asked for.
    classes : sequence of str
        Of the labels that are wanted; none for objects.
    slices : int
        How many neighbouring slices the model sees at once.

    Raises
    ------
    InputError
        If an image is not there or has changed, or nothing is checked.
    """
    if reading.axes is not None or reading.channel is not None:
        raise InputError("A session knows its axes and channels; leave --axes and --channel out.")
    saved = read_saved(folder)
    chosen = [one for one in saved.images if bool(one.classes) == bool(classes)]
    other = next((one for one in chosen if one.classes != tuple(classes)), None)
    if other is not None:
        raise InputError(
            f"The classes of {other.name} are {','.join(other.classes)}; give them to --classes."
        )
    found = [example for one in chosen for example in _examples(folder, one, slices)]
    if not found:
        hint = "" if classes else "; give --classes if it has classes"
        raise InputError(f"Nothing is checked in the session {folder}{hint}.")
    return found


def _examples(chosen: Path, one: SavedImage, slices: int) -> list[NamedExample]:
    folder = find_session(chosen) or chosen
    image = _image(folder, one)
    labels = read_labels_of_shape(file_in(folder, "labels", one.file), image.shape)
    checked = read_labels_of_shape(file_in(folder, "checked", one.file), image.shape) != 0
    diameter = one.typed or one.checked or one.measured
    return [
        NamedExample(
            one.file,
            Example(
                image.read_seen(place, slices),
                labels[place],
                checked[place],
                axes="CYX",
                diameter=diameter,
            ),
        )
        for place in image.places()
        if checked[place].any()
    ]


def _image(folder: Path, one: SavedImage) -> Image:
    links = [folder / one.relative] if one.relative else []
    path = next((path for path in [*links, Path(one.absolute)] if path.is_file()), None)
    if path is None:
        raise InputError(
            f"{one.name} is not at {one.absolute} any more; open the session in the dock, which "
            "asks where it is, and save it again."
        )
    pixels = read_image(path)[0]
    if pixels.shape != one.shape:
        raise InputError(
            f"{path} has the shape {pixels.shape} and had {one.shape} in napari; save the image "
            "as a plain TIFF, and the session with it."
        )
    image = Image(one.name, pixels, one.axes, one.channels, one.pixel_size, str(path))
    if not identify(image).is_same(identity_of(one)):
        raise InputError(f"{path} has changed since the session was saved; bring it back.")
    return image
