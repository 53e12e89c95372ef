"""The script behind ``make bench``, run on a tiny image."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "inference.py"


def test_measures_and_writes(tmp_path):
    output = tmp_path / "results" / "tiny.json"
    options = {"--threads": 1, "--height": 16, "--width": 20, "--repeats": 2, "--output": output}
    arguments = [str(part) for option in options.items() for part in option]
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

    report = json.loads(output.read_text())
    assert set(report) == {"date", "machine", "load_before", "repeats", "rows"}
    assert {"processor", "cores", "instruction_set", "torch", "dvmsr"} <= set(report["machine"])
    assert [row["network"] for row in report["rows"]] == ["dvmsr-engine", "dvmsr-torch", "rlfn-torch"]
    for row in report["rows"]:
        assert set(row) == {"network", "precision", "threads", "height", "width", "seconds", "peak_mib"}
        assert (row["precision"], row["threads"], row["height"], row["width"]) == ("float32", 1, 16, 20)
        assert row["seconds"] > 0
        assert row["network"] in done.stdout
    peaks = {row["network"]: row["peak_mib"] for row in report["rows"]}
    # The engine's process loads no PyTorch; if it did, it would need as much as the others.
    assert 10 < peaks["dvmsr-engine"] < peaks["rlfn-torch"] - 50
