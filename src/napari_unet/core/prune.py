"""A U-Net++ cut to a shallower one, which is faster and needs less to see around it."""

from __future__ import annotations

from dataclasses import replace

from napari_unet.core.errors import InputError
from napari_unet.core.lineage import card_of_cut
from napari_unet.core.model_file import Model
from napari_unet.core.models.build import build_network

__all__ = ["pruned"]


def pruned(model: Model, depth: int) -> Model:
    """Keep the nodes that the output of one depth needs (Zhou et al. 2018, section 3.2).

    Parameters
    ----------
    model : Model
        A U-Net++ that was trained with deep supervision; it is not changed.
    depth : int
        Poolings that are left, from 1 to one below the model's.

    Returns
    -------
    Model
        A U-Net++ of that depth. What was measured of the deeper one is not said of it: its card
        has no scores, and it leaves no object out for its looks.

    Raises
    ------
    InputError
        If it is another architecture, or there is no such depth.
    """
    config = model.config
    if config.architecture != "unet++":
        raise InputError(f"The model is a {config.architecture}; only a unet++ can be pruned.")
    if not 1 <= depth < config.depth:
        raise InputError(
            f"A model of depth {config.depth} cannot be pruned to {depth}; give a depth of at "
            "least 1 that is below its own."
        )
    config = replace(config, depth=depth, object_score=())
    network = build_network(config)
    weights = model.network.state_dict()
    for part in ("weight", "bias"):
        weights[f"head.{part}"] = weights[f"side_heads.{depth - 1}.{part}"]
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    card = card_of_cut(model.card, f"pruned from depth {model.config.depth} to {depth}")
    return Model(config, card, network.eval())
