"""How good a model is on looks it has never seen: the most unlike groups held out in turn.

python tests/benchmarks/looks.py --out FOLDER --list
python tests/benchmarks/looks.py --out FOLDER --steps 6000 --precision bfloat16
python tests/benchmarks/looks.py --out FOLDER --steps 6000 --only 2
python tests/benchmarks/looks.py --out OTHER --start FOLDER --steps 1800 --augment haze=0.6

The images of nuclei-dsb2018 are grouped by look. Without each of the most unlike groups, one
after the other, a model is trained by the recipe of the bundled one; further options are those
of `napari-unet train`. What is trained and scored is kept in FOLDER and not done again: call it
once more to go on. With --start the models of another such folder are trained on.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pictures import DATA, NUCLEI, images_of, pictures
from planes import Segmenter
from recipe import read_json, read_tallies, says_how_long, scored, trained, write_json
from tally import heading, pooled

from napari_unet.commands.console import progress_bar
from napari_unet.core.looks import FEATURES, group_looks, look_of

GROUPS = 12  # with one more the crops of one experiment are parted (seen on contact sheets)
LEAST = 6  # images of a group that is held out (chosen: the embryos are six, a look of their own)


@dataclass(frozen=True)
class Group:
    """Images that look alike, number 1 being the most unlike all others."""

    number: int
    description: str
    objects: int
    unlikeness: float
    nearest: float
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.number:2}  {self.description:28}  {self.objects:6}"


def main() -> int:
    """Print the groups, or train, score and print what there is."""
    options, training = parsed()
    folder = options.data / NUCLEI
    if not images_of(folder):
        print(f"No images in {folder}: name the folder of sets with --data.")
        return 2
    groups = read_groups(folder, options.out, options.groups)
    unlike = [group for group in groups if len(group.names) >= options.least][: options.unlike]
    if options.list:
        list_groups(groups, unlike, options.least)
        return 0
    wanted = [group for group in groups if group.number in options.only] or unlike
    for group in wanted:
        run(group, folder, options, training)
    return report(wanted if options.only else unlike, options.out)


def parsed() -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what is not known here is for `napari-unet train`."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # the beginning of an option may be one of the training
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for models and scores")
    parser.add_argument("--groups", type=int, default=GROUPS, help="how many (%(default)s)")
    parser.add_argument("--unlike", type=int, default=5, help="how many to hold out (%(default)s)")
    parser.add_argument(
        "--least", type=int, default=LEAST, help="images of a group to hold out (%(default)s)"
    )
    parser.add_argument("--only", type=int, nargs="+", default=[], help="numbers of groups")
    parser.add_argument("--list", action="store_true", help="only print the groups")
    parser.add_argument("--start", type=Path, help="an earlier --out, whose models are trained on")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    options, training = parser.parse_known_args()
    return options, [*training, "--device", options.device, "--precision", options.precision]


def read_groups(folder: Path, out: Path, count: int) -> list[Group]:
    """Return the groups, made once and kept so that a later call holds out the same images."""
    file = out / f"groups-{count}.json"
    if file.is_file():
        kept = json.loads(file.read_text(encoding="utf-8"))
        return [Group(**{**values, "names": tuple(values["names"])}) for values in kept]
    images, looks = [], []
    every = images_of(folder)
    with progress_bar("Looking", len(every), " images") as bar:
        for picture in pictures(folder, every):
            objects = int(np.count_nonzero(np.unique(picture.truth)))
            images.append((picture.name, picture.truth.shape, objects))
            looks.append(look_of(picture.image, picture.truth))
            bar.update(1)
    groups = []
    for number, found in enumerate(group_looks(np.array(looks), count), 1):
        names, shapes, objects = zip(*(images[member] for member in found.members), strict=True)
        height, width = Counter(shapes).most_common(1)[0][0]
        sizes = [looks[member][FEATURES.index("diameter")] for member in found.members]
        size = np.exp(np.nanmedian(sizes))
        description = f"{height}x{width}, {size:.0f} px, {len(names)} images"
        unlike = round(found.unlikeness, 2), round(found.nearest, 2)
        groups.append(Group(number, description, sum(objects), *unlike, names))
    out.mkdir(parents=True, exist_ok=True)
    kept = [asdict(group) for group in groups]
    file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return groups


def list_groups(groups: list[Group], unlike: list[Group], least: int) -> None:
    """Print the groups, those to hold out marked."""
    print("    look                          nuclei  unlikeness  nearest image elsewhere")
    for group in groups:
        few = f"  fewer than {least} images" if len(group.names) < least else ""
        mark = "  held out" if group in unlike else few
        print(f"{group}  {group.unlikeness:10.2f}  {group.nearest:7.2f}{mark}")


def run(group: Group, folder: Path, options: argparse.Namespace, training: list[str]) -> None:
    """Train without a group and score it, as far as that is not done."""
    model_file = options.out / f"group-{group.number}.safetensors"
    scores_file = model_file.with_suffix(".json")
    if scores_file.is_file():
        check_same(group, read_json(scores_file)["names"], scores_file)
        return
    if not model_file.is_file() and not says_how_long(training):
        return
    begin = [] if options.start is None else ["--start", str(options.start / model_file.name)]
    model = trained(model_file, folder, group.names, [*begin, *training])
    check_same(group, model.card.held_out, model_file)
    segmenter = Segmenter(model, run={"device": options.device, "precision": options.precision})
    tallies = scored(segmenter, folder, group.names)
    about = {"group": group.description, "names": group.names, "command": model.card.command}
    write_json(scores_file, tallies, **about)


def check_same(group: Group, names: list[str] | tuple[str, ...], file: Path) -> None:
    """Refuse what was made for another grouping."""
    if set(names) != set(group.names):
        sys.exit(f"{file} is of other images than group {group.number}; give another --out.")


def report(groups: list[Group], out: Path) -> int:
    """Print the scores of the groups that are there and of all together, and name the worst."""
    print(f"    look                          nuclei  {heading()}  touching pairs")
    known = {}
    for group in groups:
        file = out / f"group-{group.number}.json"
        if not file.is_file():
            print(f"{group}  not trained yet")
            continue
        known[group] = pooled(read_tallies(file).values())
        print(f"{group}  {known[group]}  {known[group].pairs}")
    if not known:
        return 2
    every = pooled(known.values())
    print(f"    {'pooled':28}  {every.n_truth:6}  {every}  {every.pairs}")
    worst = min(known, key=lambda group: known[group].precision(0.5))
    print(f"Worst: group {worst.number}, {worst.description}, AP {known[worst].precision(0.5):.3f}")
    return 0 if len(known) == len(groups) else 1


if __name__ == "__main__":
    sys.exit(main())
