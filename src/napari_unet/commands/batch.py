"""What a run over many images remembers: which are done, by content and settings, and how it went.

Beside the labels lie two files: a journal with one line for each image as soon as it is done, so
that a run that was stopped goes on where it was, and a report that is written at the end.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from napari_unet.core.errors import InputError
from napari_unet.core.files import write_beside

__all__ = ["JOURNAL", "REPORT", "Journal", "Outcome", "digest", "summary", "write_report"]

JOURNAL = ".napari-unet-done.jsonl"
REPORT = "napari-unet-report.json"

DONE, BEFORE, FAILED = "done", "done before", "failed"


@dataclass(frozen=True)
class Outcome:
    """How it went with one image.

    Attributes
    ----------
    image, labels : str
        The file, and where its labels are.
    status : {"done", "done before", "failed"}
    objects : int or None
        How many were found.
    diameter : float or None
        Of the objects, in pixels, as it was measured or given.
    seconds : float
        How long it took.
    problem : str
        One sentence, where it failed.
    """

    image: str
    labels: str
    status: str = DONE
    objects: int | None = None
    diameter: float | None = None
    seconds: float = 0.0
    problem: str = ""


class Journal:
    """Which images of a folder of labels are done, with which content and settings.

    Parameters
    ----------
    folder : Path or None
        Where the labels go; None remembers nothing.
    settings : str
        All that the labels depend on beside the image.
    """

    def __init__(self, folder: Path | None, settings: str) -> None:
        self._file = None if folder is None else folder / JOURNAL
        self._settings = settings
        self._done = dict(self._lines())

    def key(self, image: Path) -> str:
        """Return what stands for an image's content and the settings; empty if it cannot be read.

        The name does not count: a file that was replaced is segmented again.
        """
        try:
            content = digest(image)
        except OSError:
            return ""
        return hashlib.sha256(f"{content} {self._settings}".encode()).hexdigest()

    def done(self, target: Path, key: str) -> Outcome | None:
        """Return how it went with the image whose labels are at `target`, if they are there."""
        if self._file is None or not target.exists():
            return None
        known, outcome = self._done.get(self._name(target), ("", None))
        return replace(outcome, status=BEFORE) if outcome is not None and key == known else None

    def add(self, target: Path, key: str, outcome: Outcome) -> None:
        """Remember an image whose labels have been written."""
        if self._file is None:
            return
        line = json.dumps({"target": self._name(target), "key": key, **asdict(outcome)})
        try:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"\n{line}")  # after a line that a crash may have cut
        except OSError as error:
            raise InputError(
                f"{self._file} could not be written: {error.strerror or error}."
            ) from error

    def _name(self, target: Path) -> str:
        assert self._file is not None
        return target.relative_to(self._file.parent).as_posix()

    def _lines(self) -> list[tuple[str, tuple[str, Outcome]]]:
        """Read the journal; lines that are damaged count as not done."""
        if self._file is None or not self._file.is_file():
            return []
        found = []
        for line in self._file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                values = json.loads(line)
                name, key = values.pop("target"), values.pop("key")
                found.append((name, (key, Outcome(**values))))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue
        return found


def _content(folder: Path) -> Iterator[Path]:
    """Go through the files of an image, without the labels that may be in its folder.

    Folders that are links are left out: they may lead to the whole disk, or back here.
    """
    for one in folder.iterdir():
        if one.is_file():
            yield one
        elif one.is_dir() and not one.is_symlink() and one.name != "labels":
            yield from _content(one)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's content; of a folder, of its files' names, sizes and times."""
    if path.is_dir():  # an OME-Zarr may be larger than can be read only to compare
        parts = sorted((one.relative_to(path).as_posix(), one.stat()) for one in _content(path))
        listed = [(name, status.st_size, status.st_mtime_ns) for name, status in parts]
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_report(folder: Path, outcomes: list[Outcome]) -> Path:
    """Write how it went with each image as JSON, the counts first."""
    counts = Counter(outcome.status for outcome in outcomes)
    values = {
        "images": len(outcomes),
        **{status: counts[status] for status in (DONE, BEFORE, FAILED)},
        "results": [asdict(outcome) for outcome in outcomes],
    }
    path = folder / REPORT
    try:
        write_beside(path, json.dumps(values, indent=2).encode())
    except OSError as error:
        raise InputError(f"{path} could not be written: {error.strerror or error}.") from error
    return path


def summary(outcomes: list[Outcome], report: Path | None) -> str:
    """Return one sentence on all images; empty if there is nothing to add."""
    counts = Counter(outcome.status for outcome in outcomes)
    if len(outcomes) < 2 or counts[DONE] == len(outcomes):
        return ""
    parts = []
    if counts[BEFORE]:
        parts.append(f"{counts[BEFORE]} were done before (--again does them anew)")
    if counts[FAILED]:
        parts.append(f"{counts[FAILED]} of {len(outcomes)} images could not be segmented")
    see = f", see {report}" if report else ""
    return f"{' and '.join(parts)}{see}."
