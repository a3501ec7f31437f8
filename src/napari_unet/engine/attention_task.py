"""What a worker is asked for the maps of an Attention U-Net's gates; see `core.attention`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, ClassVar  # Any: images come in any real dtype

import numpy as np
from numpy.typing import NDArray

__all__ = ["AttentionMaps", "AttentionTask"]


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """What each gate lets through of one plane.

    Attributes
    ----------
    names : tuple of str
        Of the gates, the finest first.
    maps : ndarray of float32, shape (gates, Y, X)
        Within 0 to 1.
    """

    names: tuple[str, ...]
    maps: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class AttentionTask:
    """Compute what the gates of an Attention U-Net let through of one plane.

    The result is an `AttentionMaps`. Cancelled, it raises `JobCancelledError`.

    Attributes
    ----------
    image : ndarray, shape (C, Y, X)
        Any real dtype, with its neighbours where the model sees them; leave it unchanged until
        the job is done.
    model : str
        Name or path.
    diameter : float, optional
        Of the objects, in pixels; None measures it.
    device : str
        See `napari_unet.core.device`.
    """

    grace_s: ClassVar[float] = 5.0

    image: NDArray[Any]
    model: str
    diameter: float | None = None
    device: str = "auto"

    def run(self, cancelled: Callable[[], bool]) -> Generator[object, None, AttentionMaps]:
        """Yield nothing."""
        from napari_unet.core.attention import attention_maps, gate_names  # weight: runs torch
        from napari_unet.engine.compute import cached_model, give_back_gpu_memory
        from napari_unet.engine.errors import JobCancelledError

        yield from ()
        model = cached_model(self.model)
        names = tuple(gate_names(model))

        def check(done: int, total: int) -> None:
            if cancelled():
                raise JobCancelledError("The maps were given up; nothing was changed.")

        try:
            maps = attention_maps(
                self.image,
                model,
                axes="CYX",
                diameter=self.diameter,
                device=self.device,
                progress=check,
            )
        finally:
            give_back_gpu_memory()
        return AttentionMaps(names, maps)
