"""A person at a real napari does anything in any order: is each edit there, and no traceback?

    xvfb-run -a python tests/faults/actions.py [--actions 10000] [--seed 0]

After each action labels and checked area must be what a model says that keeps whole copies of all
states (`naive.py`), and every now and then all is undone to the beginning and done again. It ends
with 1 at the first difference, and prints the seed and the actions before it.
"""

from __future__ import annotations

import argparse
import collections
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.acts import ACTS
from faults.desk import Desk

TOLD = 25  # actions before a failure


class Run:
    """Random actions, the same for the same seed."""

    def __init__(self, seed):
        self.draw = np.random.default_rng(seed)
        self.desk = Desk(seed)
        self.counts = collections.Counter()
        self.last = collections.deque(maxlen=TOLD)

    def act(self):
        weights = np.array([act.weight for act in ACTS], float)
        act = ACTS[self.draw.choice(len(ACTS), p=weights / weights.sum())]
        self.last.append(act.__name__)
        said = act(self.desk, self.draw)
        self.last[-1] += f" {said}" if said else ""
        self.counts[act.__name__] += 1
        self.desk.check()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--actions", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_UNET_HOME"] = folder
        run = Run(wanted.seed)
        return report(run, wanted)


def report(run, wanted):
    """Act, and print what came of it."""
    began, failure = time.monotonic(), ""
    with run.desk.mistakes:
        try:
            for number in range(wanted.actions):
                run.act()
                if number % 500 == 499:
                    sys.stderr.write(f"{number + 1} actions, {time.monotonic() - began:.0f} s\n")
        except Exception:
            failure = traceback.format_exc()
        except KeyboardInterrupt:
            sys.stderr.write("stopped; this is what was done\n")
        run.desk.close()
    done = run.counts.total()
    say = sys.stdout.write
    for name, count in run.counts.most_common():
        say(f"{count:6d} {name}\n")
    say(
        f"actions tried {done} in {time.monotonic() - began:.0f} s, "
        f"tracebacks {len(run.desk.mistakes.found)}, edits lost {int(bool(failure))}\n"
    )
    if failure or run.desk.mistakes.found:
        lines = "\n".join(f"  {line}" for line in run.last)
        say(f"seed {wanted.seed}, action {done + 1}; the last were\n{lines}\n{failure}")
        say("\n".join(run.desk.mistakes.found))
    return int(bool(failure or run.desk.mistakes.found))


if __name__ == "__main__":
    sys.exit(main())
