"""A session's folder on disk: what is written becomes true at one moment, all of it or nothing.

```
FOLDER/session.json             what there is, see `saved`
FOLDER/labels/NAME.ome.tif      FOLDER/checked/NAME.tif
FOLDER/images/NAME.tif          of an image that came from no file
FOLDER/models/NAME.safetensors  versions of the model; bundled models are known by name
```

A save writes all new files into ``.saving`` in the folder and renames that to ``.saved``: from
this moment on the new session counts. Then each file is moved to its place.
Whoever reads looks into ``.saved`` first, so that a crash at any moment leaves one whole session,
the older or the newer. The folder itself is never replaced: there may be images in it, and Windows
renames no folder in which a file is open. There a file that is open in another program stays in
``.saved`` until the next save; it is read from there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from napari_unet.core.errors import InputError
from napari_unet.formats.json_file import read_json
from napari_unet.session.locks import lock, unlock
from napari_unet.session.saved import MOST_BYTES, Saved

__all__ = ["SESSION", "Write", "file_in", "find_session", "folder_for", "read_saved", "write_saved"]

SESSION = "session.json"
SUBFOLDER = "napari-unet session"
SAVING, SAVED = ".saving", ".saved"
ENDINGS = {
    "labels": ".ome.tif",
    "checked": ".tif",
    "images": ".tif",
    "models": ".safetensors",
}

Write = Callable[[Path], None]
"""Writes one file."""


def find_session(folder: Path) -> Path | None:
    """Return the session's folder: this one, or the one that a save has made in it."""
    for one in (folder, folder / SUBFOLDER):
        if (one / SESSION).is_file() or (one / SAVED / SESSION).is_file():
            return one
    return None


def folder_for(chosen: Path) -> Path:
    """Return where to save when the user has chosen a folder: nothing else is mixed with.

    A folder that holds other things gets a folder for the session.
    """
    found = find_session(chosen)
    if found is not None:
        return found
    try:
        is_empty = not chosen.exists() or all(
            path.name.startswith(".") for path in chosen.iterdir()
        )  # file managers leave hidden files
    except OSError as error:
        raise InputError(f"{chosen} cannot be used: {error.strerror or error}.") from error
    return chosen if is_empty else chosen / SUBFOLDER


def file_in(folder: Path, part: str, name: str) -> Path:
    """Return a file of a session, where it is now.

    Raises
    ------
    InputError
        If a link leads out of the folder.
    """
    inside = Path(part) / f"{name}{ENDINGS[part]}"
    path = folder / SAVED / inside
    if not path.exists():
        path = folder / inside
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{inside} leads out of {folder}; this is no session of ours.")
    return path


def read_saved(folder: Path) -> Saved:
    """Return what a session folder says.

    Raises
    ------
    InputError
        If there is none, or it is damaged, newer, or not ours.
    """
    found = find_session(folder)
    if found is None:
        raise InputError(
            f"There is no session in {folder}; choose a folder with a file {SESSION} in it."
        )
    path = found / SAVED / SESSION
    path = path if path.is_file() else found / SESSION
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError("it is larger than any session")
        return Saved.from_json(read_json(path))
    except (InputError, OSError, RecursionError) as error:
        said = str(error).rstrip(".")
        raise InputError(f"The session {path} cannot be opened: {said}.") from error


def write_saved(folder: Path, saved: Saved, files: Mapping[tuple[str, str], Write]) -> str:
    """Write a session; what was there before stays whole until all of this one is on disk.

    Parameters
    ----------
    folder : Path
        Made if need be.
    saved : Saved
    files : mapping from part and name to callable
        What is new; the session may also name files that are in the folder already.

    Returns
    -------
    str
        A sentence for the user if something has still to be done, mostly empty.

    Raises
    ------
    InputError
        If it cannot be written, or another window is saving there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not lock(folder / SESSION):
            raise InputError(f"Another window is saving in {folder}; wait until it has finished.")
        try:
            return _write_locked(folder, saved, files)
        finally:
            unlock(folder / SESSION)
    except OSError as error:
        raise InputError(
            f"The session could not be saved in {folder}: {error.strerror or error}; "
            "what was saved there before is whole. Make room there, or choose another folder."
        ) from error


def _write_locked(folder: Path, saved: Saved, files: Mapping[tuple[str, str], Write]) -> str:
    finish_move(folder)
    saving = folder / SAVING
    _remove(saving)
    try:
        for (part, name), write in files.items():
            path = saving / part / f"{name}{ENDINGS[part]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path)
            _sync(path)
        (saving / SESSION).write_text(
            json.dumps(saved.to_json(), indent=1, ensure_ascii=False, allow_nan=False),
            encoding="utf-8",
        )
        _sync(saving / SESSION)
        saving.replace(folder / SAVED)
    except BaseException:
        _remove(saving)
        raise
    try:
        finish_move(folder)
    except OSError as error:
        return (
            f"All is saved, but {error.filename or folder} is in use ({error.strerror}): close it "
            "in other programs and save again."
        )
    return ""


def finish_move(folder: Path) -> None:
    """Move what a save has left in ``.saved`` to its place.

    Raises
    ------
    OSError
        If a file cannot be moved; the session is whole all the same.
    """
    ready = folder / SAVED
    if not ready.is_dir():
        return
    if ready.is_symlink():
        raise OSError(0, "it is a link, which no save makes", str(ready))
    for path in [path for path in sorted(ready.rglob("*")) if path.is_file()]:
        target = folder / path.relative_to(ready)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(folder.resolve()):
            raise OSError(0, "it leads out of the session's folder", str(target.parent))
        path.replace(target)
    _remove(ready)


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _sync(path: Path) -> None:
    """Wait until a file is on the disk."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
