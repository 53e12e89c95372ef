"""What a worker makes of an image that another one has done, or is at; in this process, without a cluster."""

from __future__ import annotations

import pytest

from dvmsr.batch import Done, Failed, plan_files
from dvmsr.cluster import ClusterSettings, run_tasks_on_ray, worker
from dvmsr.cluster.worker import ALREADY, Network, Work, enlarge
from dvmsr.errors import ArgumentError, MissingExtraError
from dvmsr.images import read_image
from dvmsr.inference.files import FileOptions


@pytest.fixture
def work():
    return Work(Network("one", None, "clean", 1.0, 1, "fp32"), FileOptions(), hashes=False)


@pytest.fixture
def task(tmp_path, write_noise):
    write_noise(tmp_path / "a.png", height=9, width=8)
    (task,) = plan_files([tmp_path / "a.png"], tmp_path / "out", scale=4).tasks
    return task


def test_the_network_is_kept(work, task):
    assert isinstance(enlarge(work, task), Done)
    kept = worker._loaded
    task.target.unlink()
    enlarge(work, task)
    assert worker._loaded is kept


def test_what_a_dead_machine_has_done_is_not_done_again(work, task):
    enlarge(work, task)
    before = task.target.stat().st_ino
    again = enlarge(work, task)
    assert isinstance(again, Done)
    assert again.file.notes == (ALREADY,)
    assert (again.file.target_width, task.target.stat().st_ino) == (32, before)


def test_a_machine_that_was_thought_dead_comes_first(work, task, monkeypatch):
    """It writes the target while this one is at the image."""
    done = worker.do_task

    def slowly(*arguments, **settings):
        assert isinstance(done(*arguments, **settings), Done)
        # This one finds the target there.
        return done(*arguments, **settings)

    monkeypatch.setattr(worker, "do_task", slowly)
    event = enlarge(work, task)
    assert isinstance(event, Done)
    assert read_image(task.target).shape == (36, 32, 3)


def test_another_file_in_the_way_is_an_error(work, task):
    task.target.parent.mkdir()
    task.target.write_bytes(b"of somebody")
    event = enlarge(work, task)
    assert isinstance(event, Failed)
    assert "was not made of a.png" in str(event.error)
    assert task.target.read_bytes() == b"of somebody"


def test_an_error_that_cannot_be_sent_keeps_its_text(work, task, monkeypatch):
    error = MissingExtraError("pillow-heif", "heic", "a.heic")
    monkeypatch.setattr(worker, "do_task", lambda *_, **__: Failed(task, error))
    event = enlarge(work, task)
    assert str(event.error) == str(error)
    assert type(event.error) is not MissingExtraError


@pytest.mark.parametrize("address", ["", "head", "ray://head"])
def test_what_is_no_address(task, address):
    expected = f"expected HOST:PORT, ray://HOST:PORT, local or auto, got '{address}'"
    with pytest.raises(ArgumentError, match=expected):
        list(run_tasks_on_ray(ClusterSettings(address), [task], FileOptions()))
