"""Names of core are loaded when they are used; see also tests/test_architecture.py."""

import importlib
import subprocess
import sys

import pytest

from napari_unet import core


def run_in_new_process(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_core_itself_brings_neither_torch_nor_numpy():
    script = (
        "import sys, napari_unet.core as c; dir(c); print(*{'torch', 'numpy'} & {*sys.modules})"
    )
    assert run_in_new_process(script).strip() == ""


def test_torch_comes_with_the_first_name_that_needs_it():
    script = """
import sys
from napari_unet.core import Example, ModelConfig, available_models, classes_to_labels
from napari_unet.core import labels_to_classes, score, touching_cell_weights
assert "torch" not in sys.modules
from napari_unet.core import segment
assert "torch" in sys.modules
"""
    run_in_new_process(script)


@pytest.mark.parametrize("name", core.__all__)
def test_every_name_is_that_of_its_home(name):
    value = getattr(core, name)
    assert getattr(importlib.import_module(value.__module__), name) is value
    assert value.__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'segmnet'"):
        _ = core.segmnet
    assert not hasattr(core, "torch")


def test_a_model_is_loaded_without_torchs_compiler():
    script = """
import sys
from napari_unet.core import load_model
load_model("nuclei-fluorescence")
print(*{"torch._dynamo", "sympy"} & {*sys.modules})
"""
    assert run_in_new_process(script).strip() == ""
