"""What a model is: its network's shape, its normalisation and how its output is read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any  # JSON values: their types are checked in from_json

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.architectures import ARCHITECTURES, NORMS
from napari_unet.core.errors import InputError, ModelFileError
from napari_unet.core.graph_config import GraphConfig
from napari_unet.core.normalize import intensity_range
from napari_unet.core.object_score import ObjectScore

__all__ = ["ModelCard", "ModelConfig"]


@dataclass(frozen=True)
class ModelConfig:
    """Everything needed to rebuild a network and to read its output.

    Attributes
    ----------
    architecture : str
        One of `napari_unet.core.architectures.ARCHITECTURES`.
    in_channels : int
        Channels that the network takes: those of the image, as often as it sees slices.
    classes : tuple of str
        Class names in the order of the output channels; the first is background.
    width : int
        Channels of the first level (64 in the paper).
    depth : int
        Number of poolings (4 in the paper).
    dropout : float
        Dropout at the end of the contracting path, 0 to 1.
    percentiles : tuple of float
        Percentiles of each image and channel that normalisation maps to 0 and 1.
    compress : float
        Normalised intensities x enter the network as asinh(x / compress), scaled so that 1
        stays 1: dim objects beside bright ones remain visible. 0 leaves them as they are.
    threshold : float
        Default foreground threshold.
    min_size : int
        Default smallest object, in pixels.
    split : float
        How eagerly touching objects are parted, 0 to 1; 0.5 was measured on nuclei.
    diameter : float or None
        Median diameter of the objects the model was trained on, in pixels.
    taught_diameter : float or None
        Of a taught model: median diameter of the objects that it was taught last, in pixels of
        their images. Other images of the same experiment are likely to have such objects.
    taught_known : bool
        Whether it knew that kind of image before: then it can measure other images, and what was
        taught only says where to look first.
    semantic : bool
        Whether each pixel is of one of the `classes`; otherwise what is not background is told
        apart as objects.
    object_score : tuple of float
        What the looks of an object say about how right it is, see
        `napari_unet.core.object_score`; empty if nothing was learnt about that.
    norm : str
        Normalisation in the network, one of `napari_unet.core.architectures.NORMS`; "auto" is
        what the architecture has by itself.
    anisotropy : float
        Of a model of volumes: how many times as far planes lie apart as pixels do, in the volumes
        that it was trained on.
    slices : int
        How many neighbouring slices or frames of a stack the network sees at once as channels, an
        odd number; what it says is of the middle one. See `napari_unet.core.neighbours`.
    graph : GraphConfig or None
        Of a network that other programs have made, whose `depth` tells the sizes it takes and
        whose other settings of the network mean nothing. None: it is one of ours.
    """

    architecture: str = "unet"
    in_channels: int = 1
    classes: tuple[str, ...] = ("background", "cell")
    width: int = 32
    depth: int = 4
    dropout: float = 0.0
    percentiles: tuple[float, float] = (1.0, 99.8)
    compress: float = 0.0
    threshold: float = 0.5
    min_size: int = 20
    split: float = 0.5
    diameter: float | None = None
    taught_diameter: float | None = None
    taught_known: bool = False
    semantic: bool = False
    object_score: tuple[float, ...] = ()
    norm: str = "auto"
    anisotropy: float = 1.0
    slices: int = 1
    graph: GraphConfig | None = None

    def __post_init__(self) -> None:
        for name, known in (("architecture", ARCHITECTURES), ("norm", NORMS)):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name.capitalize()} {getattr(self, name)!r} is not known; "
                    f"use {_either(known)}."
                )
        bounds: dict[str, tuple[float, float]] = {
            "in_channels": (1, 64),
            "width": (1, 256),
            "depth": (1, 7),
            "dropout": (0, 0.95),
            "compress": (0, 100),
            "threshold": (0, 1),
            "min_size": (0, 10**9),
            "split": (0, 1),
            "anisotropy": (0.01, 100),
            "slices": (1, 15),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name} is {value}; it must be from {low} to {high}.")
        for name in ("in_channels", "width", "depth", "min_size", "slices"):
            if not isinstance(getattr(self, name), int):
                raise InputError(f"{name} is {getattr(self, name)}; it must be a whole number.")
        for diameter in (self.diameter, self.taught_diameter):
            if diameter is not None and not 0 < diameter < math.inf:
                raise InputError(f"The diameter is {diameter} px; it must be above 0.")
        if not 2 <= len(self.classes) <= 255:
            raise InputError(f"There are {len(self.classes)} classes; 2 to 255 can be used.")
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise InputError(f"Percentiles are {low} and {high}; they must rise within 0 to 100.")
        if self.is_volumetric and (self.diameter is not None or self.semantic):
            raise InputError("A model of volumes finds objects, and takes voxels as they are.")
        if self.is_volumetric and self.network_norm not in ("batch", "none"):
            raise InputError(
                f"A model of volumes cannot have the norm {self.norm}; use batch or none."
            )
        self._check_slices()
        self.score  # noqa: B018  (refuses what is none)

    def _check_slices(self) -> None:
        if self.slices == 1:
            return
        if self.slices % 2 == 0:
            raise InputError(
                f"slices is {self.slices}; it must be odd, so that one is in the middle."
            )
        if self.is_volumetric:
            raise InputError("A model of volumes sees all slices; leave slices at 1.")
        if self.in_channels % self.slices:
            raise InputError(
                f"{self.in_channels} channels cannot be shared among {self.slices} slices; give a "
                "multiple."
            )

    @property
    def takes(self) -> str:
        """What it sees, in words: "1 channel", or "2 channels of 3 neighbouring slices"."""
        count = self.image_channels
        through = f" of {self.slices} neighbouring slices" if self.slices > 1 else ""
        return f"{count} channel{'s' * (count != 1)}{through}"

    @property
    def image_channels(self) -> int:
        """Channels of an image: those of the network, of one slice."""
        return self.in_channels // self.slices

    @property
    def score(self) -> ObjectScore | None:
        """How objects are judged by their looks, None if they are not."""
        if not self.object_score or self.diameter is None:
            return None
        return ObjectScore(self.object_score, self.diameter)

    @property
    def is_volumetric(self) -> bool:
        """Whether it sees volumes, and not planes."""
        return ARCHITECTURES[self.architecture].axes == 3

    @property
    def spatial_axes(self) -> str:
        """The axes that the network sees at once: "YX", or "ZYX" of a model of volumes."""
        return "ZYX" if self.is_volumetric else "YX"

    @property
    def spacing(self) -> tuple[float, ...]:
        """How far neighbours lie apart along each spatial axis, in pixels of a plane."""
        return (self.anisotropy, 1.0, 1.0) if self.is_volumetric else (1.0, 1.0)

    @property
    def strides(self) -> tuple[tuple[int, ...], ...]:
        """By how much each pooling divides the spatial axes.

        Planes that lie far apart are not pooled until pixels lie about as far: of voxels four times
        as high as they are wide, the first two poolings leave Z as it is.
        """
        if not self.is_volumetric:
            return self.depth * ((2, 2),)
        flat = max(0, round(math.log2(self.anisotropy)))
        return tuple((1 if level < flat else 2, 2, 2) for level in range(self.depth))

    def range_of(self, image_cyx: NDArray[Any]) -> NDArray[np.float64]:
        """Return what 0 and 1 are of each channel of a whole image, shape (C, 2)."""
        if self.graph is not None:
            return self.graph.range_of(image_cyx, self.percentiles)
        return intensity_range(image_cyx, self.percentiles)

    @property
    def network_norm(self) -> str:
        """The normalisation in the network, when "auto" is looked up."""
        return ARCHITECTURES[self.architecture].norm if self.norm == "auto" else self.norm

    def to_json(self) -> dict[str, Any]:
        """Return a dict of plain JSON values, without what says nothing of such a model.

        So older versions read the files of all that they can use.
        """
        values = asdict(self)
        if self.graph is None:
            del values["graph"]
        if not self.is_volumetric:
            del values["anisotropy"]
        if self.slices == 1:
            del values["slices"]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build from `to_json`'s dict.

        Raises
        ------
        ModelFileError
            If a key is unknown or a value is out of its bounds.
        """
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ModelFileError(
                f"The model has settings this version does not know ({', '.join(unknown)}); "
                "update napari-unet."
            )
        graph = values.get("graph")
        try:
            if graph is not None:
                values = {**values, "graph": GraphConfig.from_json(graph)}
            return cls(**_plain(values))
        except (ValueError, TypeError) as error:
            raise ModelFileError(f"The model's settings cannot be used: {error}") from error


@dataclass(frozen=True)
class ModelCard:
    """What a person should know before trusting a model.

    Attributes
    ----------
    name : str
        Identifier, for example "nuclei-fluorescence"; what `load_model` takes.
    title : str
        What is shown in lists, for example "Nuclei, fluorescence".
    purpose, data, licence, command, failures : str
        What it is for, what it was trained on, under which licence that is, the command
        that trained it, and where it is known to fail.
    scores : dict
        Held-out scores by name, for example ``{"AP 0.50": 0.81}``.
    held_out : tuple of str
        Names of the images that training never saw.
    parent : str
        Name of the model this one was taught from, empty for one trained from scratch.
    origin : str
        Of a taught model: which one the first of its rounds of teaching began with, as
        `identity` says.
    taught : dict
        Of a taught model: how the last round went, the fields of a `TeachSummary`.
    history : tuple of str
        One sentence for each round of training or teaching, oldest first.
    created : str
        ISO date and time.
    path : str
        Where it was loaded from; not stored in the file. Empty if never saved.
    """

    name: str
    title: str = ""
    purpose: str = ""
    data: str = ""
    licence: str = ""
    command: str = ""
    failures: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    held_out: tuple[str, ...] = ()
    parent: str = ""
    origin: str = ""
    taught: dict[str, float | str | None] = field(default_factory=dict)
    history: tuple[str, ...] = ()
    created: str = ""
    path: str = ""

    @property
    def identity(self) -> str:
        """Name and date: another training by the same name is another model."""
        return f"{self.name} {self.created}".strip()

    def to_json(self) -> dict[str, Any]:
        """Return a dict of plain JSON values, without the path."""
        values = asdict(self)
        del values["path"]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any], path: str = "") -> ModelCard:
        """Build from `to_json`'s dict; unknown keys are ignored, a card is only text."""
        known = {item.name for item in fields(cls)} - {"path"}
        try:
            return cls(**_plain({k: v for k, v in values.items() if k in known}), path=path)
        except TypeError as error:
            raise ModelFileError(f"The model's card cannot be read: {error}") from error


def _either(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no tuples: its lists become tuples."""
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
