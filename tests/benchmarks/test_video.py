from __future__ import annotations

import json
import sys

import video


def test_the_whole_script(tmp_path, monkeypatch, capsys):
    output = tmp_path / "result.json"
    sizes = ["--frames", "3", "--width", "16", "--height", "16", "--many", "8", "--side", "16"]
    options = [*sizes, "--repeats", "1", "--threads", "2", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["video.py", *options])
    video.main()
    told = json.loads(output.read_text())
    assert (told["frames"], told["many"], told["threads"]) == (3, 8, 2)
    rows = {row["part"]: row for row in told["rows"]}
    assert rows["engine"]["seconds_ratio"] == 1
    assert rows["video"]["processor_seconds"] > 0
    assert len(told["memory_mib_by_quarter"]) == 4
    assert told["memory_mib_peak"] >= max(told["memory_mib_by_quarter"])
    assert "memory in MiB" in capsys.readouterr().out
