"""What is open in a viewer goes into a session folder, and comes back from it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from napari.layers import Image as ImageLayer

from napari_unet.bridge.layers import class_colour, read_image
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.workspace import Workspace
from napari_unet.core.errors import InputError, NapariUnetError
from napari_unet.formats.ome_tiff import read_labels_of_shape
from napari_unet.session.identity import identify
from napari_unet.session.pair import ObjectSettings, Pair
from napari_unet.session.save_run import Snapshot, identity_of, save_session
from napari_unet.session.saved import Saved, SavedImage, SavedSettings
from napari_unet.session.saved_folder import file_in, find_session, folder_for, read_saved
from napari_unet.session.saved_models import take_in_models, versions_to_save

__all__ = ["AskWhere", "Sessions"]

# A session may come from anybody: napari runs the first of these when it is told to open them, and
# readers of the others may.
PROGRAMS = {".py", ".pyw", ".pyc", ".ipynb", ".pkl", ".pickle"}

AskWhere = Callable[[str], Path | None]
"""Tells the user what is wrong with an image's file, and returns another; None to go without."""


class Sessions:
    """Saves and opens session folders; all methods are for the viewer's thread.

    Parameters
    ----------
    workspace : Workspace
        What is open; whoever owns it calls `pump` every now and then.

    Attributes
    ----------
    folder : Path or None
        Where the next save goes without asking.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._session = workspace, workspace.session
        self.folder: Path | None = None
        self._began = datetime.now(UTC).isoformat(timespec="seconds")
        self._known: list[str] = []  # files of the versions in the folder
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="napari-unet session")
        self._saving: tuple[Future[str], Path, dict[Pair, int]] | None = None

    # Saving

    @property
    def busy(self) -> bool:
        """Whether a session is being written."""
        return self._saving is not None

    def save(self, chosen: Path | None = None) -> None:
        """Save what is open in a second thread; the end is told by the session's `said`.

        Parameters
        ----------
        chosen : Path, optional
            A folder; None for the one of the last time.

        Raises
        ------
        InputError
            If there is nothing to save, or a save is under way.
        """
        if self._saving is not None:
            raise InputError("The session is being saved; wait a moment.")
        folder = self.folder if chosen is None else folder_for(chosen.absolute())
        if folder is None:
            raise InputError("Choose a folder to save the session in.")
        self._workspace.notice()
        items = self._to_save()
        if not items:
            raise InputError("There are no labels to save yet; segment or paint an image first.")
        snapshots = [self._snapshot(item) for item in items]
        wanted = [Path(item.pair.made_by).stem for item in items if item.pair.made_by]
        models = versions_to_save(self._session.versions, [*wanted, *self._known], self._began)
        edits = {item.pair: item.pair.edits for item in items}
        job = self._writer.submit(save_session, folder, snapshots, self._settings(), models)
        self._saving = job, folder, edits
        self._session.said.emit(f"Saving the session to {folder}…", False)

    def _to_save(self) -> list[OpenPair]:
        """Return the labels of each image, of objects and of classes; what is shown comes last."""
        workspace = self._workspace
        chosen: dict[tuple[str, bool], OpenPair] = {}
        for item in workspace.items():
            if item.image in workspace.viewer.layers:
                chosen.setdefault((str(item.image.unique_id), bool(item.pair.classes)), item)
        return sorted(chosen.values(), key=lambda item: item is workspace.current)

    def _snapshot(self, item: OpenPair) -> Snapshot:
        pair = item.pair
        key = self._session.size_key(pair.image)
        return Snapshot(
            image=pair.image,
            labels=pair.labels.copy(),
            checked=pair.checked.copy(),
            sizes=Snapshot.sizes_of(pair.size, key, pair.used_diameter),
            made_by=pair.made_by,
            classes=pair.classes,
            colours=tuple(class_colour(n) for n, _ in enumerate(pair.classes, 1)),
        )

    def _settings(self) -> SavedSettings:
        objects = self._session.settings
        return SavedSettings(
            objects.threshold,
            objects.min_size,
            objects.split,
            self._session.keep,
            self._session.teach_seconds,
        )

    def pump(self) -> None:
        """Take what the thread has done; never waits."""
        if self._saving is not None and self._saving[0].done():
            self._finish()

    def _finish(self) -> None:
        """Corrections that are in the folder need not be offered again after a crash."""
        assert self._saving is not None
        (job, folder, edits), self._saving = self._saving, None
        sentence = job.result()
        self.folder = folder
        self._known = [version.file for version in read_saved(folder).versions]
        for pair, count in edits.items():
            self._workspace.keeper.saved(pair, count)
        self._session.said.emit(sentence, False)

    def close(self) -> None:
        """Wait until what is being saved is on disk."""
        self._writer.shutdown(wait=True)
        self._session.guarded(self.pump)

    # Opening

    def open(self, chosen: Path, where: AskWhere) -> None:
        """Open a session; labels that are open already become as saved, which can be undone.

        Parameters
        ----------
        chosen : Path
            Its folder.
        where : callable
            Is asked where an image is that cannot be found or has changed.

        Raises
        ------
        InputError
            If it is no session, or something runs.
        """
        if self._session.busy:
            raise InputError(f"{self._session.busy} is running; stop it first or wait.")
        saved = read_saved(chosen)
        folder = find_session(chosen.absolute())
        assert folder is not None  # read_saved has said so otherwise
        problems = self._take_models(folder, saved)
        self._take_settings(saved.settings)
        opened = 0
        for one in saved.images:
            try:
                self._open_image(folder, one, where)
                opened += 1
            except NapariUnetError as error:
                problems.append(str(error))
        self.folder = folder
        self._known = [version.file for version in saved.versions]
        count = f"{opened} image{'s' * (opened != 1)}"
        if opened < len(saved.images):
            count = f"{opened} of {len(saved.images)} images"
        sentence = " ".join([f"Opened {count} of {folder}.", *problems])
        self._session.said.emit(sentence, bool(problems))

    def _take_models(self, folder: Path, saved: Saved) -> list[str]:
        try:
            model, current, problems = take_in_models(folder, saved)
            self._session.take_up_versions(model, current)
        except NapariUnetError as error:
            return [str(error)]
        return problems

    def _take_settings(self, settings: SavedSettings) -> None:
        session = self._session
        session.settings = ObjectSettings(settings.threshold, settings.min_size, settings.split)
        session.keep = session.keep if settings.keep is None else settings.keep
        session.teach_seconds = settings.seconds or session.teach_seconds
        session.settings_changed.emit()

    def _open_image(self, folder: Path, one: SavedImage, where: AskWhere) -> None:
        layer = self._find_layer(folder, one, where)
        workspace = self._workspace
        workspace.choose(layer)
        workspace.choose_channels(_channel_axis(one), one.channels)
        shape = workspace.image().shape
        labels = read_labels_of_shape(file_in(folder, "labels", one.file), shape)
        checked = read_labels_of_shape(file_in(folder, "checked", one.file), shape) != 0
        self._take_size(layer, one)
        item = workspace.open_for(one.classes)
        workspace.notice()
        pair = item.pair
        is_new = not pair.labels.any() and not pair.checked.any()
        planes = {
            place: (labels[place], checked[place].view("u1"))
            for place in pair.image.places()
            if not is_new or labels[place].any() or checked[place].any()
        }
        if is_new:
            pair.take_up(planes)
            workspace.keeper.saved(pair, pair.edits)
        else:
            pair.restore(planes)
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

    def _find_layer(self, folder: Path, one: SavedImage, where: AskWhere) -> ImageLayer:
        """Return the layer of an image: open already, opened from its link, or found by the user.

        Raises
        ------
        InputError
            If the user goes without it.
        """
        for layer in self._workspace.images():
            if _shows(layer, one):
                return layer
        links = [folder / one.relative] if one.relative else []
        links += [Path(one.absolute)] if one.absolute else []
        there = [path for path in dict.fromkeys(links) if _is_there(path)]
        problem = f"{one.name} is not at {one.absolute} any more"
        while True:
            for path in there:
                found, problem = self._open_file(path, one)
                if found is not None:
                    return found
            chosen = where(f"{problem}; choose where the image is.")
            if chosen is None:
                raise InputError(f"{problem}: it was left out; open the session again to find it.")
            there = [chosen]

    def _open_file(self, path: Path, one: SavedImage) -> tuple[ImageLayer | None, str]:
        """Return the layer of an image in a file, or None and why not; others are not kept."""
        if path.suffix.lower() in PROGRAMS:
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


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # it may not be asked for, or its name is too long
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
