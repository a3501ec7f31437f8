"""The rounds of teaching as versions of a model, to step back and forth."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from napari_unet.core.errors import InputError, ModelFileError
from napari_unet.core.events import TeachSummary
from napari_unet.core.library import (
    bundled_models_dir,
    find_model,
    read_model_header,
    rewrite_card,
    user_models_dir,
)

__all__ = ["Version", "Versions", "new_version_path", "save_version"]

KEPT_VERSIONS = 50  # files of taught versions that are never saved by name, a few MB each

STAMP = re.compile(r"^\d{4}-\d\d-\d\d-\d{6}-\d{6}-")  # of a taught version's file


@dataclass(frozen=True)
class Version:
    """One state of a model.

    Attributes
    ----------
    model : str
        Name or path, as `load_model` takes it.
    title : str
        What is shown.
    summary : TeachSummary or None
        How it was taught; None for the model before teaching.
    """

    model: str
    title: str
    summary: TeachSummary | None = None


@dataclass
class Versions:
    """A model and what was taught to it, with one version that is current."""

    items: list[Version] = field(default_factory=list)
    index: int = 0

    @classmethod
    def of(cls, model: str) -> Versions:
        """Start from a model of the library or a file.

        Raises
        ------
        ModelFileError
            If there is no such model, or it cannot be read.
        """
        card = read_model_header(find_model(model))[1]
        return cls([Version(model, card.title or card.name)])

    @property
    def current(self) -> Version:
        """The version that segments."""
        return self.items[self.index]

    @property
    def base(self) -> Version:
        """The model before teaching."""
        return self.items[0]

    @property
    def next_title(self) -> str:
        """What the next taught version will be called."""
        return f"taught {len(self.items)}"

    def add(self, model: str, summary: TeachSummary) -> Version:
        """Add a taught version and make it current; later versions than the current one stay."""
        version = Version(model, self.next_title, summary)
        self.items.append(version)
        self.index = len(self.items) - 1
        return version

    def go_to(self, index: int) -> Version:
        """Make a version current."""
        if not 0 <= index < len(self.items):
            raise InputError(f"There is no version {index}.")
        self.index = index
        return self.current


def versions_dir() -> Path:
    """Return the folder of taught versions that were not saved by name."""
    return user_models_dir().parent / "versions"


def new_version_path(base: str) -> Path:
    """Return a new file for the next version, and drop the oldest files if there are many."""
    folder = versions_dir()
    old = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    for path in old[: max(0, len(old) - KEPT_VERSIONS)]:
        with contextlib.suppress(OSError):  # what cannot be dropped stays
            path.unlink()
    stamp = datetime.now().strftime("%Y-%m-%d-%H%M%S-%f")
    return folder / f"{stamp}-{_slug(STAMP.sub('', Path(base).stem))}.safetensors"


def save_version(version: Version, title: str) -> Path:
    """Save a version among the user's own models under a title.

    Raises
    ------
    InputError
        If the title has no letter or digit, or is taken.
    ModelFileError
        If the file cannot be read or written.
    """
    name = _slug(title)
    if not name:
        raise InputError("Give the model a name with at least one letter or digit.")
    target = user_models_dir() / f"{name}.safetensors"
    if target.exists() or (bundled_models_dir() / target.name).exists():
        raise InputError(f"There is a model named {name!r} already; choose another name.")
    source = find_model(version.model)
    beside = target.with_name(f".{name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, beside)
        rewrite_card(beside, name=name, title=title.strip())
        beside.replace(target)
    except OSError as error:
        raise ModelFileError(
            f"The model could not be saved in {target.parent}: {error.strerror or error}."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    return target


def _slug(title: str) -> str:
    """Return letters and digits of any script, in lower case, with single hyphens between."""
    plain = unicodedata.normalize("NFKC", title).lower()
    return re.sub(r"[\W_]+", "-", plain)[:60].strip("-")
