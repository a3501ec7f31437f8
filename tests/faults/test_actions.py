"""Some of the random actions of a person that `actions.py` can do by the thousand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.gl
@pytest.mark.parametrize("count", [120, pytest.param(1000, marks=[pytest.mark.slow])])
@pytest.mark.timeout(1200)
def test_after_any_actions_each_edit_is_there_and_nobody_saw_a_traceback(count):
    script = Path(__file__).with_name("actions.py")
    command = [sys.executable, str(script), "--actions", str(count), "--seed", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    said = re.search(r"actions tried (\d+) in .* tracebacks 0, edits lost 0", done.stdout)
    assert said and int(said[1]) == count
