"""The documents say what is so: their links lead somewhere, their commands exist."""

from __future__ import annotations

import argparse
import re
import runpy
from pathlib import Path

import pytest

from napari_unet.commands.parser import build_parser

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def children(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def options(parser: argparse.ArgumentParser) -> set[str]:
    found = {o for action in parser._actions for o in action.option_strings if o[:2] == "--"}
    return found.union(*(options(child) for child in children(parser).values()))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    targets = LINK.findall(document.read_text(encoding="utf-8"))
    local = [t.partition("#")[0] for t in targets if not t.startswith(("https:", "#"))]
    missing = [target for target in local if not (document.parent / target).exists()]
    assert not missing


def test_every_command_and_option_is_in_the_reference():
    lines = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8").splitlines()
    rows = {m[1]: line for line in lines if (m := re.match(r"\| `([a-z]+)", line))}
    commands = children(build_parser())
    assert set(rows) == set(commands)
    for name, parser in commands.items():
        said = set(re.findall(r"--[a-z-]+", rows[name]))
        assert said == options(parser) - {"--help", "--debug", "--out"} | said & {"--out"}


def test_the_tables_of_networks_and_losses_are_those_of_the_code():
    script = ROOT / "docs" / "make_networks.py"
    written = runpy.run_path(str(script))
    page = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    assert written["with_tables"](page) == page, "run python docs/make_networks.py"


def test_every_network_and_loss_is_run_by_the_tests_that_the_page_names():
    page = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[a-z_/]+\.py)`", page))
    assert len(named) >= 4 and all((ROOT / name).is_file() for name in named)
    for test, names in (
        ("core/models/test_architectures.py", 'parametrize("architecture", OF_PLANES)'),
        ("core/test_losses.py", 'parametrize("loss", FUNCTIONS.values(), ids=FUNCTIONS)'),
    ):
        assert f"tests/{test}" in named
        assert names in (ROOT / "tests" / test).read_text(encoding="utf-8")


def test_set_up_of_the_readme_is_what_the_scripts_do():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for script in ("demo", "test"):
        assert f"bash .ci/{script}" in readme
        text = (ROOT / ".ci" / script).read_text(encoding="utf-8")
        install = re.search(r"python -m (pip install .*)", text)
        assert install and install[1] in readme
