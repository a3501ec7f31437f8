"""Labels out as OME-Zarr: plane by plane, with coarser levels, going on after a stop."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any  # JSON values, and zarr's arrays

from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.formats.ome_zarr import OmeZarr, import_zarr, is_ome_zarr, open_array
from napari_unet.formats.zarr_plane import ZarrPlane

__all__ = ["CHUNK", "LabelsWriter"]

DONE = ".napari-unet-done.jsonl"
CHUNK = 1024  # rows and columns of a chunk (chosen)
SMALLEST_LEVEL = 512  # no level is made of fewer rows and columns (chosen)


class LabelsWriter:
    """Writes labels; what an earlier run with the same key has done stays.

    Parameters
    ----------
    path : Path
        Of the group; one that was not made here is not replaced.
    like : OmeZarr
        The image; labels have its axes without channels, its scales and its version.
    axes : str
        Of the image, where they are called otherwise.
    key : str
        All that the labels depend on: what was written with another one is begun anew.
    version : str
        "0.4" or "0.5"; empty takes the image's.
    again : bool
        Begin anew in any case.

    Raises
    ------
    InputError
        If it cannot be written there, or zarr is missing.
    """

    def __init__(
        self,
        path: Path,
        like: OmeZarr,
        *,
        axes: str = "",
        key: str = "",
        version: str = "",
        again: bool = False,
    ) -> None:
        self.path = path
        axes = axes or like.axes
        kept = [number for number, axis in enumerate(axes) if axis != "C"]
        self.axes = "".join(axes[number] for number in kept)
        self.shape = tuple(int(like.data.shape[number]) for number in kept)
        self._scale = [like.scales[0][number] for number in kept]
        self._units = like.units
        self._version = version or ("0.5" if like.version.startswith("0.5") else "0.4")
        self._key = key
        self._done: dict[tuple[int, ...], int] = {}
        _check_stays(path, like.path)
        is_ours = (path / DONE).is_file()
        if path.exists() and any(path.iterdir()) and not is_ours:
            raise InputError(f"{path} is there already; choose another place for the labels.")
        if is_ours and not again:
            self._done = self._read_done()
        try:
            if self._done:
                self._levels = [
                    open_array(path / str(n), "r+") for n in range(len(self._level_shapes()))
                ]
            else:
                self._begin(like)
        except OSError as error:
            raise _unwritten(path, error) from error

    def is_done(self, place: tuple[int, ...]) -> bool:
        """Whether a plane was written with the same key."""
        return place in self._done

    def objects(self) -> int:
        """Return how many objects all planes that are done have."""
        return sum(self._done.values())

    def plane(self, place: tuple[int, ...], level: int = 0) -> ZarrPlane:
        """Return a plane (Y, X) of a level, to be written in parts; `finish` says that it is."""
        return ZarrPlane(self.path / str(level), self.axes, place)

    def plane_shapes(self) -> list[tuple[int, int]]:
        """Return rows and columns of each level, each half of those of the one before."""
        at = self.axes.index("Y"), self.axes.index("X")
        return [(shape[at[0]], shape[at[1]]) for shape in self._level_shapes()]

    def write(self, place: tuple[int, ...], labels: NDArray[Any], objects: int) -> None:
        """Write the plane (Y, X) at a place along the other axes, in all levels.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        rest = iter(place)
        at = tuple(slice(None) if axis in "YX" else next(rest) for axis in self.axes)
        if self.axes.index("Y") > self.axes.index("X"):
            labels = labels.T
        try:
            for number, level in enumerate(self._levels):
                step = 2**number  # every second number of every second row: no number is made up
                level[at] = labels[::step, ::step].astype(level.dtype, copy=False)
        except OSError as error:
            raise _unwritten(self.path, error) from error
        self.finish(place, objects)

    def finish(self, place: tuple[int, ...], objects: int) -> None:
        """Remember that all levels of a plane are written.

        Raises
        ------
        InputError
            If that cannot be written.
        """
        try:
            line = json.dumps({"key": self._key, "place": place, "objects": objects})
            with (self.path / DONE).open("a", encoding="utf-8") as file:
                file.write(f"\n{line}")
        except OSError as error:
            raise _unwritten(self.path, error) from error
        self._done[place] = objects

    def _read_done(self) -> dict[tuple[int, ...], int]:
        """Read which planes are done; lines that are damaged count as not done."""
        found = {}
        for line in (self.path / DONE).read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                values = json.loads(line)
                if values["key"] == self._key:
                    found[tuple(values["place"])] = int(values["objects"])
            except (ValueError, TypeError, KeyError, RecursionError):
                continue
        return found

    def _level_shapes(self) -> list[tuple[int, ...]]:
        shapes = [self.shape]
        while max(self._planar(shapes[-1])) > SMALLEST_LEVEL:
            shapes.append(
                tuple(
                    -(-size // 2) if axis in "YX" else size
                    for axis, size in zip(self.axes, shapes[-1], strict=True)
                )
            )
        return shapes

    def _planar(self, shape: tuple[int, ...]) -> list[int]:
        return [size for axis, size in zip(self.axes, shape, strict=True) if axis in "YX"]

    def _begin(self, like: OmeZarr) -> None:
        zarr = import_zarr()
        if self.path.exists():
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True)
        (self.path / DONE).touch()
        is_old = self._version == "0.4"
        group = zarr.create_group(str(self.path), zarr_format=2 if is_old else 3)
        self._levels = []
        for number, shape in enumerate(self._level_shapes()):
            how: dict[str, Any] = {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
            if not is_old:
                how = {"dimension_names": list(self.axes.lower())}
            chunks = tuple(
                min(CHUNK, size) if axis in "YX" else 1
                for axis, size in zip(self.axes, shape, strict=True)
            )
            self._levels.append(
                group.create_array(
                    str(number), shape=shape, dtype="int32", chunks=chunks, fill_value=0, **how
                )
            )
        values = self._described(like)
        group.attrs.update(values if is_old else {"ome": {"version": self._version, **values}})
        self._join_image(is_old)

    def _described(self, like: OmeZarr) -> dict[str, Any]:
        axes = []
        for axis in self.axes:
            kind = {"T": "time"}.get(axis, "space" if axis in "ZYX" else "index")
            unit = {"unit": self._units[axis]} if axis in self._units else {}
            axes.append({"name": axis.lower(), "type": kind, **unit})
        datasets = []
        for number in range(len(self._levels)):
            pairs = zip(self.axes, self._scale, strict=True)
            scale = [size * 2**number if axis in "YX" else size for axis, size in pairs]
            datasets.append(
                {
                    "path": str(number),
                    "coordinateTransformations": [{"type": "scale", "scale": scale}],
                }
            )
        is_old = self._version == "0.4"
        version = {"version": self._version} if is_old else {}
        inside = self.path.parent.name == "labels" and self.path.parent.parent == like.path
        source = "../../" if inside else ""
        multiscale = {"name": self.path.name, "axes": axes, "datasets": datasets, **version}
        image_label = {**version, **({"source": {"image": source}} if source else {})}
        return {"multiscales": [multiscale], "image-label": image_label}

    def _join_image(self, is_old: bool) -> None:
        """In the folder of an image's labels, they are entered in the list of these."""
        folder = self.path.parent
        if folder.name != "labels" or not is_ome_zarr(folder.parent):
            return
        zarr = import_zarr()
        group = zarr.open_group(str(folder), mode="a", zarr_format=2 if is_old else 3)
        values = dict(group.attrs)
        known = values if is_old else values.setdefault("ome", {"version": self._version})
        names = known.setdefault("labels", [])
        if self.path.name not in names:
            names.append(self.path.name)
        group.attrs.update(values)


def _check_stays(path: Path, image: Path) -> None:
    """Refuse labels in an image's folder that a link would lead out of it."""
    if image in path.parents and not path.resolve().is_relative_to(image.resolve()):
        raise InputError(f"{path} leads out of {image} by a link; choose another place for labels.")


def _unwritten(path: Path, error: OSError) -> InputError:
    return InputError(f"The labels could not be written to {path}: {error.strerror or error}.")
