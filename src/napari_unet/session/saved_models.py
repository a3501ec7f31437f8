"""The models of a session folder: which versions go there, and how they come into the library."""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from napari_unet.core.errors import InputError, ModelFileError, NapariUnetError
from napari_unet.core.library import (
    available_models,
    bundled_models_dir,
    find_model,
    read_model_header,
    user_models_dir,
)
from napari_unet.session.saved import PLAIN_NAME, Saved, SavedVersion
from napari_unet.session.saved_folder import Write, file_in
from napari_unet.session.versions import Version, Versions, slug, versions_dir

__all__ = ["ModelsToSave", "take_in_models", "versions_to_save"]


@dataclass(frozen=True)
class ModelsToSave:
    """What is said of the versions, which is current, and their files."""

    versions: tuple[SavedVersion, ...]
    current: int
    is_bundled: bool
    files: dict[str, Path]

    def new_in(self, folder: Path) -> dict[tuple[str, str], Write]:
        """Return how to write the files that the folder has not yet."""
        return {
            ("models", name): partial(_copy, source)
            for name, source in self.files.items()
            if not _is_there(source, file_in(folder, "models", name))
        }


def versions_to_save(versions: Versions, wanted: Sequence[str], since: str) -> ModelsToSave:
    """Choose versions: those that are wanted, what they were taught from, and new ones.

    Parameters
    ----------
    versions : Versions
        Of the current model; the current version is always wanted.
    wanted : sequence of str
        Files without their endings.
    since : str
        ISO date and time from which on a version is new.
    """
    stems = [Path(versions.current.model).stem, *wanted]
    chosen = [item for stem in stems for item in versions.lineage(stem)]
    items = [versions.base] + [
        item for item in versions.items[1:] if item in chosen or item.created >= since
    ]
    base = find_model(versions.base.model)
    is_bundled = base.parent.resolve() == bundled_models_dir().resolve()
    files = {_stem(item): find_model(item.model) for item in items}
    if is_bundled:
        del files[_stem(items[0])]
    said = tuple(_said(item) for item in items)
    return ModelsToSave(said, items.index(versions.current), is_bundled, files)


def _stem(version: Version) -> str:
    """Name a version's file as a session folder can: a user's own file may be called anything."""
    stem = find_model(version.model).stem
    return stem if PLAIN_NAME.fullmatch(stem) else slug(stem) or "model"


def _said(item: Version) -> SavedVersion:
    summary = item.summary
    return SavedVersion(
        file=_stem(item),
        title=item.title,
        parent=item.parent,
        created=item.created,
        identity=read_model_header(find_model(item.model))[1].identity,
        before=None if summary is None else summary.before,
        after=None if summary is None else summary.after,
    )


def _is_there(source: Path, target: Path) -> bool:
    try:
        return filecmp.cmp(source, target, shallow=False)
    except OSError:
        return False


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def take_in_models(folder: Path, saved: Saved) -> tuple[str, str, list[str]]:
    """Copy a session's versions to those of the library; nothing there is overwritten.

    A version that is damaged or of another model is left out.

    Returns
    -------
    model : str
        The model before teaching, as `Session.choose_model` takes it.
    current : str
        File without its ending of the version that is current; empty if it was left out.
    problems : list of str
        A sentence for each version that was left out.

    Raises
    ------
    InputError
        If the model before teaching is not to be had.
    ModelFileError
        If its file is damaged.
    """
    base, *taught = saved.versions
    path = _own_base(folder, base) if not saved.is_bundled else _bundled(base)
    origin = read_model_header(path)[1].identity
    stems, problems = [path.stem], []
    for version in taught:
        try:
            stems.append(_take_in(file_in(folder, "models", version.file), origin))
        except NapariUnetError as error:
            stems.append("")
            problems.append(f"The version {version.title} was left out: {error}")
    return str(path), stems[saved.current], problems


def _take_in(source: Path, origin: str) -> str:
    """Add a taught version to those of the library; return what it is called there."""
    if read_model_header(source)[1].origin != origin:
        raise InputError(f"{source.name} was taught to another model.")
    return _add(source, versions_dir(), source.stem)


def _bundled(base: SavedVersion) -> Path:
    path = bundled_models_dir() / f"{base.file}.safetensors"
    if not path.is_file() or read_model_header(path)[1].identity != base.identity:
        raise InputError(
            f"The session was made with the model {base.title}, which this version of "
            "napari-unet does not have; the current model stays."
        )
    return path


def _own_base(folder: Path, base: SavedVersion) -> Path:
    """Return a model of the library that is the same, or take it there."""
    for card in available_models():
        if card.identity == base.identity:
            return Path(card.path)
    source = file_in(folder, "models", base.file)
    read_model_header(source)
    return user_models_dir() / f"{_add(source, user_models_dir(), base.file)}.safetensors"


def _add(source: Path, folder: Path, stem: str) -> str:
    """Copy a model to a folder under its name, or another one; return that without ending.

    One with the same weights is the same, though it may be called otherwise by now.
    """
    number, name = 1, stem
    while (target := folder / f"{name}.safetensors").exists():
        if _weights(target) == _weights(source):
            return name
        number += 1
        name = f"{stem}-{number}"
    beside = folder / f".{name}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, beside)
        beside.replace(target)
    except OSError as error:
        raise ModelFileError(
            f"{source.name} could not be copied to {folder}: {error.strerror or error}."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    return name


def _weights(path: Path) -> bytes:
    """What follows the header of a safetensors file, whose first 8 bytes are its length."""
    data = path.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little") :]
