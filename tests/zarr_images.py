"""OME-Zarr as other programs write it, made with zarr alone."""

import numpy as np
import zarr

SPACE = {"type": "space", "unit": "micrometer"}
KNOWN = {"t": {"type": "time"}, "c": {"type": "channel"}, "z": SPACE, "y": SPACE, "x": SPACE}


def write_image(path, image, axes, version="0.4", *, scale=None, levels=2, chunks=None):
    """An image with coarser levels; `axes` in small letters."""
    is_old = version == "0.4"
    group = zarr.create_group(str(path), zarr_format=2 if is_old else 3)
    scale = scale or [1.0] * image.ndim
    datasets = []
    for level in range(levels):
        step = tuple(slice(None, None, 2**level if axis in "yx" else 1) for axis in axes)
        pixels = image[step]
        sizes = chunks or tuple(
            min(64, n) if a in "yx" else 1 for n, a in zip(pixels.shape, axes, strict=True)
        )
        how = {"chunk_key_encoding": {"name": "v2", "separator": "/"}} if is_old else {}
        array = group.create_array(
            str(level), shape=pixels.shape, dtype=pixels.dtype, chunks=sizes, **how
        )
        array[...] = pixels
        steps = [s * 2**level if a in "yx" else s for s, a in zip(scale, axes, strict=True)]
        transformations = [{"type": "scale", "scale": steps}]
        datasets.append({"path": str(level), "coordinateTransformations": transformations})
    described = {"axes": [{"name": a, **KNOWN[a]} for a in axes], "datasets": datasets}
    put(group, {"multiscales": [described | ({"version": "0.4"} if is_old else {})]}, version)
    return path


def put(group, values, version):
    is_old = version == "0.4"
    group.attrs.update(values if is_old else {"ome": {"version": version, **values}})


def write_plate(path, images, version="0.4"):
    """A plate of a dict of images (Y, X) by "row/column/field"."""
    form = 2 if version == "0.4" else 3
    wells = sorted({name.rpartition("/")[0] for name in images})
    put(zarr.create_group(str(path), zarr_format=form), plate_of(wells), version)
    for well in wells:
        zarr.create_group(str(path / well.split("/")[0]), zarr_format=form, overwrite=False)
        fields = sorted(name.rpartition("/")[2] for name in images if name.startswith(f"{well}/"))
        group = zarr.create_group(str(path / well), zarr_format=form)
        put(group, {"well": {"images": [{"path": field} for field in fields]}}, version)
    for name, image in images.items():
        write_image(path / name, image, "yx", version)
    return path


def plate_of(wells):
    rows, columns = (sorted({well.split("/")[n] for well in wells}) for n in (0, 1))
    return {
        "plate": {
            "rows": [{"name": row} for row in rows],
            "columns": [{"name": column} for column in columns],
            "wells": [{"path": well, "rowIndex": 0, "columnIndex": 0} for well in wells],
        }
    }


def ramp(*shape):
    return np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
