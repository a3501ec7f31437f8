"""Which image and which model: the top of every dock."""

from __future__ import annotations

from typing import Any  # values of combo boxes

from magicgui.widgets import Container, PushButton, Widget
from qtpy.QtWidgets import QFileDialog, QInputDialog, QMenu

from napari_unet.bridge.layers import axes_of, channel_axes, channel_choices, image_problem
from napari_unet.core.errors import NapariUnetError
from napari_unet.core.neighbours import through_axis
from napari_unet.widgets.attention_action import AttentionAction
from napari_unet.widgets.card import CardDialog
from napari_unet.widgets.parts import Choice, Note, Panel, button, fields, follow, row
from napari_unet.widgets.session_menu import SessionMenu
from napari_unet.widgets.size_row import SizeRow
from napari_unet.widgets.workbench import Workbench

__all__ = ["Header"]

PLUGIN, SAMPLE = "napari-unet-interactive", "nuclei"
NO_AXIS = -1
MODEL_FILES = "Models (*.safetensors *.zip)"


class Header(Panel):
    """Image, channels and model; an empty viewer is offered something to open."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self.image = Choice(label="Image", tooltip="The image layer to work on.")
        self.axis = Choice(label="Channels", tooltip="Which axis of the image holds its channels.")
        self.channel = Choice(label="Channel", tooltip="What the model is given of the image.")
        self.model = Choice(label="Model", tooltip="The network that finds the objects.")
        self.menu = PushButton(text="…", tooltip="Save and open sessions and models.")
        self.menu.native.setFixedWidth(32)
        self.card: CardDialog | None = None
        self.about = button(
            "i", "About this model: what it is for, how good it is.", self.show_card
        )
        self.about.native.setFixedWidth(24)
        self.problem = Note()
        self.open_image = button("Open an image…", "Choose a file to open.", self._open_image)
        self.open_sample = button(
            "Open the sample", "A drawn image of nuclei, to try the loop.", self._open_sample
        )
        self.empty = row(self.open_image, self.open_sample)
        self.model_row: Container[Widget] = row(self.model, self.about, self.menu, label="Model")
        self.size = SizeRow(bench)
        choices = fields(
            self.image, self.axis, self.channel, self.model_row, self.size.line, self.size.physical
        )
        super().__init__([choices, self.problem, self.empty])
        self._fill_menu()
        self.image.changed.connect(self._on_image)
        self.axis.changed.connect(self._on_channels)
        self.channel.changed.connect(self._on_channels)
        self.model.changed.connect(self._on_model)
        follow(self.native, bench.workspace.layers_changed, self._show_images)
        follow(self.native, bench.workspace.chosen_changed, self._show_images)
        follow(self.native, bench.session.models_changed, self._show_models)
        self._show_models()
        self._show_images()
        self.size.refresh()

    # Image

    def _show_images(self) -> None:
        workspace = self._bench.workspace
        images = workspace.images()
        chosen = workspace.chosen
        names = [(layer.name, str(layer.unique_id)) for layer in images]
        self.image.offer(names, None if chosen is None else str(chosen.unique_id))
        self.image.enabled = bool(images)
        self.empty.visible = not images
        self._show_channels()

    def _on_image(self, identity: str | None) -> None:
        if identity is None:
            return
        workspace = self._bench.workspace
        workspace.choose(
            next((layer for layer in workspace.images() if str(layer.unique_id) == identity), None)
        )

    def _show_channels(self) -> None:
        workspace, layer = self._bench.workspace, self._bench.workspace.chosen
        axes = channel_axes(layer) if layer is not None else {}
        named = [(name, axis) for axis, name in axes.items()]
        axis = NO_AXIS if workspace.channel_axis is None else workspace.channel_axis
        self.axis.offer([("none, it is a stack", NO_AXIS), *named], axis)
        self.axis.visible = bool(axes)
        choices = self._channel_choices()
        if choices and workspace.channels not in [value for _, value in choices]:
            workspace.channels = choices[0][1]
        self.channel.offer(choices, workspace.channels)
        self.channel.visible = len(choices) > 1
        self._show_problem()

    def _channel_choices(self) -> list[tuple[str, tuple[int, ...]]]:
        workspace = self._bench.workspace
        if workspace.chosen is None:
            return []
        try:
            needed = self._bench.session.model[0].image_channels
        except NapariUnetError:
            return []  # `reason` says why
        return channel_choices(workspace.chosen, workspace.channel_axis, needed)

    def _on_channels(self, _: Any) -> None:
        axis = self.axis.value
        workspace = self._bench.workspace
        axis = None if axis in (None, NO_AXIS) else axis
        if axis != workspace.channel_axis:
            workspace.choose_channels(axis, (0,))
            self._show_channels()
        elif self.channel.value is not None:
            workspace.choose_channels(axis, self.channel.value)

    # Model

    def _show_models(self) -> None:
        session = self._bench.session
        models = [(card.title or card.name, card.path) for card in session.models()]
        self.model.offer(models, session.model_path)
        self._show_channels()

    def _on_model(self, name: str | None) -> None:
        if name is None:
            return
        try:
            self._bench.session.choose_model(name)
        except NapariUnetError as error:
            self.problem.say(str(error), failure=True)

    def reason(self) -> str:
        """Return why image and model cannot be used together, or nothing."""
        workspace, layer = self._bench.workspace, self._bench.workspace.chosen
        if layer is None:
            return "Open an image first."
        problem = image_problem(layer)
        if problem:
            return problem
        try:
            config = self._bench.session.model[0]
            needed = config.image_channels
            if config.slices > 1:
                through_axis(axes_of(layer, workspace.channel_axis), layer.name)
        except NapariUnetError as error:
            return str(error)
        if not self._channel_choices():
            return (
                f"The model takes {needed} channels and the image has fewer; choose another model."
            )
        given = len(workspace.channels) or 1
        if given != needed:
            hint = "choose the axis of its channels" if channel_axes(layer) else "choose another"
            return f"The model takes {needed} channels and is given {given}; {hint}."
        return ""

    def _show_problem(self) -> None:
        layer = self._bench.workspace.chosen
        reason = self.reason() if layer is not None else "No image is open yet."
        self.problem.say(reason, failure=layer is not None)
        self._bench.session.state_changed.emit()

    # The model's menu, and opening

    def _fill_menu(self) -> None:
        menu = QMenu(self.menu.native)
        menu.addAction("About this model", self.show_card)
        menu.addAction("Save this model as…", self.ask_and_save)
        menu.addAction("Load a model file…", self._ask_and_load)
        self.attention = AttentionAction(self._bench, menu, self.menu.native)
        menu.addSeparator()
        self.session_menu = SessionMenu(self._bench, menu, self.menu.native)
        self.menu.native.setMenu(menu)

    def show_card(self) -> None:
        """Show what is known of the current version."""
        try:
            config, card = self._bench.session.model
        except NapariUnetError as error:
            self._bench.session.said.emit(str(error), True)
            return
        self._close_card()
        self.card = CardDialog(config, card, self.native)
        self.card.destroyed.connect(self._forget_card)
        self.card.show()

    def _close_card(self) -> None:
        if self.card is not None:
            self.card.destroyed.disconnect(
                self._forget_card
            )  # it is deleted after the next is there
            self.card.close()

    def _forget_card(self) -> None:
        self.card = None

    def ask_and_save(self) -> None:
        """Ask for a name and save the current version under it."""
        version = self._bench.session.versions
        proposal = version.base.title + (f", {version.current.title}" if version.index else " copy")
        title, agreed = QInputDialog.getText(
            self.native, "Save this model", "Name of the model:", text=proposal
        )
        if agreed:
            self.save_as(title)

    def save_as(self, title: str) -> None:
        """Save the current version; a problem is shown in the dock."""
        try:
            self._bench.session.save_model_as(title)
        except NapariUnetError as error:
            self._bench.session.said.emit(str(error), True)

    def _ask_and_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self.native, "Load a model", "", MODEL_FILES)
        if path:
            self.load(path)

    def load(self, path: str) -> None:
        """Load a model file; a problem is shown in the dock."""
        try:
            self._bench.session.open_model(path)
        except NapariUnetError as error:
            self._bench.session.said.emit(str(error), True)

    def _open_image(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self.native, "Open an image")
        if paths:
            self._bench.viewer.open(paths, stack=False)

    def _open_sample(self) -> None:
        self._bench.viewer.open_sample(PLUGIN, SAMPLE)
