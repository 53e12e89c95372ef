from __future__ import annotations

import json
import sys

import folder


def test_the_whole_script(tmp_path, monkeypatch, capsys):
    output = tmp_path / "result.json"
    options = ["--images", "5", "--side", "16", "--repeats", "1", "--threads", "2", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["folder.py", *options])
    folder.main()
    told = json.loads(output.read_text())
    assert (told["images"], told["side"], told["threads"], told["repeats"]) == (5, 16, 2, 1)
    rows = {row["part"]: row for row in told["rows"]}
    assert rows["engine"]["seconds_ratio"] == 1
    # The run does the work of both others.
    assert rows["run"]["processor_seconds"] > rows["codecs"]["processor_seconds"] / 2 > 0
    assert capsys.readouterr().out.count(" s of processors ") == 3
