"""Images behind URLs, with fsspec's file system in memory; tests/cluster has those behind S3."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time

import fsspec
import numpy as np
import pytest

from dvmsr.batch import BatchReport, Done, Failed, plan_files, run_tasks, upscale_files
from dvmsr.batch.urls import as_path, deliver
from dvmsr.errors import ArgumentError, DatasetError, ImageReadError, ImageWriteError
from dvmsr.images import open_image, read_image
from dvmsr.inference.files import FileOptions


@pytest.fixture
def memory():
    """A folder in memory of its own: its URL, and the file system."""
    folder = f"memory://{secrets.token_hex(4)}"
    fs = fsspec.filesystem("memory")
    yield folder, fs
    fs.rm(folder, recursive=True)


@pytest.fixture
def photos(memory, write_noise, tmp_path):
    folder, fs = memory
    names = ("a.png", "deep/b.jpg", "no_suffix", "notes.txt", ".hidden.png", "raw.nef")
    for number, name in enumerate(names):
        file = tmp_path / "made" / name
        if name == "notes.txt":
            file.write_text("no image")
        else:
            write_noise(file, seed=number)
        fs.pipe_file(f"{folder}/in/{name}", file.read_bytes())
    return folder, fs


def names_in(fs, folder):
    top = fs._strip_protocol(folder)
    return sorted(name.removeprefix(f"{top}/") for name in fs.find(folder))


def local_copy(fs, url, tmp_path):
    copy = tmp_path / "copies" / url.rpartition("/")[2]
    copy.parent.mkdir(exist_ok=True)
    fs.get_file(url, str(copy))
    return copy


def test_a_folder_in_and_a_folder_out(photos, upscaler, tmp_path):
    folder, fs = photos
    plan = plan_files([f"{folder}/in"], as_path(f"{folder}/out"), scale=4, recursive=True)
    assert {str(task.target).removeprefix(folder) for task in plan.tasks} == {
        "/out/a_x4.png",
        "/out/deep/b_x4.jpg",
        "/out/no_suffix_x4.png",
    }
    told = {str(entry.path).rpartition("/")[2]: entry.reason for entry in plan.passed_over}
    assert told == {
        "notes.txt": "no image that is read here",
        ".hidden.png": "hidden",
        "raw.nef": "raw data of a camera: develop it first, for instance to TIFF",
    }
    report = BatchReport.of_plan(plan)
    for event in run_tasks(upscaler, plan.tasks, FileOptions(compare=True), hashes=True):
        if isinstance(event, (Done, Failed)):
            report.add(event)
    assert report.failed == []
    assert names_in(fs, f"{folder}/out") == [
        "a_x4.png",
        "a_x4_compare.png",
        "deep/b_x4.jpg",
        "deep/b_x4_compare.png",
        "no_suffix_x4.png",
        "no_suffix_x4_compare.png",
    ]
    source = local_copy(fs, f"{folder}/in/a.png", tmp_path)
    result = local_copy(fs, f"{folder}/out/a_x4.png", tmp_path)
    assert np.array_equal(read_image(result), upscaler.upscale(read_image(source)))
    entries = {entry["source"]: entry for entry in report.as_json()["files"]}
    entry = entries[f"{folder}/in/a.png"]
    assert (entry["status"], entry["target"]) == ("enlarged", f"{folder}/out/a_x4.png")
    assert (entry["width"], entry["target_height"], len(entry["target_sha256"])) == (6, 20, 64)
    assert entry["comparison"] == f"{folder}/out/a_x4_compare.png"


def test_run_again_goes_on_and_an_edited_image_is_refused(photos, make_weights):
    folder, fs = photos
    options = {"weights": _small(make_weights), "threads": 1}
    first = upscale_files(f"{folder}/in", f"{folder}/out", **options)
    assert len(first.files) == 2
    assert [entry.reason for entry in first.passed_over if entry.path.name == "deep"] == [
        "a folder inside (recursive takes it)"
    ]
    again = upscale_files(f"{folder}/in", f"{folder}/out", **options)
    assert (len(again.files), len(again.finished)) == (0, 2)
    # Its source is newer than the result now.
    store = fs.store[fs._strip_protocol(f"{folder}/in/a.png")]
    store.created = type(store.created).fromtimestamp(time.time() + 60, store.created.tzinfo)
    edited = upscale_files(f"{folder}/in", f"{folder}/out", **options)
    assert [failure.message for failure in edited.failed] == [
        f"{folder}/out/a_x4.png: exists already, and was not made of a.png as it is now; "
        "choose another name, or have it replaced (overwrite=True)"
    ]
    assert len(upscale_files(f"{folder}/in", f"{folder}/out", overwrite=True, **options).files) == 2


def test_from_a_url_to_this_machine_and_back(photos, make_weights, tmp_path):
    folder, fs = photos
    options = {"weights": _small(make_weights), "threads": 1}
    report = upscale_files(f"{folder}/in/a.png", tmp_path / "large.png", **options)
    assert [file.target for file in report.files] == [tmp_path / "large.png"]
    reader = open_image(tmp_path / "large.png")
    assert (reader.width, reader.height) == (24, 20)
    again = upscale_files(f"{folder}/in/a.png", tmp_path / "large.png", **options)
    assert [entry.target for entry in again.finished] == [tmp_path / "large.png"]
    sent = upscale_files(tmp_path / "made" / "a.png", f"{folder}/sent", **options)
    assert len(sent.files) == 1
    assert names_in(fs, f"{folder}/sent") == ["a_x4.png"]
    assert len(upscale_files(tmp_path / "made" / "a.png", f"{folder}/sent", **options).finished) == 1


def test_a_damaged_image_fails_alone_and_by_its_url(photos, make_weights):
    folder, fs = photos
    content = fs.cat_file(f"{folder}/in/a.png")
    fs.pipe_file(f"{folder}/in/a.png", content[: len(content) // 2])
    report = upscale_files(f"{folder}/in", f"{folder}/out", weights=_small(make_weights), threads=1)
    assert [file.target.name for file in report.files] == ["no_suffix_x4.png"]
    (failure,) = report.failed
    assert str(failure.path) == f"{folder}/in/a.png"
    assert failure.message.startswith(f"{folder}/in/a.png: ")
    assert names_in(fs, f"{folder}/out") == ["no_suffix_x4.png"]


def test_an_upload_that_breaks_off_leaves_nothing(memory, tmp_path, monkeypatch):
    folder, fs = memory
    fs.pipe_file(f"{folder}/large.png", b"of before")
    (tmp_path / "large.png").write_bytes(b"of now")

    def fail(*_):
        raise OSError("connection reset")

    monkeypatch.setattr(fs, "mv", fail)
    with pytest.raises(ImageWriteError, match=r"large\.png: cannot be reached: connection reset"):
        deliver(tmp_path / "large.png", as_path(f"{folder}/large.png"))
    assert names_in(fs, folder) == ["large.png"]
    assert fs.cat_file(f"{folder}/large.png") == b"of before"


def test_results_in_the_folder_itself_are_not_taken(photos, make_weights):
    folder, _ = photos
    options = {"weights": _small(make_weights), "threads": 1, "recursive": True}
    assert len(upscale_files(f"{folder}/in", f"{folder}/in/large", **options).files) == 3
    again = upscale_files(f"{folder}/in", f"{folder}/in/large", **options)
    assert (len(again.files), len(again.finished)) == (0, 3)
    assert "the folder that the results go to" in {entry.reason for entry in again.passed_over}


def test_what_is_refused(photos):
    folder, fs = photos
    with pytest.raises(ArgumentError, match="expected where to write what is read from a URL"):
        upscale_files(f"{folder}/in")
    with pytest.raises(ImageReadError, match="/none: there is no such file, folder or bucket"):
        upscale_files(f"{folder}/none", f"{folder}/out")
    fs.makedirs(f"{folder}/empty")
    with pytest.raises(DatasetError, match="expected images, and it is empty"):
        upscale_files(f"{folder}/empty", f"{folder}/out")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nosuch://x", "expected a path, or a URL that fsspec knows, such as s3://bucket/photos ("),
        # Its package connects when it is asked for.
        ("ftp://127.0.0.1:1/in", "cannot be reached: "),
    ],
)
def test_a_url_that_leads_nowhere(url, message):
    with pytest.raises(ArgumentError) as told:
        as_path(url)
    assert str(told.value).startswith(f"{url}: {message}")


def test_without_the_package_for_s3():
    program = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from dvmsr.batch.urls import as_path\n"
        "from dvmsr.errors import MissingExtraError\n"
        "try: as_path('s3://bucket/in')\n"
        "except MissingExtraError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("s3://bucket/in needs s3fs: run pip install '.[s3]'")


def test_a_file_url_is_a_path(tmp_path):
    assert as_path(f"file://{tmp_path}") == tmp_path
    assert as_path("C:photo.jpg") == as_path(os.fspath("C:photo.jpg"))


def _small(make_weights):
    from dvmsr import NetworkConfig

    return make_weights(NetworkConfig(channels=16, blocks=1, vimms_per_block=1))
