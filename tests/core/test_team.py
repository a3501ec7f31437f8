"""Processes that torchrun starts train one network together."""

import os
import subprocess
import sys
from itertools import islice

import pytest
import tifffile
import torch

from napari_unet import sample_data
from napari_unet.core import team as team_module
from napari_unet.core.errors import ComputeError
from napari_unet.core.lesson import patch_sampler
from napari_unet.core.model_file import load_model
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.team import Team, join_team
from napari_unet.core.train import iter_train
from napari_unet.formats.labels import write_labels
from small_scenes import SMALL, ended, example

WORDS = ["--width", "4", "--depth", "1", "--patch", "32", "--batch", "1", "--steps", "6"]
WORDS += ["--device", "cpu", "--precision", "float32", "--norm", "none", "--average", "0"]
WORDS += ["--learning-rate", "1e-2"]


def test_a_process_by_itself_is_a_team_of_one(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    team, network = join_team("cpu"), torch.nn.Linear(1, 1)
    assert team == Team(0, 1)
    assert team.shared(network, all_used=True) is network
    assert team.any(True) and not team.any(False)
    assert team.mean(torch.tensor(3.0)) == 3.0


def test_members_draw_every_so_many_batches_of_one_sequence():
    sampler = patch_sampler([example([(30, 30)])], SMALL, TrainSettings(patch=32, batch=1), 0)
    every = list(islice(sampler.batches(), 6))
    for rank in range(2):
        for mine, one in zip(islice(sampler.batches(rank, 2), 3), every[rank::2], strict=True):
            assert mine.number == one.number and torch.equal(mine.image, one.image)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for seed in range(2):
        image, truth = sample_data.nuclei((64, 64), seed)
        tifffile.imwrite(folder / "images" / f"n{seed}.tif", image)
        write_labels(folder / "labels" / f"n{seed}.tif", truth)
    return folder


def trained(data, out, *more, launcher=()):
    words = [sys.executable, *launcher, "-m", "napari_unet.cli", "train", str(data), "-o", str(out)]
    done = subprocess.run(
        [*words, *WORDS, *more],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return load_model(out).network.state_dict(), done.stdout


@pytest.mark.slow  # three processes import torch
@pytest.mark.parametrize("each", [1, 2])
def test_two_processes_learn_what_one_learns_from_twice_the_batches(tmp_path, data, each):
    together = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    few, many = (("--accumulate", str(n * each)) for n in (1, 2))
    two, said = trained(data, tmp_path / "two.safetensors", *few, launcher=together)
    one, _ = trained(data, tmp_path / "one.safetensors", *many)
    half, _ = trained(data, tmp_path / "half.safetensors", *few)
    assert said.count("Learnt from 2 planes") == 1
    apart, lonely = (
        max(float((weights[name] - tensor).abs().max()) for name, tensor in one.items())
        for weights in (two, half)
    )
    assert apart < 2e-3  # files hold half precision
    assert lonely > 10 * apart


@pytest.mark.parametrize("how", ["closed", "failed", "finished"])
def test_the_team_is_left_however_training_ends(monkeypatch, how):
    left = []
    monkeypatch.setattr(team_module, "leave_team", left.append)
    asked = []

    def cancelled():
        asked.append(1)
        if how == "failed" and len(asked) > 1:
            raise RuntimeError("the card is gone")
        return False

    rounds = iter_train(
        [example([(14, 14), (40, 40)])],
        SMALL,
        settings=TrainSettings(patch=16, batch=1),
        steps=4,
        device="cpu",
        cancelled=cancelled,
    )
    if how == "closed":
        next(rounds)
        rounds.close()
    elif how == "failed":
        with pytest.raises(ComputeError, match="the card is gone"):
            ended(rounds)
    else:
        ended(rounds)
    assert left == [Team()]
