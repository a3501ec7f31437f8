"""A plane of an OME-Zarr that is larger than memory: what is known of it, and where it is kept.

While it is worked on, a folder beside the labels holds probabilities and what else the steps of
`LargePlane` write, and a line for each tile that is done: a run that was stopped goes on there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol  # a lazy image may be of any kind
from uuid import uuid4

from napari_unet.core.errors import InputError
from napari_unet.core.files import write_beside
from napari_unet.core.large_plan import LargePlan
from napari_unet.formats.zarr_plane import ZarrPlane, create_plane

if TYPE_CHECKING:
    from napari_unet.core.large import Run
    from napari_unet.core.large_plane import LargePlane
    from napari_unet.core.model_file import Model
    from napari_unet.core.tiling import Tile

# Imports of core inside functions: all for weight, they bring torch.

__all__ = [
    "Choices",
    "LargeJob",
    "PlaneSource",
    "WorkFolder",
    "open_plane",
    "run_here",
    "segment_job",
]

ABOUT, TILES = "about.json", "tiles.jsonl"


class PlaneSource(Protocol):
    """Opens one plane of an image; small enough to be sent to other processes."""

    @property
    def path(self) -> Path:
        """Of the image."""
        ...

    def __call__(self) -> Any:
        """Return it as a lazy array (C, Y, X)."""
        ...


@dataclass(frozen=True)
class LargeJob:
    """All that a process needs to work on a plane; what it reads and writes is on disks.

    Attributes
    ----------
    image : PlaneSource
        The plane.
    model : str
        Name or path.
    plan : LargePlan
        How it is cut.
    folder : Path
        Of probabilities and what else is kept until the labels are done.
    labels : tuple of ZarrPlane
        Full size first, each other one half of the one before.
    device, precision : str
        See `napari_unet.core.device`.
    token : str
        No other job has it.
    """

    image: PlaneSource
    model: str
    plan: LargePlan
    folder: Path
    labels: tuple[ZarrPlane, ...]
    device: str
    precision: str
    token: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True, slots=True)
class Choices:
    """What is chosen once for an image, and would not be chosen alike after a stop or elsewhere.

    Attributes
    ----------
    diameter : float or None
        Of the objects, in pixels, as it was given or measured; None takes the image as it is.
    precision : str
        Never "auto", which depends on how fast a computer happens to be.
    """

    diameter: float | None
    precision: str


class WorkFolder:
    """The folder in which a plane is worked on, and what an earlier run has left in it.

    Parameters
    ----------
    target : Path
        Of the labels; the folder lies beside them.
    key : str
        All that the labels depend on; what was left with another one is thrown away.
    place : tuple of int
        Of the plane, see `plane_places`; tiles of another one are thrown away too.
    """

    def __init__(self, target: Path, key: str, place: tuple[int, ...] = ()) -> None:
        self.path = target.with_name(f".{target.name}.part").resolve()
        self._key, self._place = key, list(place)
        self._about = self._read_about()
        self._tiles = self.path / TILES

    @property
    def choices(self) -> Choices | None:
        """What an earlier run has chosen for the image."""
        try:
            diameter, precision = self._about["diameter"], str(self._about["precision"])
            return Choices(None if diameter is None else float(diameter), precision)
        except (KeyError, TypeError, ValueError):
            return None

    def begin(self, plan: LargePlan, choices: Choices, chunk: int) -> set[tuple[int, int]]:
        """Make the arrays, or return which tiles an earlier run has left in them.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        digest = hashlib.sha256(repr(plan).encode()).hexdigest()
        about = {"key": self._key, "place": self._place, "plan": digest, **asdict(choices)}
        if self._about == about:
            return self._done()
        try:
            self.remove()
            self._create(plan, chunk)
            write_beside(self.path / ABOUT, json.dumps(about).encode())
        except OSError as error:
            raise _unwritten(self.path, error) from error
        return set()

    def note(self, tile: Tile) -> None:
        """Remember that the probabilities of a tile are written."""
        try:
            with self._tiles.open("a", encoding="utf-8") as file:
                file.write(f"\n{json.dumps([tile.y, tile.x])}")  # after a line cut by a crash
        except OSError as error:
            raise _unwritten(self.path, error) from error

    def remove(self) -> None:
        """Throw away all of it."""
        if self.path.exists():
            shutil.rmtree(self.path)

    def _create(self, plan: LargePlan, chunk: int) -> None:
        self.path.mkdir(parents=True)
        model, image, square = plan.grids.model, plan.grids.image, (chunk, chunk)
        create_plane(self.path / "probability", model, plan.tile, "uint8")
        create_plane(self.path / "pieces", model, square, "int32")
        if plan.is_rescaled:
            create_plane(self.path / "whole", model, square, "int32")
            create_plane(self.path / "drawn", image, square, "int32")

    def _read_about(self) -> dict[str, Any]:
        try:
            found = json.loads((self.path / ABOUT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        is_ours = isinstance(found, dict) and found.get("key") == self._key
        return found if is_ours else {}

    def _done(self) -> set[tuple[int, int]]:
        done = set()
        if self._tiles.is_file():
            for line in self._tiles.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    y, x = json.loads(line)
                    done.add((int(y), int(x)))
                except (ValueError, TypeError):
                    continue  # half a line: that tile is not done
        return done


def open_plane(job: LargeJob, model: Model) -> LargePlane:
    """Return what does the steps of a job in this process."""
    from napari_unet.core.large_plane import LargeArrays, LargePlane

    def kept(name: str) -> ZarrPlane:
        return ZarrPlane(job.folder / name)

    arrays = LargeArrays(kept("probability"), kept("pieces"), job.labels[0])
    if job.plan.is_rescaled:
        arrays = replace(arrays, whole=kept("whole"), drawn=kept("drawn"))
    arrays = replace(arrays, coarser=job.labels[1:])
    return LargePlane(
        job.image(), model, job.plan, arrays, device=job.device, precision=job.precision
    )


def run_here(job: LargeJob, model: Model) -> Run:
    """Return what does the steps of a job in this process, one part after the other."""
    plane = open_plane(job, model)
    return lambda step, items: step(plane, items)


def segment_job(
    job: LargeJob,
    run: Run,
    work: WorkFolder,
    *,
    done: set[tuple[int, int]],
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Do a job; return how many objects there are.

    Raises
    ------
    InputError
        If something cannot be read or written.
    """
    from napari_unet.core.large import make_labels

    try:
        return make_labels(
            job.plan,
            run,
            levels=[plane.shape for plane in job.labels[1:]],
            done=done,
            note=work.note,
            progress=progress,
        )
    except OSError as error:
        raise InputError(
            f"Image or labels could not be read or written: {error.strerror or error}; "
            "see to the disk, and the same command goes on where it was."
        ) from error


def _unwritten(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} could not be written: {error.strerror or error}.")
