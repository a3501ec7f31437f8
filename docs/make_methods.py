"""Write docs/methods.md: every method, and the test that runs it.

Run it as ``python docs/make_methods.py``; tests/test_docs.py fails where it would change the page,
or where a test that it names is not there.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(__file__).with_name("methods.md")
sys.path.insert(0, str(ROOT / "tests"))

from methods import OTHERS, WHOLE_WAY  # noqa: E402

TOP = """# Methods and their tests

Each row names the test that holds it. Those of the first table go the whole way there: a tiny
network is trained a little, answers tiled as it does untiled, is saved and loaded, segments, is
exported to TorchScript, which gives the same probabilities, and is taught (models of volumes by a
test of their own, see the second table). ONNX has a test of its own for each network,
`tests/core/test_export.py`. Where each comes from is in [networks.md](networks.md).

This page is written by `python docs/make_methods.py`; a test fails where it differs from the code
or names a test that is not there.

## The whole way
"""

BELOW = """
## Measures, docks, smaller models, volumes
"""


def page() -> str:
    """Return the page as the code says it."""
    rows = ["| method | name | what it is | test |", "| --- | --- | --- | --- |"]
    rows += [f"| {m.kind} | `{m.name}` | {m.sentence} | {_test(m.test)} |" for m in WHOLE_WAY]
    others = ["| what | name | test |", "| --- | --- | --- |"]
    others += [f"| {kind} | {name} | {_test(test)} |" for (kind, name), test in OTHERS.items()]
    return "\n".join([TOP, *rows, BELOW, *others]) + "\n"


def _test(name: str) -> str:
    return f"`{name.partition('::')[2]}` in `{name.partition('::')[0]}`"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
