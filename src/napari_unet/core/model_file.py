"""A model in memory, and its one safetensors file: weights, config and card together."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.errors import InputError, ModelFileError
from napari_unet.core.files import write_beside
from napari_unet.core.graph_config import GraphConfig
from napari_unet.core.library import FORMAT_VERSION, find_model, read_model_header
from napari_unet.core.models.build import build_network
from napari_unet.core.models.graph import GraphNetwork

__all__ = ["Model", "load_model"]

GRAPH = "graph"  # the one tensor of a network that other programs have made: its file


@dataclass(frozen=True, eq=False)
class Model:
    """A network with what is needed to use it.

    Attributes
    ----------
    config : ModelConfig
        Its shape, normalisation and default threshold.
    card : ModelCard
        Where it comes from and how good it is.
    network : torch.nn.Module
        The network, on the CPU in float32.
    """

    config: ModelConfig
    card: ModelCard
    network: nn.Module

    def must_be_ours(self, what: str) -> None:
        """Refuse to do more with a network of other programs than to run it.

        Raises
        ------
        InputError
        """
        if self.config.graph is not None:
            raise InputError(
                f"{self.card.title or self.card.name} is a network that another program has made: "
                f"it segments, and cannot be {what}; choose one of the other models."
            )

    def must_be_of_planes(self, what: str) -> None:
        """Refuse what is not there for models of volumes.

        Raises
        ------
        InputError
        """
        if self.config.is_volumetric:
            raise InputError(
                f"{self.card.title or self.card.name} is a model of volumes: it segments volumes, "
                f"and cannot be {what}; choose a model of planes."
            )

    @classmethod
    def fresh(cls, config: ModelConfig, name: str = "untrained", seed: int = 0) -> Model:
        """Return an untrained model; the same seed gives the same weights."""
        generator = torch.Generator().manual_seed(seed)
        return cls(config, ModelCard(name), build_network(config, generator).eval())

    def save(self, path: str | Path, *, half: bool = True) -> Model:
        """Write the model beside `path`, then rename it into place.

        Parameters
        ----------
        path : str or Path
            File to write, ending in ".safetensors"; its folder is made if need be.
        half : bool
            Store weights in half precision, half the size; batch-norm statistics stay as
            they are.

        Returns
        -------
        Model
            The same model, whose card knows the path.

        Raises
        ------
        ModelFileError
            If the file cannot be written, or weights are not finite.
        """
        path = Path(path)
        if path.suffix != ".safetensors":
            raise ModelFileError(f"A model file ends in .safetensors, not as {path.name!r}.")
        metadata = {
            "napari_unet_format": str(FORMAT_VERSION),
            "config": json.dumps(self.config.to_json()),
            "card": json.dumps(self.card.to_json()),
        }
        try:
            # safetensors' own save_file makes a file that only its owner may read
            write_beside(path, save(self._stored(half), metadata))
        except OSError as error:
            raise ModelFileError(
                f"The model could not be written to {path}: {error.strerror or error}."
            ) from error
        return replace(self, card=replace(self.card, path=str(path)))

    def _stored(self, half: bool) -> dict[str, torch.Tensor]:
        stored = {}
        for name, tensor in self.network.state_dict().items():
            if not torch.isfinite(tensor).all():
                raise ModelFileError("The model has weights that are not finite; train it again.")
            is_statistic = "running_" in name or not tensor.is_floating_point()
            tensor = tensor if is_statistic or not half else tensor.half()
            stored[name] = tensor.detach().cpu().contiguous()
        return stored


def load_model(name_or_path: str | Path) -> Model:
    """Load a model by its name in the library or by its path; nothing is unpickled.

    Raises
    ------
    ModelFileError
        If there is no such model, or the file is damaged or foreign.
    """
    path = find_model(name_or_path)
    config, card = read_model_header(path)
    if config.graph is not None:
        return Model(config, card, _graph_network(path, config.graph))
    try:
        with torch.device("meta"):  # shapes alone: a damaged config may ask for any memory
            network = build_network(config)
        weights = {name: _restored(tensor) for name, tensor in load_file(path).items()}
        network.load_state_dict(weights, assign=True)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise ModelFileError(f"{path.name} is damaged: its weights do not fit.") from error
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise ModelFileError(f"{path.name} is damaged: it has weights that are not finite.")
    return Model(config, card, network.eval())


def _graph_network(path: Path, config: GraphConfig) -> nn.Module:
    """Return a network of other programs; it is run by the first image, not now."""
    try:
        graph = load_file(path)[GRAPH]
    except (SafetensorError, KeyError, OSError) as error:
        raise ModelFileError(f"{path.name} is damaged: it holds no network.") from error
    return GraphNetwork(graph, config).eval()


def _restored(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
