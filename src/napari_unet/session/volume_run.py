"""One press of Segment with a model of volumes: objects reach through all slices."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any  # images come in any real dtype

from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.core.events import VolumeResult
from napari_unet.engine.runner import Runner
from napari_unet.engine.tasks import SegmentDone, SegmentVolumeTask, Task
from napari_unet.session.image import Place
from napari_unet.session.pair import Pair
from napari_unet.session.segment_run import SegmentRun

__all__ = ["VolumeRun"]


class VolumeRun(SegmentRun):
    """Segments the volumes in which some planes lie; see `SegmentRun` for its use.

    What `pump` returns is the place of a volume.

    Parameters
    ----------
    runner, reader, pair, model
        See `SegmentRun`.
    places : sequence of Place
        Of planes.
    spacing : sequence of float
        How far voxels lie apart along each axis for the model.

    Raises
    ------
    InputError
        If the image is no stack.
    """

    PART = "volume"

    def __init__(
        self,
        runner: Runner,
        reader: Executor,
        pair: Pair,
        model: str,
        places: Sequence[Place],
        spacing: Sequence[float],
    ) -> None:
        if not pair.image.stack_shape:
            raise InputError(
                f"This model is of volumes, and {pair.image.name} is a single plane; open a stack, "
                "or choose a model of planes."
            )
        self._spacing = tuple(spacing)
        volumes = list(dict.fromkeys(place[:-1] for place in places))
        super().__init__(runner, reader, pair, model, None, volumes)

    def look_at(self, place: Place, center: tuple[float, float]) -> None:
        """All of a volume comes at once: only which one is next can change."""
        super().look_at(place[:-1], center)

    def _read(self, place: Place) -> NDArray[Any]:
        return self.pair.image.read_volume(place)

    def _task(self, image: NDArray[Any]) -> Task[SegmentDone]:
        return SegmentVolumeTask(image, self.model)

    def _take_tile(self, place: Place, event: object) -> bool:
        if not isinstance(event, VolumeResult):
            return False
        if self._tile == (0, 0):
            self.pair.made_by = self.model
            self.pair.begin_volume(place, self._spacing)
        self.pair.place_part(place, event)
        self._note_tile(event.done, event.count)
        return True
