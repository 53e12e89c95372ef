from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import numpy as np
import pytest

from dvmsr.batch import BatchReport, Done, Failed, Progress, one, plan_files, run_tasks
from dvmsr.images import read_image
from dvmsr.inference.files import FileOptions

OPTIONS = FileOptions()


def test_several_at_a_time_and_the_same_pixels(tmp_path, write_noise, upscaler):
    for number in range(7):
        write_noise(tmp_path / "in" / f"{number}.png", width=30 + number, height=40, seed=number)
    plan = plan_files([tmp_path / "in"], tmp_path / "out", scale=4)
    names = set()

    class Watched(type(upscaler)):
        def stream(self, *arguments, **more):
            names.add(threading.current_thread().name)
            return super().stream(*arguments, **more)

    watched = Watched.__new__(Watched)
    watched.__dict__.update(upscaler.__dict__)
    events = list(run_tasks(watched, plan.tasks, OPTIONS))
    assert {event.task for event in events if isinstance(event, Done)} == set(plan.tasks)
    assert {name.startswith("dvmsr-image") for name in names} == {True}
    assert len(names) == 2, "as many as the upscaler has threads"
    for task in plan.tasks:
        assert np.array_equal(read_image(task.target), upscaler.upscale(read_image(task.source)))


def test_others_go_on_where_one_fails(tmp_path, write_noise, upscaler):
    for name in "abc":
        write_noise(tmp_path / f"{name}.png")
    plan = plan_files([tmp_path], tmp_path / "out", scale=4)
    plan.tasks[1].source.unlink()
    report = BatchReport.of_plan(plan)
    for event in run_tasks(upscaler, plan.tasks, OPTIONS, hashes=True):
        if not isinstance(event, Progress):
            report.add(event)
    assert {file.source.name for file in report.files} == {"a.png", "c.png"}
    assert [failure.path.name for failure in report.failed] == ["b.png"]
    assert report.left == []
    report.write(tmp_path / "report.json", {"size": "x4"})
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["counts"] == {"enlarged": 2, "finished before": 0, "failed": 1, "passed over": 0, "left": 0}
    entries = {entry["source"]: entry for entry in told["files"]}
    entry = entries[str(tmp_path / "a.png")]
    assert (entry["width"], entry["height"], entry["target_width"], entry["target_height"]) == (6, 5, 24, 20)
    for kind in ("source", "target"):
        content = Path(entry[kind]).read_bytes()
        assert entry[f"{kind}_sha256"] == hashlib.sha256(content).hexdigest()
    assert "no such file" in entries[str(tmp_path / "b.png")]["error"]


def test_stops_between_rows_and_leaves_nothing_half(tmp_path, write_noise, upscaler):
    for number in range(3):
        write_noise(tmp_path / f"{number}.png", width=200, height=3000, seed=number)
    plan = plan_files([tmp_path], tmp_path / "out", scale=4)
    events = run_tasks(upscaler, plan.tasks, OPTIONS)
    while next(events).finished == 0:
        pass
    events.close()
    assert list((tmp_path / "out").iterdir()) == []
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("dvmsr")]


def test_an_error_that_nobody_expects_is_not_swallowed(tmp_path, write_noise, upscaler, monkeypatch):
    write_noise(tmp_path / "a.png")
    plan = plan_files([tmp_path / "a.png"], scale=4)
    monkeypatch.setattr("dvmsr.batch.one.upscale_file", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(run_tasks(upscaler, plan.tasks, OPTIONS))


def test_a_system_s_error_is_of_its_file_alone(tmp_path, write_noise, upscaler, monkeypatch):
    write_noise(tmp_path / "a.png")
    plan = plan_files([tmp_path / "a.png"], scale=4)

    def fail(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("dvmsr.batch.one.upscale_file", fail)
    (event,) = [event for event in run_tasks(upscaler, plan.tasks, OPTIONS) if isinstance(event, Failed)]
    assert event.failure.message == f"{tmp_path / 'a.png'}: Input/output error"


def test_lack_of_memory_is_of_its_image_alone(tmp_path, write_noise, upscaler, monkeypatch):
    """The one after it may be smaller."""
    for name in ("a.png", "b.png"):
        write_noise(tmp_path / name)
    plan = plan_files([tmp_path], tmp_path / "out", scale=4)

    def upscale_first_not(upscaler, source, *arguments, **settings):
        if source.name == "a.png":
            raise MemoryError
        return upscale_file(upscaler, source, *arguments, **settings)

    upscale_file = one.upscale_file
    monkeypatch.setattr(one, "upscale_file", upscale_first_not)
    events = list(run_tasks(upscaler, plan.tasks, OPTIONS))
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.failure.message == f"{tmp_path / 'a.png'}: not enough memory to enlarge it; free some"
    assert [event.file.source.name for event in events if isinstance(event, Done)] == ["b.png"]
