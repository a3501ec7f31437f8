"""OME-Zarr in, read where it is sliced: https://ngff.openmicroscopy.org, 0.4 and 0.5.

Files of strangers are opened only where their metadata ask for nothing but numbers and the usual
compressions: a codec can be one that unpickles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any  # JSON values, and zarr's arrays

import numpy as np

from napari_unet.core.errors import InputError
from napari_unet.formats.json_file import read_json

__all__ = [
    "OmeZarr",
    "import_zarr",
    "is_ome_zarr",
    "labels_of",
    "open_array",
    "open_ome_zarr",
    "plate_images",
]

METADATA = (".zattrs", "zarr.json")

# Codecs that make numbers of bytes and do nothing else. bz2 and lzma are not among them: a
# kilobyte of theirs unpacks to gigabytes, whatever the size of the chunk is said to be.
SAFE = {
    "blosc", "bytes", "crc32c", "delta", "endian", "fixedscaleoffset", "gzip", "lz4",
    "quantize", "sharding_indexed", "shuffle", "transpose", "zlib", "zstd",
}  # fmt: skip

MOST_CHUNK = 2**31  # bytes of one chunk when it is unpacked (chosen: two of them fit a laptop)
MOST_AXES = 8
MOST_METADATA = 2**26  # bytes of one file of metadata (chosen: a plate of 384 wells takes 0.1 MB)
MICROMETRES = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "meter": 1e6}


@dataclass(frozen=True, eq=False)
class OmeZarr:
    """An image, or labels, that is read where it is sliced.

    Attributes
    ----------
    path : Path
        Of its group.
    levels : tuple of zarr.Array
        The full size first.
    axes : str
        One capital letter a dimension.
    scales : tuple of tuple of float
        Size of a pixel of each level along each axis, as far as it is said; else 1.
    units : dict of str to str
        Of axes that have one, by their letter, such as "micrometer".
    version : str
        Of the format.
    described : dict
        All that its group says of itself.
    """

    path: Path
    levels: tuple[Any, ...]
    axes: str
    scales: tuple[tuple[float, ...], ...]
    units: dict[str, str]
    version: str
    described: dict[str, Any]

    @property
    def data(self) -> Any:
        """The array of the full size."""
        return self.levels[0]

    @property
    def spacing(self) -> dict[str, float] | None:
        """Micrometres a pixel along Z, Y and X, by letter; None if it is not said."""
        found = {
            axis: scale * MICROMETRES[self.units[axis]]
            for axis, scale in zip(self.axes, self.scales[0], strict=True)
            if axis in "ZYX" and self.units.get(axis) in MICROMETRES
        }
        return found if {"Y", "X"} <= set(found) else None


def is_ome_zarr(path: Path) -> bool:
    """Whether a folder is an image, or a plate of images, in this format."""
    return path.is_dir() and any((path / name).is_file() for name in (*METADATA, ".zgroup"))


def open_ome_zarr(path: Path) -> OmeZarr:
    """Open an image; of several in one file, the first.

    Raises
    ------
    InputError
        If it is none, is damaged, asks for a codec that is not known, or zarr is missing.
    """
    path = Path(path)
    values = _attributes(path)
    if "multiscales" not in values and is_ome_zarr(path / "0"):  # as bioformats2raw writes
        path, values = path / "0", _attributes(path / "0")
    try:
        return _opened(path, values)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path.name} is damaged: its metadata do not say what they should ({error!r})."
        ) from error


def plate_images(path: Path) -> list[Path]:
    """Return the folders of all images of a plate, well by well; none if it is no plate.

    Raises
    ------
    InputError
        If the plate is damaged.
    """
    plate = _attributes(path).get("plate")
    if plate is None:
        return []
    try:
        wells = [_inside(path, well["path"]) for well in plate["wells"]]
        return [
            _inside(well, image["path"])
            for well in wells
            for image in _attributes(well)["well"]["images"]
        ]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path.name} is damaged: its plate is not described.") from error


def labels_of(path: Path) -> list[Path]:
    """Return the folders of the labels that belong to an image."""
    folder = path / "labels"
    if not is_ome_zarr(folder):
        return []
    names = _attributes(folder).get("labels")
    return [_inside(folder, name) for name in names] if isinstance(names, list) else []


def _opened(path: Path, values: dict[str, Any]) -> OmeZarr:
    if "multiscales" not in values:
        raise InputError(f"{path.name} is no OME-Zarr image: it has no multiscales.")
    multiscale = values["multiscales"][0]
    version = str(values.get("version") or multiscale.get("version") or "0.4")
    if not version.startswith(("0.4", "0.5")):
        raise InputError(f"{path.name} is OME-Zarr {version}; 0.4 and 0.5 are read.")
    named = [axis if isinstance(axis, dict) else {"name": axis} for axis in multiscale["axes"]]
    axes = "".join(str(axis["name"])[:1].upper() for axis in named)
    if len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes) or len(axes) > MOST_AXES:
        raise InputError(f"{path.name} has the axes {axes!r}, which are not those of an image.")
    levels, scales = [], []
    for dataset in multiscale["datasets"]:
        levels.append(open_array(_inside(path, dataset["path"]), "r"))
        scales.append(_scale(dataset.get("coordinateTransformations"), len(axes)))
    if any(level.ndim != len(axes) for level in levels) or not levels:
        raise InputError(f"{path.name} is damaged: its arrays do not have the axes {axes}.")
    units = {
        letter: str(axis["unit"])
        for letter, axis in zip(axes, named, strict=True)
        if "unit" in axis
    }
    return OmeZarr(path, tuple(levels), axes, tuple(scales), units, version, values)


def _scale(transformations: Any, count: int) -> tuple[float, ...]:
    for one in transformations or ():
        if one.get("type") == "scale" and len(one.get("scale", ())) == count:
            scale = tuple(float(value) for value in one["scale"])
            return scale if all(0 < value < np.inf for value in scale) else (1.0,) * count
    return (1.0,) * count


def _attributes(path: Path) -> dict[str, Any]:
    """Return the metadata of a group: of 0.5 what is below ``ome``."""
    if (path / "zarr.json").is_file():
        attributes = _object(path / "zarr.json").get("attributes")
        found = attributes.get("ome", attributes) if isinstance(attributes, dict) else {}
    elif (path / ".zattrs").is_file():
        found = _object(path / ".zattrs")
    else:
        found = {}
    return found if isinstance(found, dict) else {}


def _object(path: Path) -> dict[str, Any]:
    values = read_json(path, MOST_METADATA)
    if not isinstance(values, dict):
        raise InputError(f"{path} is damaged: it holds no metadata.")
    return values


def _inside(folder: Path, name: Any) -> Path:
    """Return a path below a folder; one that leads out of it is refused."""
    parts = PurePosixPath(str(name))
    path = folder.joinpath(*parts.parts)
    leads_out = parts.is_absolute() or ".." in parts.parts or "\\" in str(name)
    if leads_out or not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{folder.name} names {name!r}, which lies outside of it; it is not read.")
    return path


def open_array(path: Path, mode: str) -> Any:
    """Return an array of zarr whose metadata were looked through.

    Raises
    ------
    InputError
        If it is damaged, holds no real numbers, or asks for a codec that is not known.
    """
    zarr = import_zarr()
    is_new = (path / "zarr.json").is_file()
    metadata = path / ("zarr.json" if is_new else ".zarray")
    if not metadata.is_file():
        raise InputError(f"{path.parent.name} is damaged: it has no array {path.name}.")
    values = _object(metadata)
    for codec in _codecs(values.get("codecs")) if is_new else _packings(values):
        if codec.removeprefix("numcodecs.") not in SAFE:
            raise InputError(
                f"{path.parent.name} is packed by {codec!r}, which is not known to be harmless; "
                "it is not read."
            )
    try:
        array = zarr.open_array(str(path), mode=mode, zarr_format=3 if is_new else 2)
    except Exception as error:  # of zarr's many kinds
        said = " ".join(str(error).split())[:200]
        raise InputError(f"{path.parent.name} cannot be read: {said}.") from error
    if array.dtype.kind not in "buif":
        raise InputError(f"{path.parent.name} holds {array.dtype}, not real numbers.")
    if np.prod(array.chunks, dtype=float) * array.dtype.itemsize > MOST_CHUNK:
        raise InputError(f"{path.parent.name} has chunks of more than 2 GB; they are not read.")
    return array


def _packings(values: dict[str, Any]) -> Iterator[str]:
    """Yield the names of what packs an array of zarr's second format.

    What else is written there counts for nothing: zarr reads these two keys, and of them the id.
    """
    filters = values.get("filters") or []
    for codec in [values.get("compressor"), *(filters if isinstance(filters, list) else [filters])]:
        if codec is not None:
            yield str(codec.get("id")) if isinstance(codec, dict) else str(codec)


def _codecs(named: Any) -> Iterator[str]:
    """Yield the names of all codecs of an array of the third format, those inside of others too."""
    for codec in named if isinstance(named, list) else [named]:
        if not isinstance(codec, dict):
            yield str(codec)
            continue
        yield str(codec.get("name"))
        inner = codec.get("configuration")
        for part in ("codecs", "index_codecs"):
            if isinstance(inner, dict) and part in inner:
                yield from _codecs(inner[part])


def import_zarr() -> Any:
    """Return the library.

    Raises
    ------
    InputError
        If it is missing.
    """
    try:
        import zarr  # optional, and slow
    except ImportError as error:
        raise InputError(
            'OME-Zarr needs zarr; install it with: pip install "napari-unet-interactive[zarr]".'
        ) from error
    return zarr
