"""How the worker begins and ends with the program that uses it, each in a program of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
needs_posix = pytest.mark.skipif(os.name != "posix", reason="signals are of POSIX")


def write_script(folder, text):
    script = folder / "script.py"
    begin = f"import sys; sys.path.insert(0, {str(TESTS)!r})\n"
    script.write_text(begin + textwrap.dedent(text), encoding="utf-8")
    return script


def run(script, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")  # where nobody collects orphans they stay as zombies
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_the_viewer_s_process_never_imports_torch(tmp_path, model_path):
    script = write_script(
        tmp_path,
        """
        import json
        import numpy as np
        from napari_unet.engine import ProbeTask, ProcessRunner, SegmentTask

        runner = ProcessRunner()
        runner.submit(ProbeTask("cpu", "float32")).result(60)
        job = runner.submit(SegmentTask(np.zeros((1, 64, 64)), sys.argv[1], precision="float32"))
        done, (size, *tiles) = job.result(60), job.poll()
        runner.close()
        print(json.dumps([done.device, len(tiles), "torch" in sys.modules]))
        """,
    )
    assert json.loads(run(script, model_path)) == ["this computer", 1, False]


def test_a_script_without_a_guard_runs_once_and_needs_no_close(tmp_path):
    script = write_script(
        tmp_path,
        """
        print("begin", flush=True)
        from engine.odd_tasks import Count
        from napari_unet.engine import ProcessRunner

        runner = ProcessRunner(preload=False)
        print(runner.submit(Count(3)).result(30), runner.worker_pid)
        """,
    )
    begin, answer = run(script).splitlines()
    count, pid = answer.split()
    assert (begin, count) == ("begin", "3")
    if os.name == "posix":
        wait_for_end(int(pid))


def wait_for_end(pid, seconds=10.0):
    end = time.monotonic() + seconds
    while is_running(pid):
        assert time.monotonic() < end, "the worker outlived the viewer"
        time.sleep(0.02)


@needs_posix
@pytest.mark.parametrize("task", ["Wait", "Deaf"])
def test_the_worker_ends_when_the_viewer_is_killed(tmp_path, task):
    script = write_script(
        tmp_path,
        f"""
        import time
        from engine.odd_tasks import {task}
        from napari_unet.engine import ProcessRunner

        runner = ProcessRunner(preload=False)
        job = runner.submit({task}())
        while not job.poll():
            time.sleep(0.01)
        print(runner.worker_pid, flush=True)
        time.sleep(600)
        """,
    )
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True
    ) as viewer:
        try:
            pid = int(viewer.stdout.readline())
            assert is_running(pid)
        finally:
            viewer.kill()
        wait_for_end(pid)


@needs_posix
def test_ctrl_c_in_the_terminal_leaves_the_worker_at_work(tmp_path):
    script = write_script(
        tmp_path,
        """
        import signal
        import time
        from engine.odd_tasks import Count, Wait
        from napari_unet.engine import ProcessRunner

        signal.signal(signal.SIGINT, signal.default_int_handler)  # off where tests run behind "&"
        runner = ProcessRunner(preload=False)
        job = runner.submit(Wait("still there"))
        while not job.poll():
            time.sleep(0.01)
        try:
            print("ready", flush=True)
            time.sleep(600)
        except KeyboardInterrupt:
            job.cancel()
            print(job.result(30))
        """,
    )
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that the whole group can be interrupted, as a terminal does
    ) as viewer:
        assert viewer.stdout.readline() == "ready\n"
        os.killpg(viewer.pid, signal.SIGINT)
        answer, errors = viewer.communicate(timeout=30)
    assert (answer, errors) == ("still there\n", "")


def test_a_worker_that_cannot_start_is_told_in_a_sentence(tmp_path):
    script = write_script(
        tmp_path,
        """
        import logging
        from engine.odd_tasks import Count
        from napari_unet.core.errors import ComputeError
        from napari_unet.engine import ProcessRunner

        logging.disable()
        sys.executable = sys.executable + "-is-not-there"
        runner = ProcessRunner(preload=False)
        try:
            runner.submit(Count(1)).result(30)
        except ComputeError as error:
            print(error)
        """,
    )
    assert run(script).startswith("The worker process could not be started (")
