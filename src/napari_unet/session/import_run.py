"""A BioImage.IO package is taken in by the worker: nothing of it is run in the viewer."""

from __future__ import annotations

from pathlib import Path

from napari_unet.core.errors import NapariUnetError
from napari_unet.core.library import read_model_header, user_models_dir
from napari_unet.engine.runner import Runner
from napari_unet.engine.tasks import ImportTask

__all__ = ["ImportRun"]


class ImportRun:
    """Takes one package in; see `SegmentRun` for its use."""

    fraction = 0.0
    text = "testing the package"

    WHAT = "Opening a package"

    def __init__(self, runner: Runner, path: str) -> None:
        self.finished = False
        self.cancelled = False
        self.model = ""
        self._name = Path(path).name
        self._job = runner.submit(ImportTask(path, str(user_models_dir()), force=True))

    @property
    def sentence(self) -> str:
        """What is told to the user at the end."""
        if not self.model:
            return f"Stopped; {self._name} was not taken in."
        card = read_model_header(self.model)[1]
        return f"{card.title} is the current model and among your own; press Segment to use it."

    def cancel(self) -> None:
        """Stop; nothing is changed."""
        self.cancelled = True
        self._job.cancel()

    def pump(self) -> None:
        """Take what has come."""
        self._job.poll()  # makes an inline job go on
        if not self._job.done():
            return
        self.finished = True
        try:
            self.model = self._job.result()
        except NapariUnetError:
            if not self.cancelled:
                raise
