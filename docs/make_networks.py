"""Write the tables of docs/networks.md from the code, so that they say what is so.

Run it as ``python docs/make_networks.py``; tests/test_docs.py fails where it would change them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_unet.core.architectures import ARCHITECTURES, NORMS, Architecture
from napari_unet.core.config import ModelConfig
from napari_unet.core.loss_config import LOSSES
from napari_unet.core.models.build import build_network
from napari_unet.core.optimisers import OPTIMISERS, OptimiserKind
from napari_unet.core.schedules import SCHEDULES, Schedule
from napari_unet.core.tiling import network_geometry

TARGET = Path(__file__).parent / "networks.md"
WIDTH = 32
SIDE = 512
VOLUME_SIDE = 64


def main() -> None:
    """Write the tables into the page."""
    TARGET.write_text(with_tables(TARGET.read_text(encoding="utf-8")), encoding="utf-8")


def with_tables(page: str) -> str:
    """Return the page with its tables as the code says they are."""
    tables = {
        "networks": networks(),
        "norms": norms(),
        "optimisers": crafts("`--optimiser`", OPTIMISERS),
        "schedules": crafts("`--schedule`", SCHEDULES),
        "losses": losses(),
    }
    for name, table in tables.items():
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        assert between.search(page), name
        page = between.sub(lambda match, table=table: match[1] + table + "\n" + match[2], page)
    return page


def networks() -> str:
    """The table of architectures."""
    rows = [
        ["`--architecture`", "what it is", "from", "poolings", "parameters", "GFLOP a Mpx"],
        ["---", "---", "---", "--:", "--:", "--:"],
        *(_network(one) for one in ARCHITECTURES.values()),
    ]
    rows[0] += ["sees, px", "tiles begin at multiples of", "tiled = untiled"]
    rows[1] += ["--:", "--:", "---"]
    return _table(rows)


def _network(one: Architecture) -> list[str]:
    config = ModelConfig(one.name, width=WIDTH, depth=one.depth)
    geometry = network_geometry(config)
    side = geometry.patch_side(SIDE if one.axes == 2 else VOLUME_SIDE)
    with torch.device("meta"):
        network = build_network(config).eval()
        parameters = sum(tensor.numel() for tensor in network.parameters())
        with FlopCounterMode(display=False) as counter:
            answer = network(torch.zeros(1, 1, *one.axes * [side]))
    flops = counter.get_total_flops() / math.prod(answer.shape[2:])
    return [
        f"`{one.name}`",
        one.sentence,
        one.paper,
        str(one.depth),
        f"{parameters / 1e6:.2f} M",
        f"{flops / 1e3:.0f}",
        str(one.reach(one.depth)),
        str(geometry.grid),
        "yes",
    ]


def crafts(option: str, kinds: Mapping[str, OptimiserKind] | Mapping[str, Schedule]) -> str:
    """A table of optimisers or of schedules."""
    rows = [[option, "what it is", "from"], ["---"] * 3]
    return _table(rows + [[f"`{name}`", one.sentence, one.paper] for name, one in kinds.items()])


def norms() -> str:
    """The table of norms."""
    head = [["`--norm`", "what it is"], ["---", "---"]]
    return _table([*head, *([f"`{name}`", sentence] for name, sentence in NORMS.items())])


def losses() -> str:
    """The table of losses."""
    rows = [["`--loss`", "what it is", "from", "can be told"], ["---", "---", "---", "---"]]
    for name, kind in LOSSES.items():
        told = ", ".join(f"{key}={one.default:g}" for key, one in kind.settings.items())
        rows.append([f"`{name}`", kind.sentence, kind.paper, told])
    return _table(rows)


def _table(rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    main()
