"""Many images in a process of its own, followed from here."""

import time

import pytest
import tifffile

from brightness import brightness_model
from napari_unet.session import batch_run
from napari_unet.session.batch_run import BatchRun, batch_command
from napari_unet.session.pair import ObjectSettings
from small_scenes import discs, photograph


def test_the_words_of_the_command(tmp_path):
    settings = ObjectSettings(threshold=0.25, min_size=12, split=None)
    words = batch_command(tmp_path, tmp_path / "o", "m", recursive=True, settings=settings)
    assert words == ["segment", str(tmp_path), "-o", str(tmp_path / "o"), "--model", "m",
                     "--recursive", "--threshold", "0.25", "--min-size", "12"]  # fmt: skip
    assert batch_command(tmp_path, tmp_path, "m", again=True)[-1] == "--again"
    assert batch_command(tmp_path, tmp_path, "m", diameter=31.5)[-2:] == ["--diameter", "31.5"]


def finished(run, limit=200):
    end = time.monotonic() + limit
    while not run.finished:
        assert time.monotonic() < end
        run.pump()
        time.sleep(0.02)
    return run


@pytest.fixture
def words(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(3):
        image = photograph(discs((64, 64), [(14, 14), (40, 40)]), number)
        tifffile.imwrite(tmp_path / "in" / f"{number}.tif", image)
    (tmp_path / "in" / "bad.tif").write_bytes(b"no image")
    model = brightness_model(diameter=20.0, min_size=20).save(tmp_path / "bright.safetensors")
    return batch_command(tmp_path / "in", tmp_path / "out", model.card.path)


SAYS = """
import sys
sys.stderr.write("Segmenting:  50%|###   | 1/2 images, 00:07 left, a.tif\\r")
print("a.tif: 2 objects, written to a_labels.tif")
sys.stderr.write("Segmenting: 100%|######| 2/2 images, 00:00 left, b.tif\\n")
sys.stderr.write("napari-unet: b.tif is bad.\\n")
sys.exit(2)
"""


def test_progress_results_and_problems_are_read(monkeypatch):
    monkeypatch.setattr(batch_run, "BEGIN", SAYS)
    run = BatchRun([])
    said = []
    while not run.finished:
        if run.pump():
            said.append(run.text)
        time.sleep(0.01)
    assert (run.done, run.fraction) == (1, 1.0)
    assert said[-1] == "2 of 2 images, 00:00 left, b.tif"
    assert run.sentence == "1 image segmented. b.tif is bad."


@pytest.mark.slow
def test_a_run_goes_to_its_end_and_names_what_was_bad(tmp_path, words):
    run = finished(BatchRun(words))
    assert run.done == 3 and run.fraction == 1.0
    assert run.text.startswith("4 of 4 images, ")
    assert "bad.tif cannot be read" in run.problems[0]
    assert run.sentence.startswith("3 images segmented. 1 of 4 images could not be segmented")
    assert tifffile.imread(tmp_path / "out" / "2_labels.tif").max() == 2
    again = finished(BatchRun(words))
    assert again.done == 0 and "3 were done before" in again.sentence


@pytest.mark.slow
def test_what_is_stopped_ends(words):
    run = BatchRun(words)
    run.cancel()
    assert finished(run).sentence == "Stopped; the same run goes on where it was."


@pytest.mark.slow
def test_a_wrong_use_is_told(tmp_path):
    run = finished(BatchRun(batch_command(tmp_path / "none", tmp_path, "nuclei-fluorescence")))
    assert run.done == 0 and "none" in run.problems[-1]
