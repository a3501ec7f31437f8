"""The walls of the house: which way imports run, and what each part can do without."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from napari_unet import core

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"

# A GPU server has none of these.
SCREEN = ["PyQt5", "PyQt6", "PySide2", "PySide6", "qtpy", "superqt", "napari", "vispy", "magicgui"]
SCREEN += ["pydantic", "psygnal", "npe2"]

# The modules of core that are torch's own; every other one must do without it.
TORCH = {
    "attention",
    "augment",
    "calibrate",
    "calibrate_volumes",
    "channels",
    "checkpoint",
    "classes",
    "crumbs",
    "device",
    "distil",
    "export",
    "fine_tuning",
    "head",
    "inference",
    "int8",
    "interest",
    "judge",
    "kept_aside",
    "kept_patches",
    "knowing",
    "large",
    "large_plane",
    "lesson",
    "level",
    "live",
    "losses",
    "measure",
    "model_file",
    "models",
    "narrow",
    "optimise",
    "plane_run",
    "predict",
    "predict_volume",
    "pretrain",
    "prune",
    "recompute",
    "rehearsal",
    "rounds",
    "run_keeper",
    "sampling",
    "segmentation",
    "taught_size",
    "teach_volumes",
    "teacher",
    "team",
    "train",
    "train_settings",
    "watch",
    "widen",
}

IMPORT_ALL = """
import importlib, json, sys, traceback

blocked, modules = json.loads(sys.argv[1])

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocker())
failed = {}
for module in modules:
    try:
        importlib.import_module(module)
    except BaseException:
        failed[module] = traceback.format_exc(limit=-3)
print(json.dumps({"failed": failed, "loaded": sorted({m.partition(".")[0] for m in sys.modules})}))
"""


def modules_in(*parts: str) -> list[str]:
    """Name the modules of some parts of the package, as the files say."""
    names = []
    for part in parts:
        home = SOURCE / "napari_unet" / part
        files = sorted(home.rglob("*.py")) if home.is_dir() else [home.with_suffix(".py")]
        for file in files:
            dotted = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
            names.append(dotted.removesuffix(".__init__"))
    return names


def import_in_new_process(modules: list[str], *, blocked: list[str]) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, json.dumps([blocked, modules])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def is_torch_free(module: str) -> bool:
    parts = module.split(".")
    return parts[1] != "core" or len(parts) == 2 or parts[2] not in TORCH


def test_imports_run_one_way():
    lint_imports = Path(sys.executable).with_name("lint-imports")
    if not lint_imports.exists() and not lint_imports.with_suffix(".exe").exists():
        pytest.skip("import-linter is not installed; the extra dev brings it")
    done = subprocess.run(
        [str(lint_imports), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_core_imports_without_qt_and_napari():
    modules = modules_in("core")
    assert "napari_unet.core.predict" in modules
    result = import_in_new_process(modules, blocked=SCREEN)
    assert result["failed"] == {}


def test_torch_free_core_imports_without_torch():
    modules = [module for module in modules_in("core") if is_torch_free(module)]
    contract = {"config", "events", "instances", "library", "metrics", "targets", "tiling"}
    assert {f"napari_unet.core.{name}" for name in contract} <= set(modules)
    result = import_in_new_process(modules, blocked=[*SCREEN, "torch"])
    assert result["failed"] == {}


@pytest.mark.parametrize(
    ("part", "blocked"),
    [
        ("formats", SCREEN),
        ("engine", SCREEN),
        ("sample_data", SCREEN),
        ("session", [name for name in SCREEN if name != "psygnal"]),
        ("bridge", ["PyQt5", "PyQt6", "PySide2", "PySide6"]),  # napari itself imports magicgui
        ("widgets", []),
        ("cli", SCREEN),
    ],
)
def test_viewer_s_side_imports_without_torch(part, blocked):
    modules = modules_in(part)
    result = import_in_new_process(modules, blocked=[*blocked, "torch"])
    assert result["failed"] == {}
    assert "torch" not in result["loaded"]


def test_nothing_needs_what_is_optional_to_be_imported():
    optional = ["roifile", "pyarrow", "onnx", "onnxruntime", "onnxscript"]
    modules = [*modules_in("core"), *modules_in("formats"), *modules_in("commands")]
    assert import_in_new_process(modules, blocked=optional)["failed"] == {}


def test_import_of_the_package_is_quick_and_brings_neither_torch_nor_qt():
    assert statistics.median(seconds_to_import() for _ in range(5)) < 0.1
    loaded = import_in_new_process(["napari_unet"], blocked=[])["loaded"]
    assert not {"torch", "numpy", *SCREEN} & set(loaded)


def seconds_to_import() -> float:
    """Time the import itself, in a process that has just begun."""
    script = (
        "import time; t = time.perf_counter(); import napari_unet; print(time.perf_counter() - t)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.parametrize(
    "name",
    [
        "Example",
        "Model",
        "Segmentation",
        "available_models",
        "classes_to_labels",
        "finetune",
        "iter_finetune",
        "labels_to_classes",
        "load_model",
        "predict_tiles",
        "score",
        "segment",
        "touching_cell_weights",
    ],
)
def test_names_others_rely_on_are_in_core(name):
    assert callable(getattr(core, name))
    assert name in core.__all__
    assert name in dir(core)
