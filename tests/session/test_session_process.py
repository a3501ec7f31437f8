"""The session with the real worker process and a tiny model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from napari_unet.core.library import read_model_header
from napari_unet.engine import ProcessRunner
from napari_unet.session.image import Image
from napari_unet.session.pair import ObjectSettings, Pair
from napari_unet.session.session import Session
from session.fakes import pump_until


@pytest.fixture(scope="module")
def worker():
    runner = ProcessRunner()
    yield runner
    runner.close()


@pytest.fixture
def session(worker, tiny_model, monkeypatch):
    monkeypatch.setattr(worker, "close", lambda: None)  # for the next test
    session = Session(worker)
    session.load_model_file(tiny_model)
    yield session
    session.close()


def discs(shape=(64, 64)):
    """Bright discs on a grid, and their labels."""
    y, x = np.indices(shape)
    inside = (y % 16 - 8) ** 2 + (x % 16 - 8) ** 2 < 25
    labels = np.where(inside, 1 + (y // 16) * (shape[1] // 16) + x // 16, 0)
    return np.where(inside, 200, 20).astype(np.uint8), labels.astype(np.int32)


def pair_with(image, labels):
    return Pair(Image("discs", image, "YX"), labels, np.zeros(labels.shape, np.uint8))


def test_segment_and_teach_with_a_real_network(session, heard, home):
    image, labels = discs()
    pair = pair_with(image, np.zeros_like(labels))
    session.segment(pair, [()])
    pump_until(session, lambda: session.settled, 60)
    assert pair.probability[()].any()
    assert heard[-1][0].startswith("Segmented in "), heard
    pair.labels[:] = labels
    curves = []
    session.curve_changed.connect(lambda curve, text: curves.append(curve))
    session.teach([pair], seconds=1.0, keep=0.0, then=(pair, [()]))
    pump_until(session, lambda: session.settled, 60)
    assert not any(is_failure for _, is_failure in heard), heard
    assert "corrected cell" in heard[-1][0] and "kept aside" in heard[-1][0]
    assert curves[-1].loss and curves[-1].score
    np.testing.assert_array_equal(np.where(labels > 0, pair.labels, 0), labels)
    files = list((home / "versions").glob("*.safetensors"))
    assert [version.model for version in session.versions.items[1:]] == list(map(str, files))
    for file in files:
        assert read_model_header(file)[1].title == "tiny, taught 1"


@pytest.mark.skipif(os.name != "posix", reason="signals are of POSIX")
def test_a_worker_that_is_killed_costs_one_sentence_and_the_next_press_works(
    session, worker, heard
):
    image, labels = discs((5000, 5000))  # many tiles
    pair = pair_with(image, np.zeros_like(labels))
    pair.labels[0:16, 0:16] = labels[0:16, 0:16]
    session.settings = ObjectSettings(threshold=1.0)  # few objects, soon made
    session.segment(pair, [()])
    # As soon as the worker is at it: a quick machine is through with it in less than a second; a
    # worker that dies before it has got the task is replaced without a word.
    pump_until(session, lambda: session._run.text.startswith("tile"), 60)
    os.kill(worker.worker_pid, signal.SIGKILL)
    pump_until(session, lambda: session.settled, 60)
    [(sentence, is_failure)] = heard
    assert is_failure
    assert sentence.startswith("The worker process ended unexpectedly (killed, signal 9")
    assert (pair.labels[0:16, 0:16] == labels[0:16, 0:16]).all()
    small = pair_with(*discs())
    session.segment(small, [()])
    pump_until(session, lambda: session.settled, 60)
    assert heard[-1][0].startswith("Segmented in "), heard


def test_the_viewer_s_process_does_not_import_torch(tiny_model, tmp_path):
    script = """
        import sys, time
        import numpy as np
        from napari_unet.session.image import Image
        from napari_unet.session.pair import Pair
        from napari_unet.session.session import Session

        session, heard = Session(), []
        session.said.connect(lambda *what: heard.append(what))
        session.load_model_file(sys.argv[1])
        image = np.random.default_rng(0).integers(0, 255, (2, 40, 50), np.uint8)
        pair = Pair(
            Image("noise", image, "ZYX"), np.zeros(image.shape, np.int32),
            np.zeros(image.shape, np.uint8),
        )
        session.segment(pair, [(0,), (1,)])
        end = time.monotonic() + 100
        while not session.settled and time.monotonic() < end:
            session.pump()
            time.sleep(0.01)
        session.close()
        print(heard, pair.segmented)
        foreign = ("torch", "napari.viewer", "qtpy", "PyQt6", "skimage.segmentation")
        print([name for name in foreign if name in sys.modules])
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), tiny_model],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    heard, foreign = done.stdout.strip().splitlines()
    assert heard.startswith("[('Segmented in ") and heard.endswith("[(0,), (1,)]")
    assert foreign == "[]"
