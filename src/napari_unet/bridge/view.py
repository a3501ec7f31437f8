"""Where the user is looking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels
from numpy.typing import NDArray

from napari_unet.bridge.layers import place_of
from napari_unet.session.image import Image, Place

if TYPE_CHECKING:
    from napari.components import Camera
    from napari.viewer import Viewer

__all__ = [
    "camera_of",
    "canvas_size",
    "go_to",
    "in_layer",
    "keep_inside",
    "shown_place",
    "visible_box",
    "visible_center",
]


def shown_place(viewer: Viewer, layer: ImageLayer, image: Image) -> Place:
    """Return the plane of a stack that the viewer shows."""
    return place_of(image, _data_point(layer, viewer.dims.point))


def visible_center(viewer: Viewer, layer: ImageLayer, image: Image) -> tuple[float, float]:
    """Return the row and column in the middle of what is seen, inside the image."""
    world = list(viewer.dims.point)
    shown = viewer.dims.displayed[-2:]
    for axis, value in zip(shown, camera_of(viewer).center[-2:], strict=True):
        world[axis] = value
    point = _data_point(layer, world)
    y, x = (point[image.axes.index(axis)] for axis in "YX")
    rows, columns = image.plane_shape
    return min(max(y, 0.0), rows - 1.0), min(max(x, 0.0), columns - 1.0)


def visible_box(viewer: Viewer, layer: ImageLayer, image: Image) -> tuple[slice, slice]:
    """Return the rows and columns that are seen."""
    y, x = visible_center(viewer, layer, image)
    height, width = (size / camera_of(viewer).zoom for size in canvas_size(viewer))
    scale = np.abs(np.asarray(layer.scale, float)[-2:])
    rows, columns = image.plane_shape
    half_y, half_x = height / scale[0] / 2, width / scale[1] / 2
    return (
        slice(max(0, int(y - half_y)), min(rows, int(y + half_y) + 1)),
        slice(max(0, int(x - half_x)), min(columns, int(x + half_x) + 1)),
    )


def in_layer(
    viewer: Viewer, layer: Labels, image: Image, place: Place, points_yx: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return points (N, Y and X) of a plane in the dimensions of a layer over the image.

    Along channels they are where the viewer is: looking does not change the channel.
    """
    steps = [float(step) for step in place]
    if "C" in image.axes and not image.axes.endswith("XC"):
        channel = image.axes.index("C")
        now = layer.world_to_data(viewer.dims.point[-layer.ndim :])
        steps.insert(channel, round(now[channel]))
    return np.column_stack([np.tile(steps, (len(points_yx), 1)), points_yx])


def go_to(viewer: Viewer, layer: Labels, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move slices and camera to the middle of points in a layer's own dimensions.

    Returns
    -------
    ndarray of float, shape (2,)
        How high and wide the points lie, in the world.
    """
    camera, dims = camera_of(viewer), viewer.dims
    world = np.array([layer.data_to_world(point) for point in points])
    offset = dims.ndim - world.shape[1]  # another layer may have more dimensions
    middle = world.mean(axis=0)
    for axis in range(world.shape[1]):
        if axis + offset not in dims.displayed:
            dims.set_point(axis + offset, float(middle[axis]))
    shown = [axis - offset for axis in dims.displayed[-2:]]
    center = list(camera.center)
    center[-2:] = [float(middle[axis]) for axis in shown]
    camera.center = tuple(center)
    size: NDArray[np.float64] = np.ptp(world[:, shown], axis=0)
    return size


def keep_inside(viewer: Viewer, layer: Labels, points: NDArray[np.float64]) -> None:
    """Move the camera so that no more is seen beside a layer, and points of it, than has to be."""
    camera = camera_of(viewer)
    extent = np.array([*layer.extent.world, *(layer.data_to_world(point) for point in points)])
    offset = viewer.dims.ndim - extent.shape[1]
    center = list(camera.center)
    seen = (size / camera.zoom for size in canvas_size(viewer))
    for n, axis, length in zip((-2, -1), viewer.dims.displayed[-2:], seen, strict=True):
        least, most = extent[:, axis - offset].min(), extent[:, axis - offset].max()
        if most - least <= length:
            center[n] = float(least + most) / 2
        else:
            center[n] = min(max(center[n], float(least) + length / 2), float(most) - length / 2)
    camera.center = tuple(center)


def camera_of(viewer: Viewer) -> Camera:
    """Return the camera; `scene` came with napari 0.9."""
    return viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera


def canvas_size(viewer: Viewer) -> tuple[float, float]:
    """Return the height and width of the canvas, in pixels of the screen."""
    # `canvas` came with napari 0.9
    size = viewer.canvas.size if hasattr(viewer, "canvas") else viewer._canvas_size
    return float(size[0]), float(size[1])


def _data_point(layer: ImageLayer, world: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in layer.world_to_data(tuple(world)))
