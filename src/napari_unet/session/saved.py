"""What a session folder says in its session.json: images, settings and versions, as plain values.

Nothing in it is trusted: each value is checked when it is read, and names of files are single
names that lie in the folder. Only the link to an image may lead elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any  # JSON values: `Values` checks their types

from napari_unet.core.errors import InputError
from napari_unet.core.symmetries import AVERAGES

__all__ = [
    "FORMAT",
    "MOST_BYTES",
    "PLAIN_NAME",
    "Saved",
    "SavedImage",
    "SavedSettings",
    "SavedVersion",
]

FORMAT = 1
MOST_BYTES = 2**24  # of session.json; a thousand images take one megabyte (chosen)
MOST_TEXT, MOST_ITEMS, MOST_AXES = 4096, 10_000, 32
PLAIN_NAME = re.compile(r"\w[\w.+-]{0,199}")
COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True)
class SavedImage:
    """One image with its labels.

    Attributes
    ----------
    file : str
        Of its labels and its checked area, without folder and ending.
    name : str
        What the user called it.
    relative, absolute : str
        Where it lies: from the session's folder, with slashes, and from the root. The first is
        empty where there is no such way.
    size : int
        Of its file in bytes; 0 if that is a folder.
    shape, dtype, checksum
        Of its pixels; see `ImageIdentity`.
    axes, channels, pixel_size
        See `Image`.
    typed, measured, checked : float or None
        How wide its objects are, in pixels: as the user said, as the model measured, as the
        checked cells said.
    used_diameter : float or None
        At which it was segmented last.
    made_by : str
        File name without ending of the model that it was segmented with last.
    classes, colours : tuple of str
        Names of the classes that its labels are, and how they are shown; empty for objects.
    """

    file: str
    name: str
    relative: str
    absolute: str
    size: int
    shape: tuple[int, ...]
    dtype: str
    checksum: str
    axes: str
    channels: tuple[int, ...]
    pixel_size: tuple[float, str] | None = None
    typed: float | None = None
    measured: float | None = None
    checked: float | None = None
    used_diameter: float | None = None
    made_by: str = ""
    classes: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, values: Values) -> SavedImage:
        """Build from what `asdict` made of one."""
        shape = values.whole_numbers("shape", low=1)
        axes = values.text("axes")
        if len(axes) != len(shape) or not 2 <= len(axes) <= MOST_AXES:
            raise values.odd("axes")
        colours = values.texts("colours")
        if not all(COLOUR.fullmatch(colour) for colour in colours):
            raise values.odd("colours")
        return cls(
            file=values.plain_name("file"),
            name=values.text("name"),
            relative=values.text("relative"),
            absolute=values.text("absolute"),
            size=values.whole_number("size"),
            shape=shape,
            dtype=values.text("dtype"),
            checksum=values.text("checksum"),
            axes=axes,
            channels=values.whole_numbers("channels"),
            pixel_size=values.pixel_size("pixel_size"),
            **{name: values.maybe_number(name, 1e-3, 1e6) for name in DIAMETERS},
            made_by=values.text("made_by"),
            classes=values.texts("classes"),
            colours=colours,
        )


DIAMETERS = ("typed", "measured", "checked", "used_diameter")


@dataclass(frozen=True)
class SavedVersion:
    """One version of the model, the one before teaching first.

    Attributes
    ----------
    file : str
        In ``models/`` without its ending; of a bundled model its name, and no file is there.
    title, parent, created
        See `Version`.
    identity : str
        See `ModelCard.identity`; to know a base model again.
    before, after : float or None
        What it scored on the cells kept aside; the file itself knows more.
    """

    file: str
    title: str = ""
    parent: str = ""
    created: str = ""
    identity: str = ""
    before: float | None = None
    after: float | None = None

    @classmethod
    def from_json(cls, values: Values) -> SavedVersion:
        """Build from what `asdict` made of one."""
        return cls(
            file=values.plain_name("file"),
            **{name: values.text(name) for name in ("title", "parent", "created", "identity")},
            before=values.maybe_number("before", 0, 1),
            after=values.maybe_number("after", 0, 1),
        )


@dataclass(frozen=True)
class SavedSettings:
    """What the sliders stood at: see `ObjectSettings`, `Session.teach` and `SegmentTask`."""

    threshold: float = 0.5
    min_size: int | None = None
    split: float = 0.0
    keep: float | None = None
    seconds: float | None = None
    average: str = "none"

    @classmethod
    def from_json(cls, values: Values) -> SavedSettings:
        """Build from what `asdict` made of them."""
        smallest = values.maybe_number("min_size", 0, 1e9)
        return cls(
            threshold=values.number("threshold", 0, 1),
            min_size=None if smallest is None else round(smallest),
            split=values.number("split", 0, 1),
            keep=values.maybe_number("keep", 0, 1),
            seconds=values.maybe_number("seconds", 0, 1e6),
            average=values.choice("average", tuple(AVERAGES)),
        )


@dataclass(frozen=True)
class Saved:
    """A session as it is on disk.

    Attributes
    ----------
    images : tuple of SavedImage
        The last one is shown when the session is opened.
    settings : SavedSettings
    versions : tuple of SavedVersion
        Of the model; the first is the model before teaching.
    current : int
        Which of them segments.
    is_bundled : bool
        Whether the model before teaching comes with the package.
    made_with : str
        The version of napari-unet.
    """

    images: tuple[SavedImage, ...]
    settings: SavedSettings
    versions: tuple[SavedVersion, ...]
    current: int = 0
    is_bundled: bool = True
    made_with: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a dict of plain JSON values."""
        return {"napari_unet_session": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, found: Any) -> Saved:
        """Build from `to_json`'s dict, or from what a stranger has made of it.

        Raises
        ------
        InputError
            If it is no session, of a newer version, or damaged.
        """
        version = found.get("napari_unet_session") if isinstance(found, Mapping) else None
        if isinstance(version, bool) or not isinstance(version, int) or version < 1:
            raise InputError("it is not a session of napari-unet")
        if version > FORMAT:
            raise InputError("it was made by a newer version; update napari-unet to open it")
        values = Values(found)
        saved = cls(
            images=tuple(SavedImage.from_json(one) for one in values.parts("images")),
            settings=SavedSettings.from_json(values.part("settings")),
            versions=tuple(SavedVersion.from_json(one) for one in values.parts("versions")),
            current=values.whole_number("current"),
            is_bundled=found.get("is_bundled") is True,
            made_with=values.text("made_with"),
        )
        if not saved.current < len(saved.versions):
            raise values.odd("current")
        if len({one.file for one in saved.images}) < len(saved.images):
            raise values.odd("images")
        return saved


class Values:
    """The values of a JSON object of which nothing is known yet."""

    def __init__(self, values: Any) -> None:
        if not isinstance(values, Mapping):
            raise InputError("a part of it is missing")
        self._values = values

    def odd(self, name: str) -> InputError:
        """Return what to raise where a value cannot be used."""
        return InputError(f"its {name.replace('_', ' ')} cannot be used")

    def text(self, name: str) -> str:
        """Return a text that is not too long, without control characters."""
        return self._text(name, self._values.get(name))

    def _text(self, name: str, value: Any) -> str:
        if not isinstance(value, str) or len(value) > MOST_TEXT or "\0" in value:
            raise self.odd(name)
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """Return one of some texts, the first where there is none."""
        value = self._text(name, self._values.get(name, choices[0]))
        if value not in choices:
            raise self.odd(name)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return texts."""
        return tuple(self._text(name, one) for one in self._list(name))

    def plain_name(self, name: str) -> str:
        """Return the name of a file, which leads nowhere else."""
        value = self.text(name)
        if not PLAIN_NAME.fullmatch(value):
            raise InputError(f"it names a file {value[:80]!r}, which cannot be one of its own")
        return value

    def number(self, name: str, low: float, high: float) -> float:
        """Return a number within bounds."""
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.odd(name)
        if not low <= value <= high:  # no NaN passes
            raise self.odd(name)
        return value

    def maybe_number(self, name: str, low: float, high: float) -> float | None:
        """Return a number within bounds, or None where there is none."""
        return None if self._values.get(name) is None else self.number(name, low, high)

    def whole_number(self, name: str) -> int:
        """Return a number to count with."""
        return self._whole(name, self._values.get(name), 0)

    def whole_numbers(self, name: str, low: int = 0) -> tuple[int, ...]:
        """Return numbers to count with."""
        return tuple(self._whole(name, one, low) for one in self._list(name))

    def _whole(self, name: str, value: Any, low: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value < 2**63:
            raise self.odd(name)
        return value

    def pixel_size(self, name: str) -> tuple[float, str] | None:
        """Return a length and its unit."""
        match self._values.get(name):
            case None:
                return None
            case [int() | float() as size, str(unit)] if isfinite(size) and size > 0:
                return float(size), unit[:20]
        raise self.odd(name)

    def part(self, name: str) -> Values:
        """Return a JSON object in this one."""
        return Values(self._values.get(name))

    def parts(self, name: str) -> list[Values]:
        """Return the JSON objects in a list."""
        return [Values(one) for one in self._list(name)]

    def _list(self, name: str) -> list[Any]:
        found = self._values.get(name)
        if not isinstance(found, list | tuple) or len(found) > MOST_ITEMS:
            raise self.odd(name)
        return list(found)
