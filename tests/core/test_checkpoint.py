"""A run on disk comes back as it was, or is refused with a sentence."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_unet.core.augment import AugmentConfig
from napari_unet.core.checkpoint import describe_run, load_checkpoint, save_checkpoint
from napari_unet.core.errors import InputError, ModelFileError
from napari_unet.core.example import Example
from napari_unet.core.losses import weighted_cross_entropy
from napari_unet.core.model_file import Model
from napari_unet.core.optimise import Budget, Optimisation, TrainSettings
from napari_unet.core.sampling import PatchSampler
from small_scenes import SMALL, discs, ended, photograph

SETTINGS = TrainSettings(patch=16, batch=1)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def shown(side=8, objects=1):
    labels = np.zeros((side, side), np.int32)
    labels[:2, :2] = objects
    return Example(np.zeros((side, side)), labels)


def described(**changes):
    values = {
        "config": SMALL,
        "settings": SETTINGS,
        "seed": 0,
        "examples": [shown()] * 3,
        "length": "None seconds, 9 steps",
    }
    return describe_run(**(values | changes))


def optimisation(steps=6):
    budget = Budget(None, steps)
    network = Model.fresh(SMALL).network
    return budget, Optimisation(network, SETTINGS, budget, "cpu", "float32", 0)


def advanced(steps):
    """A run of that many steps, done."""
    budget, run = optimisation(steps)
    labels = discs((32, 32), [(16, 16)])
    sampler = PatchSampler(
        [Example(photograph(labels), labels)],
        side=16,
        batch=1,
        percentiles=(1.0, 99.8),
        augment=AugmentConfig(),
        weights=SETTINGS.weights,
    )
    ended(
        run.steps(
            sampler, lambda x, b: weighted_cross_entropy(x, b.target, b.weight), lambda: False
        )
    )
    return budget, run


def test_tensors_come_back_as_they_were(tmp_path):
    state = {
        "network.a": torch.randn(3, 4).t(),  # not contiguous
        "step": torch.tensor(7),
        "optimizer.0.step": torch.tensor(7.0),
        "half": torch.randn(5).half(),
    }
    save_checkpoint(tmp_path / "deeper" / "run.resume", "mine", state)
    loaded = load_checkpoint(tmp_path / "deeper" / "run.resume", "mine")
    assert loaded.keys() == state.keys()
    for name, tensor in state.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
    assert [path.name for path in (tmp_path / "deeper").iterdir()] == ["run.resume"]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"examples": [shown()] * 4},
        {"examples": [shown(), shown(9), shown()]},
        {"examples": [shown(), shown(), shown(objects=0)]},
        {"length": "60 seconds, None steps"},
        {"config": replace(SMALL, compress=0.1)},
        {"config": replace(SMALL, diameter=20.0)},
        {"settings": replace(SETTINGS, learning_rate=2e-3)},
        {"settings": replace(SETTINGS, augment=AugmentConfig(shade=0.1))},
    ],
)
def test_another_run_is_refused(tmp_path, change):
    path = tmp_path / "run.resume"
    save_checkpoint(path, described(), {"step": torch.tensor(1)})
    assert load_checkpoint(path, described())["step"] == 1
    with pytest.raises(InputError, match=r"begun with other images or settings; .*begin anew\.$"):
        load_checkpoint(path, described(**change))


@pytest.mark.parametrize("content", [b"", b"nothing", b"\xff" * 64])
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "run.resume"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"run\.resume cannot be read; train without --resume"):
        load_checkpoint(path, "mine")


def test_half_of_a_file_is_refused(tmp_path):
    path = tmp_path / "run.resume"
    save_checkpoint(path, "mine", {"a": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(path, "mine")


def test_a_file_of_something_else_is_refused(tmp_path):
    save_file({"a": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="begun with other"):
        load_checkpoint(tmp_path / "other.safetensors", "mine")


def test_a_file_that_is_gone_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(tmp_path / "gone.resume", "mine")


def test_where_nothing_can_be_written_it_is_said(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"Training could not be saved to .*\.$"):
        save_checkpoint(tmp_path / "file" / "run.resume", "mine", {})


def test_the_state_of_a_run_is_all_of_it(tmp_path):
    """Network, average, moments of the optimiser and steps: all equal after a detour by disk."""
    budget, run = advanced(3)
    save_checkpoint(tmp_path / "run", "mine", run.state())
    fresh_budget, fresh = optimisation()
    fresh.restore(load_checkpoint(tmp_path / "run", "mine"))
    assert fresh_budget.step == budget.step == 3
    assert fresh_budget.elapsed >= budget.elapsed - 1
    before, after = run.state(), fresh.state()
    assert before.keys() == after.keys()
    for name in before.keys() - {"seconds"}:
        assert torch.equal(before[name], after[name]), name
    assert any(name.endswith("exp_avg_sq") for name in before)
    for one, other in zip(
        run.averaged().state_dict().values(), fresh.averaged().state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)


def test_a_run_that_has_not_begun_can_be_kept_too(tmp_path):
    _, run = optimisation()
    save_checkpoint(tmp_path / "run", "mine", run.state())
    budget, fresh = optimisation()
    fresh.restore(load_checkpoint(tmp_path / "run", "mine"))
    assert budget.step == 0


def test_seconds_that_were_used_are_used():
    budget = Budget(100.0, None)
    budget.go_on(5, 40.0)
    assert budget.step == 5
    assert budget.elapsed == pytest.approx(40, abs=1)
    assert budget.fraction == pytest.approx(0.4, abs=0.01)
    assert not budget.is_spent
    budget.go_on(9, 61.0)
    assert budget.fraction == 1
