"""A few kills of the many that `kills.py` can do."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="it forks")
def test_nothing_older_than_a_second_is_lost_when_a_process_is_killed():
    script = Path(__file__).with_name("kills.py")
    command = [sys.executable, str(script), "--kills", "6", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    said = re.search(r"actions tried (\d+), kills survived 6 of 6, edits lost 0;", done.stdout)
    assert said and int(said[1]) > 30
