"""Model files on disk: where they are, and what they say of themselves without torch."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any  # JSON values: their types are checked by ModelConfig and ModelCard

from safetensors import SafetensorError, safe_open

from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.errors import InputError, ModelFileError

__all__ = [
    "FORMAT_VERSION",
    "available_models",
    "bundled_models_dir",
    "find_model",
    "read_model_header",
    "rewrite_card",
    "user_model_file",
    "user_models_dir",
]

FORMAT_VERSION = 1
SUFFIX = ".safetensors"


def bundled_models_dir() -> Path:
    """Return the folder of the models that come with the package."""
    return Path(__file__).parent / "pretrained"


def user_models_dir() -> Path:
    """Return the folder of the user's own models; it may not exist yet.

    It is ``models`` in the folder named by the environment variable NAPARI_UNET_HOME, else in
    ``.napari-unet`` in the home folder.
    """
    home = os.environ.get("NAPARI_UNET_HOME")
    return (Path(home) if home else Path.home() / ".napari-unet") / "models"


def user_model_file(name: str, folder: Path | None = None, *, force: bool = False) -> Path:
    """Return where a new model of the user's own goes; its folder may not exist yet.

    Raises
    ------
    InputError
        If there is one of that name already, or the name cannot be one of a file.
    """
    if not re.fullmatch(r"\w[\w.+ -]*", name):
        raise InputError(f"A model cannot be called {name!r}; use letters, digits and - only.")
    if (bundled_models_dir() / f"{name}{SUFFIX}").is_file():
        raise InputError(f"{name} is a model of the package; give another --name.")
    target = (folder or user_models_dir()) / f"{name}{SUFFIX}"
    if target.exists() and not force:
        raise InputError(f"There is a model called {name}; give another --name, or --force.")
    return target


def available_models() -> list[ModelCard]:
    """Return the cards of the bundled models and then the user's own, newest last.

    Files that are not models, or cannot be read, are left out.
    """
    own = user_models_dir()
    paths = sorted(bundled_models_dir().glob(f"*{SUFFIX}"))
    paths += sorted(own.glob(f"*{SUFFIX}"), key=_modified) if own.is_dir() else []
    cards = []
    for path in paths:
        try:
            cards.append(read_model_header(path)[1])
        except ModelFileError:
            continue
    return cards


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # removed since it was listed
        return 0.0


def find_model(name_or_path: str | Path) -> Path:
    """Return the file of a model given by its path, or by its name in the library.

    Raises
    ------
    ModelFileError
        If there is no such model.
    """
    path = Path(name_or_path)
    if path.suffix == SUFFIX or path.is_file():
        if path.is_file():
            return path
        raise ModelFileError(f"There is no model file {str(path)!r}; check the path.")
    for folder in (bundled_models_dir(), user_models_dir()):
        candidate = folder / f"{name_or_path}{SUFFIX}"
        if candidate.is_file():
            return candidate
    names = ", ".join(Path(card.path).stem for card in available_models()) or "none"
    raise ModelFileError(f"There is no model named {str(name_or_path)!r}; there are: {names}.")


def read_model_header(path: str | Path) -> tuple[ModelConfig, ModelCard]:
    """Read the config and the card from a model file; the weights are not read.

    Raises
    ------
    ModelFileError
        If the file is damaged, not a model of ours, or made by a newer version.
    """
    metadata = _read_metadata(Path(path))
    version = metadata.get("napari_unet_format")
    if version is None:
        raise ModelFileError(f"{Path(path).name} is not a napari-unet model.")
    if not re.fullmatch("[0-9]{1,9}", version) or int(version) > FORMAT_VERSION:
        raise ModelFileError(
            f"{Path(path).name} was made by a newer version; update napari-unet to open it."
        )
    try:
        config: dict[str, Any] = dict(json.loads(metadata["config"]))
        card: dict[str, Any] = dict(json.loads(metadata["card"]))
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise ModelFileError(f"{Path(path).name} is damaged: its settings are missing.") from error
    try:
        return ModelConfig.from_json(config), ModelCard.from_json(card, path=str(path))
    except ModelFileError:
        raise
    except (IndexError, ValueError) as error:
        raise ModelFileError(f"{Path(path).name} is damaged: its settings are odd.") from error


def _read_metadata(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise ModelFileError(f"There is no model file {str(path)!r}; check the path.")
    try:
        with safe_open(str(path), framework="numpy") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ModelFileError(
            f"{path.name} cannot be read as a model: it is damaged or another kind of file."
        ) from error


def rewrite_card(path: str | Path, *, name: str, title: str) -> None:
    """Change the name and the title in a model file; the weights are not touched.

    The file is written in place: give it a copy.

    Raises
    ------
    ModelFileError
        If it is not a model.
    OSError
        If it cannot be written.
    """
    path = Path(path)
    card = replace(read_model_header(path)[1], name=name, title=title)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")  # safetensors: length, JSON header, weights
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["card"] = json.dumps(card.to_json())
    written = json.dumps(header, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 8)
    path.write_bytes(len(written).to_bytes(8, "little") + written + data[8 + length :])
