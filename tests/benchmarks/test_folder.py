from __future__ import annotations

import json
import sys

import folder


def test_the_whole_script(tmp_path, monkeypatch, capsys):
    output = tmp_path / "result.json"
    options = ["--images", "5", "--sides", "16", "24", "--repeats", "1", "--threads", "2"]
    options += ["--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["folder.py", *options])
    folder.main()
    told = json.loads(output.read_text())
    assert (told["images"], told["threads"], told["repeats"]) == (5, 2, 1)
    rows = {(row["side"], row["part"]): row for row in told["rows"]}
    assert set(rows) == {(side, part) for side in (16, 24) for part in ("engine", "run", "codecs")}
    for side in (16, 24):
        assert rows[side, "engine"]["seconds_ratio"] == 1
        # The run does the work of both others.
        assert rows[side, "run"]["processor_seconds"] > rows[side, "codecs"]["processor_seconds"] / 2 > 0
    assert capsys.readouterr().out.count(" s of processors ") == 6
