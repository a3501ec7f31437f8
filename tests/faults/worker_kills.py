"""The worker process is killed again and again while it segments: what of a person's work is left?

    python tests/faults/worker_kills.py [--kills 20] [--seed 0]

Strokes are painted between presses of Segment, and at a random moment of each press the worker
gets SIGKILL. No stroke may be lost, one sentence is said at the most, and the next press works with
another worker. It ends with 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time

import numpy as np

from napari_unet.engine.process import ProcessRunner
from napari_unet.sample_data import nuclei
from napari_unet.session.image import Image
from napari_unet.session.pair import Pair
from napari_unet.session.session import Session

SHAPE = (256, 256)
LONGEST_S = 300.0  # however busy the computer is with other things
LEARNS_S = 3.0  # where the kill came before Teach had reached the worker, it learns to its end


def pump_until(session, is_so, seconds=LONGEST_S):
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        session.pump()
        time.sleep(0.005)
    return is_so()


class Bench:
    """A session with a real worker, and a pair whose strokes are known."""

    def __init__(self, seed):
        self.draw = np.random.default_rng(seed)
        self.runner = ProcessRunner()
        self.session = Session(self.runner)
        self.failures = []
        self.session.said.connect(self._on_said)
        image = Image("cells", nuclei(SHAPE)[0], "YX")
        self.pair = Pair(image, np.zeros(SHAPE, np.int32), np.zeros(SHAPE, np.uint8))
        self.painted = np.zeros(SHAPE, np.int32)

    def _on_said(self, sentence, is_failure):
        if is_failure:
            self.failures.append(sentence)

    def stroke(self):
        y, x = self.draw.integers(0, 240, 2)
        number = self.pair.next_number()
        for labels in (self.pair.labels, self.painted):
            labels[y : y + 9, x : x + 9] = number
        self.pair.absorb(())

    def work(self, teaches):
        if teaches:
            self.session.teach([self.pair], seconds=LEARNS_S, keep=0.5)
        else:
            self.session.segment(self.pair, [()])

    def kill(self, teaches):
        """Kill the worker at some moment of Segment or Teach; whether the next press works."""
        self.stroke()
        self.work(teaches)
        started = pump_until(self.session, lambda: self.runner.worker_pid is not None)
        delay = time.monotonic() + self.draw.uniform(0, 1.0)
        pump_until(self.session, lambda: time.monotonic() > delay)
        self.stroke()
        before, pid = len(self.failures), self.runner.worker_pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        ended = pump_until(self.session, lambda: self.session.settled)
        if not ended:
            self.session.stop()
            pump_until(self.session, lambda: self.session.settled)
        told = len(self.failures) - before
        self.session.segment(self.pair, [()])
        works = pump_until(self.session, lambda: self.session.settled)
        checks = {
            "a worker came": started,
            "the press ended": ended,
            "the next press ended": works,
            "one sentence at the most": told <= 1,
            "the next press failed not": len(self.failures) - before == told,
        }
        for what in [what for what, is_so in checks.items() if not is_so]:
            sys.stderr.write(f"not so, after {self.failures[before:]}: {what}\n")
        return all(checks.values())

    @property
    def lost(self):
        """How many painted pixels are other ones now."""
        where = self.painted > 0
        return int(np.count_nonzero(self.pair.labels[where] != self.painted[where]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_UNET_HOME"] = folder
        bench = Bench(wanted.seed)
        survived = sum(bench.kill(kill % 2 == 1) for kill in range(wanted.kills))
        lost, said = bench.lost, len(bench.failures)
        bench.session.close()
    sys.stdout.write(
        f"kills survived {survived} of {wanted.kills}, pixels of edits lost {lost}, "
        f"sentences said {said}\n"
    )
    return int(lost > 0 or survived < wanted.kills)


if __name__ == "__main__":
    sys.exit(main())
