"""The notebook of the Python API runs from its first cell to its last, and does what it says."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "python.ipynb"


def cells():
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


def test_every_cell_is_python_and_none_holds_an_output():
    for number, source in enumerate(cells()):
        compile(source, f"cell {number}", "exec")
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in found)


@pytest.mark.slow
def test_the_notebook_runs_and_teaching_helps():
    names = {}
    for number, source in enumerate(cells()):
        exec(compile(source, f"cell {number}", "exec"), names)
    assert names["found"].labels.max() > 5
    before, after = (names[name].average_precision[0.5] for name in ("before", "after"))
    assert after > before + 0.2
    assert (names["folder"] / "coins.csv").read_text().startswith("label,")
    assert (names["back"] > 0).sum() == (names["labels"] > 0).sum()
