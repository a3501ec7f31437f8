"""The documents say what is so: their links lead somewhere, their commands exist."""

from __future__ import annotations

import argparse
import ast
import re
import runpy
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from napari_unet import core
from napari_unet.commands.parser import build_parser

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "docs" / ".site"
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


def prose(document: Path) -> str:
    """What is not code."""
    text = document.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


@cache
def anchors(document: Path) -> set[str]:
    """As GitHub and mkdocs make them of headings; both agree on plain ones."""
    heads = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    wrong = []
    for target in LINK.findall(prose(document)):
        link = urlsplit(target)
        place = document.parent / link.path if link.path else document
        is_known = link.scheme == "https" or (not link.scheme and place.exists())
        if is_known and link.fragment and place.suffix == ".md":
            is_known = link.fragment in anchors(place)
        if not is_known:
            wrong.append(target)
    assert not wrong


def test_the_site_lists_every_page_once():
    values = yaml.load((SITE / "mkdocs.yml").read_text(encoding="utf-8"), yaml.SafeLoader)
    assert (SITE / values["docs_dir"]).resolve() == ROOT / "docs"

    def pages(entry):
        if isinstance(entry, str):
            return [entry]
        return [page for part in (entry.values() if isinstance(entry, dict) else entry)
                for page in pages(part)]  # fmt: skip

    assert sorted(pages(values["nav"])) == sorted(path.name for path in DOCUMENTS[1:])


def shown_commands() -> list[str]:
    """Command lines of ours in blocks of code."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for block in re.findall(r"^```bash\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            lines = [part.strip() for line in block.splitlines() for part in line.split("&&")]
            found += [line for line in lines if line.startswith("napari-unet ")]
    return sorted(set(found))


@pytest.mark.parametrize("line", shown_commands())
def test_commands_that_are_shown_are_ones_that_the_program_takes(line):
    words = shlex.split(line, comments=True)[1:]
    build_parser().parse_args(words)


@cache
def said_by_the_program() -> str:
    """All texts in the source, each on a line; of one with values its fixed parts."""
    texts = []
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value.replace("\n", " "))
    return "\n".join(texts)


def test_sentences_that_are_quoted_are_ones_that_the_program_says():
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    cells = [row.split("|")[1] for row in page.splitlines() if row.startswith("|")]
    quoted = [text for cell in cells for text in re.findall(r'"([^"]+)"', cell)]
    assert len(quoted) > 5
    assert not [text for text in quoted if text not in said_by_the_program()]


def test_the_reference_has_all_that_core_offers():
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    listed = re.findall(r"^::: napari_unet\.core\.(\w+)\.(\w+)$", page, re.MULTILINE)
    assert sorted(name for _, name in listed) == sorted(core.__all__)
    for home, name in listed:
        tree = ast.parse((Path(core.__file__).parent / f"{home}.py").read_text(encoding="utf-8"))
        made = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        assert name in made


def test_every_picture_is_made_by_a_script_and_shown():
    scripts = "".join(path.read_text("utf-8") for path in (ROOT / "docs").glob("make_*.py"))
    pages = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    for picture in (ROOT / "docs" / "images").iterdir():
        name = re.sub(r"^correct_\d_", "", picture.stem)  # counted by make_walkthrough.py
        assert name in scripts, f"no script names {picture.name}"
        assert f"images/{picture.name})" in pages, f"no page shows {picture.name}"


def test_the_page_on_security_names_tests_that_exist():
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[a-z_/]+\.py)`", page))
    assert len(named) > 10 and all((ROOT / name).is_file() for name in named)


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


@pytest.mark.slow  # the tests are collected
def test_the_page_of_methods_is_that_of_the_code_and_names_tests_that_are_there():
    """The tests are collected, so that a name that pytest does not know fails."""
    written = runpy.run_path(str(ROOT / "docs" / "make_methods.py"))
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert written["page"]() == page, "run python docs/make_methods.py"
    named = {method.test for method in written["WHOLE_WAY"]} | set(written["OTHERS"].values())
    files = sorted({name.partition("::")[0] for name in named})
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", "-m", "", *files]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False)
    there = set(done.stdout.splitlines())
    # Of a test with cases its name alone is enough.
    there |= {name.partition("[")[0] for name in there}
    assert named <= there, sorted(named - there)
