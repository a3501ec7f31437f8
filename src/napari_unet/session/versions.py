"""The rounds of teaching as versions of a model, to step back and forth, also days later."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from napari_unet.core.config import ModelCard
from napari_unet.core.errors import InputError, ModelFileError
from napari_unet.core.events import TeachSummary
from napari_unet.core.library import (
    bundled_models_dir,
    find_model,
    read_model_header,
    rewrite_card,
    user_models_dir,
)

__all__ = ["UNTAUGHT", "Version", "Versions", "new_version_path", "save_version", "slug"]

KEPT_VERSIONS = 50  # files of taught versions that are never saved by name, a few MB each

UNTAUGHT = "before teaching"
TAUGHT = re.compile(r"taught (\d+)$")
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
    parent : str
        Stem of the file that it was taught from.
    created : str
        ISO date and time.
    """

    model: str
    title: str
    summary: TeachSummary | None = None
    parent: str = ""
    created: str = ""


@dataclass
class Versions:
    """A model and what was taught to it, oldest first, with one version that is current."""

    items: list[Version] = field(default_factory=list)
    index: int = 0
    origin: str = ""
    is_chosen: bool = False
    """Whether a version was chosen or taught since napari began; at first none is."""

    @classmethod
    def of(cls, model: str) -> Versions:
        """Start from a model of the library or a file, with what was taught to it before.

        Raises
        ------
        ModelFileError
            If there is no such model, or it cannot be read.
        """
        card = read_model_header(find_model(model))[1]
        base = Version(model, card.title or card.name)
        return cls([base, *_taught_before(card.identity, base.title)], origin=card.identity)

    @property
    def current(self) -> Version:
        """The version that segments."""
        return self.items[self.index]

    @property
    def base(self) -> Version:
        """The model before teaching."""
        return self.items[0]

    @property
    def hint(self) -> str:
        """What to know of versions of earlier days before one was chosen, or nothing."""
        count = len(self.items) - 1
        if self.is_chosen or not count:
            return ""
        return (
            "This is the model before teaching; what it was taught earlier "
            f"({count} version{'s' * (count != 1)}) is in the list under Teach."
        )

    def title(self, index: int) -> str:
        """Return what a version is called among the others."""
        return self.items[index].title if index else UNTAUGHT

    @property
    def next_title(self) -> str:
        """What the next taught version will be called."""
        numbers = [found[1] for item in self.items if (found := TAUGHT.match(item.title))]
        return f"taught {1 + max(map(int, numbers), default=0)}"

    @property
    def before(self) -> int:
        """Where the version is that the current one was taught from, if it is still there."""
        parent = self.current.parent
        found = (n for n, item in enumerate(self.items) if Path(item.model).stem == parent)
        return next(found, 0)

    def add(self, model: str, summary: TeachSummary | None, parent: str = "") -> Version:
        """Add what was taught to a parent, a file's stem, and make it current; the others stay."""
        version = Version(model, self.next_title, summary, parent, _now())
        self.items.append(version)
        self.index, self.is_chosen = len(self.items) - 1, True
        return version

    def look_again(self) -> None:
        """Add what was put into the folder of versions since; what is here stays."""
        known = {Path(item.model).stem for item in self.items}
        found = _taught_before(self.origin, self.base.title)
        new = [item for item in found if Path(item.model).stem not in known]
        current = self.current
        taught = sorted([*self.items[1:], *new], key=lambda item: Path(item.model).stem)
        self.items = [self.base, *taught]
        self.index = self.items.index(current)

    def lineage(self, stem: str) -> list[Version]:
        """Return a version, by its file without ending, and those that it was taught from."""
        by_stem = {Path(item.model).stem: item for item in self.items}
        found: list[Version] = []
        while (item := by_stem.get(stem)) is not None and item not in found:
            found.append(item)
            stem = item.parent
        return found

    def go_to(self, index: int) -> Version:
        """Make a version current."""
        if not 0 <= index < len(self.items):
            raise InputError(f"There is no version {index}.")
        self.index, self.is_chosen = index, True
        return self.current

    def rename(self, title: str) -> Version:
        """Give the current version another title.

        Raises
        ------
        InputError
            If the title is empty or taken, or this is the model before teaching.
        ModelFileError
            If the file cannot be read or written.
        """
        title = title.strip()
        self._must_be_taught("renamed")
        if not title:
            raise InputError("Give the version a name.")
        if any(item.title == title for item in self.items if item is not self.current):
            raise InputError(f"There is a version named {title!r} already; choose another name.")
        path = find_model(self.current.model)
        name = read_model_header(path)[1].name
        _copy_model(path, path, name, f"{self.base.title}, {title}")
        self.items[self.index] = replace(self.current, title=title)
        return self.current

    def delete(self) -> Version:
        """Put the file of the current version among those thrown away; return the one before.

        Raises
        ------
        InputError
            If this is the model before teaching.
        ModelFileError
            If the file cannot be moved.
        """
        self._must_be_taught("deleted")
        path = find_model(self.current.model)
        trash = versions_dir() / "deleted"
        try:
            trash.mkdir(parents=True, exist_ok=True)
            _drop_oldest(trash)
            shutil.move(path, trash / path.name)
        except OSError as error:
            raise ModelFileError(
                f"The version could not be moved to {trash}: {error.strerror or error}."
            ) from error
        before = self.before  # it is older, so it keeps its place
        del self.items[self.index]
        return self.go_to(before)

    def _must_be_taught(self, what: str) -> None:
        if self.index == 0:
            raise InputError(
                f"The model before teaching cannot be {what}; choose a taught version."
            )


def _taught_before(origin: str, base_title: str) -> list[Version]:
    """Return the versions on disk that were taught to a model, oldest first."""
    versions = []
    for path in sorted(versions_dir().glob("*.safetensors")):
        try:
            card = read_model_header(path)[1]
        except ModelFileError:  # damaged, or removed since it was listed
            continue
        if card.origin == origin:
            title = card.title.removeprefix(f"{base_title}, ")
            versions.append(Version(str(path), title, _summary(card), card.parent, card.created))
    return versions


def _summary(card: ModelCard) -> TeachSummary | None:
    kept: dict[str, float | str | None] = {
        key: n for key, n in card.taught.items() if n is None or isinstance(n, int | float)
    }
    if card.taught.get("noun") == "patch":  # of the two words that there are, not the usual one
        kept["noun"] = "patch"
    try:
        return TeachSummary(**kept)  # type: ignore[arg-type]  # what is whole is whole in JSON
    except TypeError:
        return None


def versions_dir() -> Path:
    """Return the folder of taught versions that were not saved by name."""
    return user_models_dir().parent / "versions"


def new_version_path(base: str) -> Path:
    """Return a new file for the next version, and drop the oldest files if there are many."""
    folder = versions_dir()
    _drop_oldest(folder)
    stamp = datetime.now().strftime("%Y-%m-%d-%H%M%S-%f")
    return folder / f"{stamp}-{slug(STAMP.sub('', Path(base).stem))}.safetensors"


def _drop_oldest(folder: Path) -> None:
    old = sorted(folder.glob("*.safetensors"))
    for path in old[: max(0, len(old) - KEPT_VERSIONS)]:
        with contextlib.suppress(OSError):  # what cannot be dropped stays
            path.unlink()


def save_version(version: Version, title: str) -> Path:
    """Save a version among the user's own models under a title.

    Raises
    ------
    InputError
        If the title has no letter or digit, or is taken.
    ModelFileError
        If the file cannot be read or written.
    """
    name = slug(title)
    if not name:
        raise InputError("Give the model a name with at least one letter or digit.")
    target = user_models_dir() / f"{name}.safetensors"
    if target.exists() or (bundled_models_dir() / target.name).exists():
        raise InputError(f"There is a model named {name!r} already; choose another name.")
    _copy_model(find_model(version.model), target, name, title.strip())
    return target


def _copy_model(source: Path, target: Path, name: str, title: str) -> None:
    """Copy a model, or write it anew in its place, with another name and title."""
    beside = target.with_name(f".{target.stem}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, beside)
        rewrite_card(beside, name=name, title=title)
        beside.replace(target)
    except OSError as error:
        raise ModelFileError(
            f"The model could not be saved in {target.parent}: {error.strerror or error}."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def slug(title: str) -> str:
    """Return letters and digits of any script, in lower case, with single hyphens between."""
    plain = unicodedata.normalize("NFKC", title).lower()
    return re.sub(r"[\W_]+", "-", plain)[:60].strip("-")
