"""Opening a session: its images and their labels come one by one, and the viewer never waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from itertools import product
from pathlib import Path
from typing import Any  # futures of several kinds

import numpy as np
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from napari_unet.bridge.layers import read_image
from napari_unet.bridge.workspace import Workspace
from napari_unet.core.errors import InputError, NapariUnetError
from napari_unet.formats.ome_tiff import read_labels_of_shape
from napari_unet.session.identity import identify
from napari_unet.session.image import Place
from napari_unet.session.pair import ObjectSettings
from napari_unet.session.save_run import identity_of
from napari_unet.session.saved import Saved, SavedImage, SavedSettings
from napari_unet.session.saved_folder import file_in
from napari_unet.session.saved_models import take_in_models

__all__ = ["AskWhere", "Opening"]

# A session may come from anybody: napari runs the first of these when it is told to open them, and
# readers of the others may.
PROGRAMS = {".py", ".pyw", ".pyc", ".ipynb", ".pkl", ".pickle"}
POSTSCRIPT = (b"%!", b"\xc5\xd0\xd3\xc6")  # how it begins; Pillow has Ghostscript run it
CLOSED = "{} was closed while its labels were read; open the session again."

AskWhere = Callable[[str], Path | None]
"""Tells the user what is wrong with an image's file, and returns another; None to go without."""

Planes = dict[Place, tuple[NDArray[np.int32], NDArray[np.uint8]]]
"""Labels and checked area of each plane."""


class Opening:
    """Opens one session; files of labels and models are read in a thread.

    Meanwhile the user may do anything: what has come is taken when it fits what is open then.

    Parameters
    ----------
    workspace : Workspace
    thread : Executor
        Where files are read.
    folder : Path
        Where the session lies.
    saved : Saved
        What its file says.
    where : callable
        Is asked where an image is that cannot be found or has changed.

    Attributes
    ----------
    is_over : bool
        Nothing more will come.
    """

    def __init__(
        self,
        workspace: Workspace,
        thread: Executor,
        folder: Path,
        saved: Saved,
        where: AskWhere,
    ) -> None:
        self._workspace, self._session = workspace, workspace.session
        self._thread, self._where = thread, where
        self.folder, self.saved = folder, saved
        self.is_over = False
        self._is_at_work = False
        self._reading: Future[Any] | None = None
        self._problems: list[str] = []
        self._steps = self._open_all()

    def pump(self) -> None:
        """Go on where the thread is ready; never waits."""
        is_reading = self._reading is not None and not self._reading.done()
        if self.is_over or self._is_at_work or is_reading:  # at work: a dialog lets the timer go on
            return
        self._is_at_work = True
        try:
            self._reading = next(self._steps, None)
        except BaseException:
            self._reading = None
            raise
        finally:
            self._is_at_work = False
            self.is_over = self.is_over or self._reading is None

    def stop(self) -> None:
        """Take nothing more; what was opened stays."""
        self.is_over = True
        if self._reading is not None:
            self._reading.cancel()

    def _open_all(self) -> Iterator[Future[Any]]:
        """Yield what has to be waited for."""
        models = self._thread.submit(take_in_models, self.folder, self.saved)
        yield models
        self._take_models(models)
        self._take_settings(self.saved.settings)
        opened, images = 0, self.saved.images
        for one in images:
            try:
                yield from self._open_image(one)
                opened += 1
            except NapariUnetError as error:
                self._problems.append(str(error))
            if self.is_over:
                return
        count = f"{opened} image{'s' * (opened != 1)}"
        if opened < len(images):
            count = f"{opened} of {len(images)} images"
        sentence = " ".join([f"Opened {count} of {self.folder}.", *self._problems])
        self._session.said.emit(sentence, bool(self._problems))

    def _take_models(self, models: Future[tuple[str, str, list[str]]]) -> None:
        try:
            model, current, problems = models.result()
            self._session.take_up_versions(model, current)
        except NapariUnetError as error:
            problems = [str(error)]
        self._problems += problems

    def _take_settings(self, settings: SavedSettings) -> None:
        session = self._session
        session.settings = ObjectSettings(settings.threshold, settings.min_size, settings.split)
        session.keep = session.keep if settings.keep is None else settings.keep
        session.teach_seconds = settings.seconds or session.teach_seconds
        session.average = settings.average
        session.settings_changed.emit()

    def _open_image(self, one: SavedImage) -> Iterator[Future[Any]]:
        layer = self._find_layer(one)
        shape = read_image(layer, one.channels, _channel_axis(one)).shape
        reading = self._thread.submit(_read_planes, self.folder, one, shape)
        yield reading
        planes = reading.result()
        workspace = self._workspace
        if layer not in workspace.viewer.layers or not _shows(layer, one):
            raise InputError(CLOSED.format(one.name))
        workspace.choose(layer)
        workspace.choose_channels(_channel_axis(one), one.channels)
        self._take_size(layer, one)
        item = workspace.open_for(one.classes)
        workspace.notice()
        pair = item.pair
        if pair.visited or pair.labels.any():
            pair.restore(planes)
        else:
            pair.take_up({place: plane for place, plane in planes.items() if _any(plane)})
            workspace.keeper.saved(pair, pair.edits)
        pair.used_diameter, pair.made_by = one.used_diameter, self._model_of(one)
        workspace.labels_changed(item)

    def _take_size(self, layer: ImageLayer, one: SavedImage) -> None:
        size, key = self._workspace.size(layer), self._session.size_key(self._workspace.image())
        if one.typed is not None:
            size.type(one.typed)
        if key is not None and one.measured is not None:
            size.measured(key, one.measured)
        if key is not None and one.checked is not None:
            size.set_checked(key, one.checked)
        self._session.size_changed.emit()

    def _model_of(self, one: SavedImage) -> str:
        items = self._session.versions.items
        return next((item.model for item in items if Path(item.model).stem == one.made_by), "")

    def _find_layer(self, one: SavedImage) -> ImageLayer:
        """Return the layer of an image: open already, opened from its link, or found by the user.

        Raises
        ------
        InputError
            If the user goes without it.
        """
        for layer in self._workspace.images():
            if _shows(layer, one):
                return layer
        links = [self.folder / one.relative] if one.relative else []
        links += [Path(one.absolute)] if one.absolute else []
        there = [path for path in dict.fromkeys(links) if _is_there(path)]
        problem = f"{one.name} is not at {one.absolute} any more"
        while True:
            for path in there:
                found, problem = self._open_file(path, one)
                if found is not None:
                    return found
            chosen = self._where(f"{problem}; choose where the image is.")
            if self.is_over:  # the window was closed behind the question
                raise InputError(f"{problem}.")
            if chosen is None:
                raise InputError(f"{problem}: it was left out; open the session again to find it.")
            there = [chosen]

    def _open_file(self, path: Path, one: SavedImage) -> tuple[ImageLayer | None, str]:
        """Return the layer of an image in a file, or None and why not; others are not kept."""
        if _is_program(path):
            return None, f"{path.name} is a program and not opened"
        viewer = self._workspace.viewer
        try:
            added = viewer.open(str(path), plugin=None)
        except Exception as error:  # readers raise whatever they stumble on
            said = " ".join(str(error).split())[:200].rstrip(".")
            return None, f"{path.name} could not be opened ({said})"
        for layer in added:
            if isinstance(layer, ImageLayer) and _shows(layer, one):
                layer.name = one.name
                return layer, ""
        for layer in added:
            viewer.layers.remove(layer)
        return None, f"{path} has changed since, or is not {one.name}"


def _read_planes(folder: Path, one: SavedImage, shape: tuple[int, ...]) -> Planes:
    """Read labels and checked area of an image; for a second thread."""
    labels = read_labels_of_shape(file_in(folder, "labels", one.file), shape)
    checked = read_labels_of_shape(file_in(folder, "checked", one.file), shape) != 0
    places = product(*map(range, shape[:-2]))
    return {place: (labels[place], checked[place].view(np.uint8)) for place in places}


def _any(plane: tuple[NDArray[Any], NDArray[Any]]) -> bool:
    return any(bool(array.any()) for array in plane)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # it may not be asked for, or its name is too long
        return False


def _is_program(path: Path) -> bool:
    """Whether a file is one by its ending, or is PostScript, under whatever ending."""
    if path.suffix.lower() in PROGRAMS:
        return True
    try:
        with path.open("rb") as file:
            return file.read(4).startswith(POSTSCRIPT)
    except OSError:  # a folder; or whoever opens it will say what is wrong
        return False


def _channel_axis(one: SavedImage) -> int | None:
    is_rgb = one.axes.endswith("YXC")
    return one.axes.index("C") if "C" in one.axes and not is_rgb else None


def _shows(layer: ImageLayer, one: SavedImage) -> bool:
    """Whether a layer shows the pixels of a saved image."""
    try:
        image = read_image(layer, one.channels, _channel_axis(one))
    except InputError:
        return False
    if image.axes != one.axes or tuple(image.data.shape) != one.shape:
        return False
    return identify(image).is_same(identity_of(one))
