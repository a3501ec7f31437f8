"""Which models there are to choose from, which one is current, and its versions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from psygnal import Signal

from napari_unet.core.class_labels import classes_with
from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.errors import InputError, NapariUnetError
from napari_unet.core.library import find_model, read_model_header
from napari_unet.core.object_score import ObjectScore
from napari_unet.core.rescale import usual_min_size
from napari_unet.session.memory import Memory, memory_dir
from napari_unet.session.model_list import model_cards
from napari_unet.session.pair import Pair
from napari_unet.session.versions import Versions, save_version

__all__ = ["DEFAULT_MODEL", "ModelShelf"]

DEFAULT_MODEL = "nuclei-fluorescence"


class ModelShelf:
    """The part of a session that knows of models."""

    state_changed = Signal()
    """What can be pressed may have changed."""
    models_changed = Signal()
    """There are other models to choose from, or another is current."""
    versions_changed = Signal()
    """A version was added, made current, renamed or deleted."""
    said = Signal(str, bool)
    """A sentence for the user, and whether it is about a failure."""

    def __init__(self) -> None:
        self._extra_models: list[str] = []
        self._versions: dict[str, Versions] = {}
        self._memories: dict[Path, Memory] = {}
        self.remembers = True
        self.model_path = str(find_model(DEFAULT_MODEL))

    def models(self) -> list[ModelCard]:
        """Return the cards of the models that can be chosen."""
        return model_cards(self._extra_models)

    def choose_model(self, name: str) -> None:
        """Make another model current; `name` is in the library or a path."""
        path = str(find_model(name))
        if path != self.model_path:
            self._versions.setdefault(path, Versions.of(path))
            self.model_path = path
            self.models_changed.emit()
            self.versions_changed.emit()
            self.state_changed.emit()

    def load_model_file(self, path: str) -> None:
        """Add a model from a file and make it current.

        Raises
        ------
        ModelFileError
            If it is not a model.
        """
        path = str(Path(path).absolute())
        read_model_header(path)
        if path not in self._extra_models:
            self._extra_models.append(path)
        self.choose_model(path)

    def save_model_as(self, title: str) -> Path:
        """Save the current version among the user's own models, under a title."""
        path = save_version(self.versions.current, title)
        self.models_changed.emit()
        self.said.emit(
            f"Saved as {title.strip()!r}; it is in the list of models from now on.", False
        )
        return path

    @property
    def versions(self) -> Versions:
        """The current model and what was taught to it."""
        if self.model_path not in self._versions:
            self._versions[self.model_path] = Versions.of(self.model_path)
        return self._versions[self.model_path]

    def go_to_version(self, index: int) -> None:
        """Make a version current; it segments from the next press on."""
        if index != self.versions.index:
            self.versions.go_to(index)
            self.versions_changed.emit()

    def take_up_versions(self, model: str, version: str) -> None:
        """Make a model current, with what is among its versions on disk by now.

        Parameters
        ----------
        model : str
            See `choose_model`.
        version : str
            Which one segments: a file without its ending; one that is not there changes nothing.
        """
        self.choose_model(model)
        self.versions.look_again()
        stems = [Path(item.model).stem for item in self.versions.items]
        if version in stems:
            self.versions.go_to(stems.index(version))
        self.versions_changed.emit()

    @property
    def model(self) -> tuple[ModelConfig, ModelCard]:
        """Settings and card of the current version."""
        return read_model_header(find_model(self.versions.current.model))

    def usual_min_size(self, pair: Pair | None) -> int:
        """Return the smallest object that the model usually finds, in pixels of the image."""
        try:
            config = self.model[0]
        except NapariUnetError:  # the file is gone, and those who need it say so
            config = ModelConfig()
        return usual_min_size(config, None if pair is None else pair.used_diameter)

    def must_fit(self, pair: Pair) -> None:
        """Refuse to segment classes with a model of objects, and the other way round.

        Raises
        ------
        InputError
            With a sentence that says what to do.
        """
        config = self.model[0]
        if config.semantic and not pair.classes:
            raise InputError("This model tells classes apart; choose labels with classes.")
        if pair.classes and not config.semantic:
            raise InputError("This model finds objects; paint a little of each class and Teach it.")
        if config.semantic:
            pair.speaks_with(config.classes)

    def of_one_kind(
        self, pairs: Sequence[Pair], like: Pair | None
    ) -> tuple[list[Pair], tuple[str, ...]]:
        """Return the pairs that are taught together, of objects or of classes, and the classes.

        Raises
        ------
        InputError
            If objects are to be taught to a model of classes.
        """
        config = self.model[0]
        if config.graph is not None:
            raise InputError(
                "This model is a network of another program: it segments, and cannot be taught; "
                "choose another model to teach."
            )
        if config.is_volumetric and like is not None and like.classes:
            raise InputError("A model of volumes finds objects; choose labels that are no classes.")
        if like is None or not like.classes:
            if config.semantic:
                raise InputError(
                    "This model tells classes apart; choose labels with classes, or another model."
                )
            return [pair for pair in pairs if not pair.classes], ()
        chosen = [pair for pair in pairs if pair.classes]
        names = tuple(dict.fromkeys(name for pair in chosen for name in pair.classes))
        classes = classes_with(config, names)
        for pair in chosen:
            pair.speaks_with(classes)
        return chosen, names

    def object_score(self, path: str = "") -> ObjectScore | None:
        """Return how objects are judged by the current version, or by a model in a file."""
        try:
            return (read_model_header(Path(path)) if path else self.model)[0].score
        except NapariUnetError:
            return None

    @property
    def memory(self) -> Memory:
        """What was taught to the current model, in any of its versions."""
        folder = memory_dir(find_model(self.versions.base.model).stem)
        return self._memories.setdefault(folder, Memory(folder))

    @property
    def memory_if_wanted(self) -> Memory | None:
        """What teaching reads and writes: nothing where `remembers` is off."""
        return self.memory if self.remembers else None
