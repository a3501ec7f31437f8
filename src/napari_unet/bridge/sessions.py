"""What is open in a viewer goes into a session folder, and comes back from it."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from napari_unet.bridge.layers import class_colour
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.opening import AskWhere, Opening
from napari_unet.bridge.workspace import Workspace
from napari_unet.core.errors import InputError
from napari_unet.session.pair import Pair
from napari_unet.session.save_run import Snapshot, save_session
from napari_unet.session.saved import SavedSettings
from napari_unet.session.saved_folder import find_session, folder_for, read_saved
from napari_unet.session.saved_models import versions_to_save

__all__ = ["Sessions"]


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
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="napari-unet session")
        self._saving: tuple[Future[str], Path, dict[Pair, int]] | None = None
        self._openings: list[Opening] = []  # the first one is under way

    # Saving

    @property
    def busy(self) -> bool:
        """Whether a session is being written or opened."""
        return self._saving is not None or bool(self._openings)

    def save(self, chosen: Path | None = None) -> None:
        """Save what is open in a second thread; the end is told by the session's `said`.

        Parameters
        ----------
        chosen : Path, optional
            A folder; None for the one of the last time.

        Raises
        ------
        InputError
            If there is nothing to save, or a session is being saved or opened.
        """
        if self._saving is not None:
            raise InputError("The session is being saved; wait a moment.")
        if self._openings:
            raise InputError("A session is being opened; wait a moment, then save.")
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
        job = self._thread.submit(save_session, folder, snapshots, self._settings(), models)
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
            self._session.average,
        )

    def pump(self) -> None:
        """Take what the thread has done; never waits."""
        if self._saving is not None and self._saving[0].done():
            self._finish()
        if self._openings:
            self._go_on(self._openings[0])

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
        """Wait until what is being saved is on disk; what is being opened is given up."""
        for opening in self._openings:
            opening.stop()
        self._openings.clear()
        self._thread.shutdown(wait=self._saving is not None)
        self._session.guarded(self.pump)

    # Opening

    def open(self, chosen: Path, where: AskWhere) -> None:
        """Open a session; labels that are open already become as saved, which can be undone.

        Files are read in a second thread; the end is told by the session's `said`.

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
        self._openings.append(Opening(self._workspace, self._thread, folder, saved, where))
        self._session.said.emit(f"Opening the session of {folder}…", False)
        self.pump()

    def _go_on(self, opening: Opening) -> None:
        try:
            opening.pump()
        finally:
            if opening.is_over and opening in self._openings:
                self._openings.remove(opening)
        if opening.is_over:
            self.folder = opening.folder
            self._known = [version.file for version in opening.saved.versions]
