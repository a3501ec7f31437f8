"""What is installed: the wheel's contents and size, and that napari finds the manifest."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name

import napari_unet

NAME = "napari-unet-interactive"
ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ROOT / "src" / "napari_unet" / "napari.yaml"
WEIGHTS_LIMIT = 12_000_000  # bytes of bundled weights in the wheel
CODE_LIMIT = 1_000_000  # bytes of all the rest, compressed

# Prints where the manifest of the distribution that lies in sys.argv[1] was found.
FIND_MANIFEST = """
import json, site, sys
target = sys.argv[1]
before = set(sys.path)
site.addsitedir(target)
sys.path.sort(key=lambda path: path in before)  # what the target adds comes first
from npe2 import PluginManifest
import napari_unet
found = [
    result
    for result in PluginManifest.discover()
    if result.distribution and str(result.distribution.locate_file("")).startswith(target)
]
assert len(found) == 1, found
assert found[0].error is None, found[0].error
manifest = found[0].manifest
print(json.dumps({
    "name": manifest.name,
    "commands": [command.id for command in manifest.contributions.commands or ()],
    "package": napari_unet.__file__,
}))
"""


def build(kind: str, folder: Path, root: Path = ROOT) -> Path:
    """Build with the installed hatchling, so that no network is needed."""
    script = f"import hatchling.build as b, sys; print(b.build_{kind}(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


def install(wheel: Path, folder: Path) -> dict[str, object]:
    """Install into an empty folder and return what npe2 finds there in a new process."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(folder), str(wheel)], check=True)
    done = subprocess.run(
        [sys.executable, "-c", FIND_MANIFEST, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def project() -> dict[str, list[str]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def commands() -> list[dict[str, str]]:
    return yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))["contributions"]["commands"]


def top_level_imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


def test_napari_finds_the_manifest_in_a_wheel(wheel, tmp_path):
    found = install(wheel, tmp_path)
    assert found["name"] == NAME
    assert found["commands"] == [command["id"] for command in commands()]
    assert Path(found["package"]).is_relative_to(tmp_path)


def test_napari_finds_the_manifest_in_an_editable_install(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    found = install(build("editable", made), tmp_path / "site")
    assert found["name"] == NAME
    assert found["commands"] == [command["id"] for command in commands()]
    assert Path(found["package"]).is_relative_to(ROOT / "src")


def test_wheel_holds_the_licence_the_type_marker_and_the_manifest(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {"napari_unet/py.typed", "napari_unet/napari.yaml"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "docs/")) for name in names)


def test_wheel_holds_every_file_of_the_package(wheel):
    source = ROOT / "src"
    expected = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    assert packed == expected


def test_wheel_stays_small_and_every_weight_has_its_card(wheel):
    entries = zipfile.ZipFile(wheel).infolist()
    weights = [e for e in entries if e.filename.endswith(".safetensors")]
    assert weights, "no model is bundled"
    assert sum(e.compress_size for e in weights) <= WEIGHTS_LIMIT
    assert sum(e.compress_size for e in entries if e not in weights) <= CODE_LIMIT
    names = {e.filename for e in entries}
    for entry in weights:
        card = entry.filename.removesuffix(".safetensors") + ".md"
        assert card in names, f"{card} is missing: what was it trained on?"


def test_wheel_builds_from_the_sdist_where_links_became_text(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    with tarfile.open(build("sdist", made)) as archive:
        assert not [m.name for m in archive.getmembers() if m.issym() or m.islnk()]
        has_filters = hasattr(tarfile, "data_filter")  # Python 3.11 of Debian 12 has none
        archive.extractall(tmp_path, **({"filter": "data"} if has_filters else {}))
    (root,) = tmp_path.glob("napari_unet_interactive-*")
    (root / "napari.yaml").write_text("src/napari_unet/napari.yaml", encoding="utf-8")
    again = build("wheel", made, root)
    assert zipfile.ZipFile(again).read("napari_unet/napari.yaml") == MANIFEST.read_bytes()


def test_top_level_manifest_points_to_the_package():
    link = ROOT / "napari.yaml"
    target = "src/napari_unet/napari.yaml"
    # git writes the target as text where the file system has no links.
    assert link.is_symlink() or link.read_text(encoding="utf-8").strip() == target
    assert not link.is_symlink() or link.resolve() == MANIFEST


def test_manifest_is_valid():
    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.name == NAME
    assert manifest.contributions.sample_data


def test_dock_is_offered_under_plugins_and_in_the_layers_menu():
    contributions = PluginManifest.from_file(MANIFEST).contributions
    docks = {widget.command: widget.display_name for widget in contributions.widgets or ()}
    assert "U-Net" in docks.values()
    for menu in ("napari/layers/segment", "napari/layers/annotate"):
        assert {item.command for item in contributions.menus.get(menu, ())} & set(docks)


@pytest.mark.parametrize("command", commands(), ids=lambda command: command["id"])
def test_every_command_leads_to_something_that_can_be_called(command):
    assert callable(import_python_name(command["python_name"]))


def test_version_is_the_package_s_own():
    assert importlib.metadata.version(NAME) == napari_unet.__version__


def test_base_dependencies_bring_no_qt_binding():
    base = [requirement.lower() for requirement in project()["dependencies"]]
    assert not [r for r in base if r.startswith(("pyqt", "pyside", "napari["))]


def test_console_script_is_the_command_line():
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="napari-unet")
    assert callable(entry.load())


def test_every_third_party_import_is_a_declared_dependency():
    names = importlib.metadata.packages_distributions()
    extras = project()["optional-dependencies"]  # what is imported where it is needed
    wanted = [*project()["dependencies"], *(one for n in extras if n != "dev" for one in extras[n])]
    declared = {requirement.split(">")[0].lower() for requirement in wanted}
    used = {
        module
        for path in (ROOT / "src").rglob("*.py")
        for module in top_level_imports(path)
        if module not in sys.stdlib_module_names and module != "napari_unet"
    }
    missing = {m for m in used if not {n.lower() for n in names.get(m, [m])} & declared}
    assert not missing
