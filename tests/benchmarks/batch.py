"""Two hundred images of which two are bad, killed in the middle and started again.

198 images of nuclei-dsb2018, one that is cut off and a text that is called an image.
`napari-unet segment` is killed when half of them are there, and the same command is given again.
Counts results, names in the report, and images that both runs have segmented.

python tests/benchmarks/batch.py [--count 200 --model nuclei-fluorescence --data FOLDER]
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CUT, TEXT = "cut_off.tif", "text.tif"
REPORT = "napari-unet-report.json"


def main() -> int:
    """Print the counts; 1 if one is not what it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--model", default="nuclei-fluorescence")
    parser.add_argument("--data", type=Path, default=os.environ.get("NAPARI_UNET_DATA"))
    args = parser.parse_args()
    files = sorted((args.data / "nuclei-dsb2018" / "images").glob("*.tif"))[: args.count - 1]
    with tempfile.TemporaryDirectory() as name:
        images, out = Path(name) / "images", Path(name) / "labels"
        images.mkdir()
        for file in files[:-1]:
            shutil.copy(file, images)
        content = files[-1].read_bytes()
        (images / CUT).write_bytes(content[: len(content) // 2])
        (images / TEXT).write_text("These are notes, not an image.\n")
        command = ["segment", str(images), "-o", str(out), "--model", args.model, "--device", "cpu"]
        first = killed(command, out, args.count // 2)
        print(f"killed when {len(first)} of {args.count} labels were there", flush=True)
        done = subprocess.run(program(command), capture_output=True, text=True, check=False)
        second = {
            path: when for path, when in times(out).items() if path not in first
        }  # what the kill had left half done counts as done by the second run
        twice = [path for path, when in first.items() if times(out)[path] != when]
        report = json.loads((out / REPORT).read_text())
    failed = sorted(Path(one["image"]).name for one in report["results"] if one["problem"])
    said = [line for line in done.stderr.splitlines() if line.startswith("napari-unet: ")]
    results = len(first) + len(second)
    print(f"second run: {len(second)} more, exit code {done.returncode}")
    print(f"{results} results, {len(twice)} images done twice, named in the report: {failed}")
    print(
        f"report: {report['done']} done, {report['done before']} before, {report['failed']} failed"
    )
    print("\n".join(said))
    is_good = (
        results == args.count - 2
        and not twice
        and failed == [CUT, TEXT]
        and done.returncode == 2
        and report["done before"] == len(first)
        and report["done"] == len(second)
    )
    return 0 if is_good else 1


def program(words: list[str]) -> list[str]:
    """Return how the command is started."""
    return [sys.executable, "-c", "import sys; from napari_unet.cli import main; "
            "sys.exit(main(sys.argv[1:]))", *words]  # fmt: skip


def killed(words: list[str], out: Path, after: int) -> dict[str, int]:
    """Kill the command when so many labels are there; return when each was written."""
    process = subprocess.Popen(program(words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(times(out)) < after:
        if process.poll() is not None:
            raise SystemExit("it ended before it was killed")
        time.sleep(0.02)
    process.kill()
    process.wait()
    return times(out)


def times(out: Path) -> dict[str, int]:
    """Return when each file of labels was written."""
    return {path.name: path.stat().st_mtime_ns for path in out.glob("*_labels.tif")}


if __name__ == "__main__":
    sys.exit(main())
