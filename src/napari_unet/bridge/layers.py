"""Reading napari's image layers, and laying labels over them."""

from __future__ import annotations

import itertools
from typing import Any  # layers' data is any array

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_unet.bridge.units import pixel_size_of
from napari_unet.core.boxes import Box
from napari_unet.core.errors import InputError
from napari_unet.session.class_pair import BACKGROUND
from napari_unet.session.image import Image, Place

__all__ = [
    "CHECKED",
    "CHECKED_COLOUR",
    "CLASSES",
    "COMPARED",
    "add_checked",
    "add_classes",
    "add_labels",
    "axes_of",
    "channel_axes",
    "channel_choices",
    "check_labels_fit",
    "class_colour",
    "colour_classes",
    "guess_channel_axis",
    "has_room",
    "image_problem",
    "layer_indices",
    "over_channels",
    "place_of",
    "placement",
    "read_image",
    "told_by",
    "warm_up",
]

CHECKED_COLOUR = "#35d07f"
CHECKED = "napari_unet checked"  # in the metadata of a checked area
COMPARED = "napari_unet compared"  # in the metadata of a layer that only shows something
CLASSES = "napari_unet classes"  # in the metadata of a labels layer: their names

# Of Paul Tol's bright and vibrant schemes: told apart by people who see red and green alike.
PALETTE = ["#ee7733", "#0077bb", "#ee3377", "#33bbee", "#ccbb44", "#aa3377", "#009988", "#cc3311"]
FREE_LETTERS = "TZABDEFGHIJKLMNOPQRSUVW"
MOST_CHANNEL_CHOICES = 30
MOST_NUMBER = int(np.iinfo(np.int32).max)
TRANSFORMS = ("scale", "translate", "rotate", "shear", "affine")


def image_problem(layer: ImageLayer) -> str:
    """Return a sentence on why a layer cannot be segmented, or nothing."""
    data = _full_data(layer)
    if np.dtype(data.dtype).kind == "c":
        return f"{layer.name} has complex numbers; choose an image of real numbers."
    if np.dtype(data.dtype).kind not in "buif":
        return f"{layer.name} holds {data.dtype}; choose an image of numbers."
    if 0 in data.shape:
        return f"{layer.name} is empty; choose another image."
    return ""


def channel_axes(layer: ImageLayer) -> dict[int, str]:
    """Return the axes that may hold channels, with what to call them; none for RGB."""
    if layer.rgb:
        return {}
    labels, shape = _axis_labels(layer), _full_data(layer).shape
    return {
        axis: f"{labels[axis] or f'axis {axis}'} ({shape[axis]})" for axis in range(layer.ndim - 2)
    }


def guess_channel_axis(layer: ImageLayer) -> int | None:
    """Return the axis that is named as channels, or None."""
    names = [label.lower() for label in _axis_labels(layer)]
    for axis in range(layer.ndim - 2):
        if not layer.rgb and names[axis] in ("c", "ch", "channel", "channels"):
            return axis
    return None


def channel_choices(
    layer: ImageLayer, channel_axis: int | None, needed: int
) -> list[tuple[str, tuple[int, ...]]]:
    """Return the ways to give a model its channels, best first: name and channels.

    No channels stands for their mean. The list is empty where the image has too few.
    """
    if layer.rgb:
        count = _full_data(layer).shape[-1]
        names = ["red", "green", "blue", "alpha"][:count]
    elif channel_axis is not None:
        names = [f"channel {n}" for n in range(_full_data(layer).shape[channel_axis])]
    else:
        names = ["the image"]
    combinations = itertools.combinations(range(len(names)), needed)
    some = itertools.islice(combinations, MOST_CHANNEL_CHOICES)
    choices = [(", ".join(names[n] for n in picked), picked) for picked in some]
    if needed == 1 and len(names) > 1:
        mean: tuple[str, tuple[int, ...]] = ("mean of all (grey)", ())
        choices = [mean, *choices] if layer.rgb else [*choices, mean]
    return choices


def axes_of(layer: ImageLayer, channel_axis: int | None = None) -> str:
    """Return a letter for each axis of the layer's data: Y, X, C, and others for the rest."""
    leading = layer.ndim - 2
    letters = iter(FREE_LETTERS)
    axes = "".join("C" if axis == channel_axis else next(letters) for axis in range(leading)) + "YX"
    return axes + "C" if layer.rgb else axes


def read_image(
    layer: ImageLayer, channels: tuple[int, ...] = (0,), channel_axis: int | None = None
) -> Image:
    """Return the image in a layer; a lazy one stays lazy, of a multiscale one the full size.

    Raises
    ------
    InputError
        If it cannot be segmented.
    """
    problem = image_problem(layer)
    if problem:
        raise InputError(problem)
    axes = axes_of(layer, channel_axis)
    path = layer.source.path or ""
    return Image(layer.name, _full_data(layer), axes, channels, pixel_size_of(layer), path)


def _full_data(layer: ImageLayer) -> Any:  # any array
    return layer.data[0] if layer.multiscale else layer.data


def _axis_labels(layer: ImageLayer) -> tuple[str, ...]:
    """The names that a user gave; napari's own placeholders count as none."""
    labels = getattr(layer, "axis_labels", ("",) * layer.ndim)
    return tuple("" if str(label).lstrip("-").isdigit() else str(label) for label in labels)


def place_of(image: Image, data_point: tuple[float, ...]) -> Place:
    """Return the plane that a point in the layer's data lies in, nearest inside the stack."""
    axes = image.axes.rstrip("C") if image.axes.endswith("XC") else image.axes
    steps = [
        round(float(value))
        for value, axis in zip(data_point, axes, strict=True)
        if axis not in "CYX"
    ]
    return tuple(
        min(max(step, 0), size - 1) for step, size in zip(steps, image.stack_shape, strict=True)
    )


def over_channels(image: Image, array: NDArray[Any]) -> NDArray[Any]:
    """Show an array of the image's labels in the image's own dimensions.

    Over a channel axis all steps share one memory: what is painted on one channel is painted
    on all, and the array stays aligned with the image in any viewer.
    """
    if "C" not in image.axes or image.axes.endswith("XC"):
        return array
    axis = image.axes.index("C")
    spread = np.expand_dims(array, axis)
    shape, strides = list(spread.shape), list(spread.strides)
    shape[axis], strides[axis] = image.channel_count, 0
    return np.lib.stride_tricks.as_strided(spread, shape, strides, writeable=True)


def layer_indices(
    image: Image, place: Place, where: NDArray[np.bool_], box: Box | None = None
) -> tuple[NDArray[np.intp], ...]:
    """Return the indices, in a layer made by `over_channels`, of pixels of one plane.

    `where` has the shape of the box, if there is one, and else of the plane.
    """
    rows, columns = np.nonzero(where)
    if box is not None:
        rows, columns = rows + box[0].start, columns + box[1].start
    indices = [np.full(len(rows), step) for step in place]
    indices += [rows, columns]
    if "C" in image.axes and not image.axes.endswith("XC"):
        indices.insert(image.axes.index("C"), np.zeros(len(rows), np.intp))
    return tuple(indices)


def warm_up() -> None:
    """Import what napari imports at the first labels layer, before a click waits for it."""
    Labels(np.zeros((1, 1), np.uint8)).features  # noqa: B018  # a property that imports pandas


def check_labels_fit(image: Image, layer: Labels) -> None:
    """Find out whether a user's own labels layer can be corrected and taught from.

    Raises
    ------
    InputError
        If it is multiscale, not a plain array, of another shape, or has numbers that are too large.
    """
    if layer.multiscale:
        raise InputError(f"{layer.name} is multiscale, which cannot be painted; choose another.")
    if tuple(layer.data.shape) != image.shape:
        raise InputError(
            f"{layer.name} has shape {tuple(layer.data.shape)} and the image {image.shape}; "
            "choose labels of the same size."
        )
    if not isinstance(layer.data, np.ndarray):
        raise InputError(f"{layer.name} is not held in memory; choose labels that are.")
    if not has_room(layer.data):
        raise InputError(
            f"{layer.name} has the number {layer.data.max()}, and cells can be numbered up to "
            f"{MOST_NUMBER}; give them smaller numbers."
        )


def has_room(labels: NDArray[Any]) -> bool:
    """Whether all numbers of labels fit into those of ours, int32."""
    if np.can_cast(labels.dtype, np.int32):
        return True
    lowest, highest = labels.min(initial=0), labels.max(initial=0)
    return bool(lowest >= -MOST_NUMBER and highest <= MOST_NUMBER)


def add_labels(viewer: Any, over: ImageLayer, image: Image, labels: NDArray[Any]) -> Labels:
    """Add a labels layer over an image layer, in the same place in the world."""
    layer = Labels(over_channels(image, labels), name=f"{over.name} labels", **placement(over))
    return viewer.add_layer(layer)


def add_classes(viewer: Any, over: ImageLayer, image: Image, names: list[str]) -> Labels:
    """Add an empty layer in which labels are classes; the list of names is kept in it."""
    layer = Labels(
        over_channels(image, np.zeros(image.shape, np.int32)),
        name=f"{over.name} classes",
        metadata={CLASSES: names},
        **placement(over),
    )
    colour_classes(layer)
    return viewer.add_layer(layer)


def colour_classes(layer: Labels) -> None:
    """Give each class its colour, and grey to strokes of background."""
    colours: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    colours |= {label: class_colour(label) for label in range(1, len(layer.metadata[CLASSES]) + 1)}
    layer.colormap = DirectLabelColormap(color_dict={**colours, BACKGROUND: class_colour(0)})


def class_colour(label: int) -> str:
    """Return the colour of a class; 0 is background."""
    return PALETTE[(label - 1) % len(PALETTE)] if label else "#808080"


def add_checked(
    viewer: Any, over: ImageLayer, image: Image, checked: NDArray[np.uint8], below: Labels
) -> Labels:
    """Add the layer that shows the checked area, right below the labels."""
    colours = {None: "transparent", 0: "transparent", 1: CHECKED_COLOUR}
    layer = Labels(
        over_channels(image, checked),
        name=f"{over.name} checked area",
        opacity=0.3,
        colormap=DirectLabelColormap(color_dict=colours),
        metadata={CHECKED: True},
        **placement(over),
    )
    index = [item.unique_id for item in viewer.layers].index(below.unique_id)
    selected = set(viewer.layers.selection)
    viewer.layers.insert(index, layer)
    viewer.layers.selection = selected
    return layer


def placement(layer: Layer) -> dict[str, Any]:
    """Return where a layer lies in the world, to put another one there."""
    names = [*TRANSFORMS, *(name for name in ("units", "axis_labels") if hasattr(layer, name))]
    return {name: getattr(layer, name) for name in names}


def told_by(labels: Labels) -> list[Any]:
    """Return the events of a layer that say that its labels, or what they measure, are others."""
    names = ("paint", "set_data", "data", "scale", "units")
    return [getattr(labels.events, name) for name in names if hasattr(labels.events, name)]
