"""Distilling a network of width 64 to one of 16: what is lost and how much faster it is.

There is no bundled network of width 64. The teacher is therefore the bundled one of width 16,
widened so that it answers the same (Net2WiderNet: Chen, Goodfellow and Shlens 2016,
arXiv:1511.05641: channels are doubled at random, and who reads them shares), with noise on its
weights, and then trained on for some steps, so that its channels are no copies any more. It knows
little more than the bundled one: this measures what cutting and distilling lose, and not what a
network is worth that was wide from the start. The student is the teacher cut to width 16
(`core/narrow.py`), which then learns from it and from the labels. AP is that of `accuracy.py`,
objects at their true size and at the threshold alone, on the images held out.

python tests/benchmarks/distil.py --out FOLDER
python tests/benchmarks/distil.py --out FOLDER --scratch   # the student begins anew
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from pictures import DATA, NUCLEI, Picture, chosen, images_of, pictures
from planes import Making, Segmenter
from tally import heading, pooled, tally_of

from napari_unet.commands.console import follow, progress_bar
from napari_unet.core import Example, Model, load_model
from napari_unet.core.channels import Choice, channel_groups, with_channels
from napari_unet.core.lesson import patch_sampler
from napari_unet.core.narrow import narrowed
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.predict import predict_plane
from napari_unet.core.train import iter_train
from napari_unet.core.train_settings import TRAIN_SETTINGS

LEARNT = 120  # images
LOOKED_AT = 12  # batches that show which channels matter
SIDE = 512
ROUNDS = 2


def main() -> None:
    """Make teacher and student, and print what each scores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the models")
    parser.add_argument("--model", default="nuclei-fluorescence")
    parser.add_argument("--wide", type=int, default=64)
    parser.add_argument("--narrow", type=int, default=16)
    parser.add_argument("--noise", type=float, default=0.02, help="of the weights' deviation")
    parser.add_argument("--teacher-steps", type=int, default=50)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--patch", type=int, default=160)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--images", type=int, default=54, help="held out, of which so many")
    parser.add_argument("--scratch", action="store_true", help="the student is not cut out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    bundled = load_model(args.model)
    settings = replace(TRAIN_SETTINGS, patch=args.patch, batch=args.batch, learning_rate=2e-4)
    examples = taught(bundled)
    wide = widened(bundled, args.wide, args.noise, args.seed)
    teacher = kept(args.out / "teacher.safetensors") or trained(
        wide, examples, settings, args.teacher_steps, args
    ).save(args.out / "teacher.safetensors", half=False)
    cut = kept(args.out / "cut.safetensors") or narrowed(
        teacher, args.narrow, looks(teacher, examples, settings, args.seed)
    ).save(args.out / "cut.safetensors", half=False)
    start = None if args.scratch else cut
    student = kept(args.out / "student.safetensors") or trained(
        cut, examples, settings, args.steps, args, teacher, start
    ).save(args.out / "student.safetensors", half=False)
    say_speed(teacher, student, args)
    names = chosen(DATA / NUCLEI, "held-out", bundled.card)
    names = names[:: -(-len(names) // args.images)]
    print(f"{len(names)} images held out\n{'':34}{heading()}", flush=True)
    for what, model in (
        ("student", student),
        ("bundled, as it is", bundled),
        ("cut, before it learnt", cut),
        ("teacher", teacher),
    ):
        score(what, model, names, args)


def taught(model: Model) -> list[Example]:
    """Return some of the images that the model has learnt from."""
    names = [name for name in images_of(DATA / NUCLEI) if name not in model.card.held_out]
    some = pictures(DATA / NUCLEI, names[:: len(names) // LEARNT])
    return [Example(one.image, one.truth, axes="YX", diameter=one.diameter) for one in some]


def kept(file: Path) -> Model | None:
    """Return the model of an earlier run."""
    return load_model(file) if file.is_file() else None


def widened(model: Model, width: int, noise: float, seed: int) -> Model:
    """Return a wider model that answers the same, but for noise on its weights."""
    generator = torch.Generator().manual_seed(seed)
    choices = {}
    for group in channel_groups(model):
        old = group.channels
        more = old * width // model.config.width - old
        doubled = torch.randint(old, (more,), generator=generator)
        source = torch.cat([torch.arange(old), doubled])
        mix = torch.nn.functional.one_hot(source, old).double()
        choices[group.maker] = Choice(source, mix / mix.sum(dim=0))
    wide = with_channels(model, width, choices)
    with torch.no_grad():
        for weight in wide.network.parameters():
            if weight.ndim > 1:
                drawn = torch.randn(weight.shape, generator=generator)
                weight += noise * weight.std() * drawn
    return wide


def trained(
    model: Model,
    examples: list[Example],
    settings: TrainSettings,
    steps: int,
    args: argparse.Namespace,
    teacher: Model | None = None,
    start: Model | None = None,
) -> Model:
    """Train a model on; with a teacher it learns from it."""
    rounds = iter_train(
        examples,
        replace(model.config, object_score=()),
        start=model if teacher is None else start,
        teacher=teacher,
        settings=settings if teacher is None or start else replace(settings, learning_rate=2e-3),
        steps=steps,
        seed=args.seed,
        device=args.device,
        precision=args.precision,
    )
    learnt: Model = follow(rounds, "Teacher" if teacher is None else "Student")
    # Objects are made alike of all: the score of objects is of the bundled network.
    return learnt


def looks(
    model: Model, examples: list[Example], settings: TrainSettings, seed: int
) -> list[torch.Tensor]:
    """Return batches of patches that show which channels matter."""
    batches = iter(patch_sampler(examples, model.config, replace(settings, patch=256), seed + 1))
    return [next(batches).image for _ in range(LOOKED_AT)]


def say_speed(teacher: Model, student: Model, args: argparse.Namespace) -> None:
    """Print how much less processor time the student takes, in turns with its teacher."""
    image = np.random.default_rng(0).random((1, SIDE, SIDE), np.float32)
    for precision in ("float32", "bfloat16") if args.precision == "auto" else (args.precision,):
        least = [float("inf")] * 2
        for _ in range(ROUNDS):
            for number, model in enumerate((teacher, student)):
                begun = time.process_time()
                predict_plane(image, model, device=args.device, precision=precision)
                least[number] = min(least[number], time.process_time() - begun)
        print(
            f"{precision}: {least[0] / least[1]:.1f} times as fast on {SIDE} x {SIDE}", flush=True
        )


def score(what: str, model: Model, names: list[str], args: argparse.Namespace) -> None:
    """Print the AP of one model, its objects at the threshold alone."""
    where = {"device": args.device, "precision": args.precision}
    segmenter = Segmenter(model, "true", None, where)
    tallies = []
    with progress_bar("Segmenting", len(names), " images") as bar:
        for picture in pictures(DATA / NUCLEI, names):
            tallies.append(tallied(segmenter, picture))
            bar.update(1)
    print(f"{what:34}{pooled(tallies)}", flush=True)


def tallied(segmenter: Segmenter, picture: Picture):  # type: ignore[no-untyped-def]
    """Compare what is found in one image with the truth."""
    return tally_of(picture.truth, segmenter.make(picture, Making(scored=False))[0])


if __name__ == "__main__":
    main()
