from __future__ import annotations

import os
from pathlib import Path

import pytest

from dvmsr.batch import FileTask, plan_files
from dvmsr.errors import ArgumentError, DatasetError
from dvmsr.images import Encoding
from dvmsr.inference.files import FileOptions
from dvmsr.inference.sizes import OutputSize


def plan(*inputs, output=None, scale=4, **more):
    return plan_files(inputs, output, scale=scale, **more)


def targets(*inputs, **more):
    planned = plan(*inputs, **more)
    assert planned.failed == ()
    return {task.source.name: task.target for task in planned.tasks}


@pytest.fixture
def photos(tmp_path, write_noise):
    for name in ("b.PNG", "a.jpg", "c.gif"):
        write_noise(tmp_path / "photos" / name)
    return tmp_path / "photos"


def test_a_task_says_all(tmp_path, write_noise):
    source = write_noise(tmp_path / "a.jpg", width=7, height=9)
    (task,) = plan(source).tasks
    assert task == FileTask(source, tmp_path / "a_x4.jpg", 7, 9, 28, 36, task.decoding_bytes, 3)
    assert task.decoding_bytes > 0


@pytest.mark.parametrize(
    ("size", "name", "pixels"),
    [
        (OutputSize(scale=2.5), "a_x2.5.jpg", (18, 23)),
        (OutputSize.parse("30x30"), "a_30x30.jpg", (23, 30)),
        (OutputSize.parse("long=27"), "a_long27.jpg", (21, 27)),
    ],
)
def test_names_carry_what_was_asked_for(tmp_path, write_noise, size, name, pixels):
    source = write_noise(tmp_path / "a.jpg", width=7, height=9)
    (task,) = plan(source, options=FileOptions(size=size)).tasks
    assert (task.target.name, (task.target_width, task.target_height)) == (name, pixels)


def test_name_beside_the_input(tmp_path, write_noise):
    source, animation = write_noise(tmp_path / "a.jpg"), write_noise(tmp_path / "b.gif")
    assert targets(source) == {"a.jpg": tmp_path / "a_x4.jpg"}
    assert targets(source, suffix=".png") == {"a.jpg": tmp_path / "a_x4.png"}
    assert targets(animation) == {"b.gif": tmp_path / "b_x4.png"}


def test_output_for_one_file(tmp_path, write_noise):
    source = write_noise(tmp_path / "a.jpg")
    (tmp_path / "existing.folder").mkdir()
    assert targets(source, output=tmp_path / "b.png") == {"a.jpg": tmp_path / "b.png"}
    for folder in (tmp_path / "existing.folder", tmp_path / "new"):
        assert targets(source, output=folder) == {"a.jpg": folder / "a_x4.jpg"}


def test_folder(photos):
    beside = photos.with_name("photos_x4")
    names = {"a.jpg": "a_x4.jpg", "b.PNG": "b_x4.PNG", "c.gif": "c_x4.png"}
    assert targets(photos) == {name: beside / target for name, target in names.items()}
    assert list(targets(photos)) == sorted(names)
    into = photos.parent / "out"
    assert targets(photos, output=into) == {name: into / target for name, target in names.items()}


def test_folder_without_a_name(photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert targets(Path())["a.jpg"] == photos.with_name("photos_x4") / "a_x4.jpg"


def test_recursive_mirrors_the_tree(tmp_path, write_noise):
    for name in ("one/a.png", "one/deep/er/b.png", "two/a.png"):
        write_noise(tmp_path / name)
    found = plan(tmp_path / "one", recursive=True).tasks
    assert [task.target for task in found] == [
        tmp_path / "one_x4" / "a_x4.png",
        tmp_path / "one_x4" / "deep" / "er" / "b_x4.png",
    ]
    # Of several folders each has one of its own in the output.
    found = plan(tmp_path / "one", tmp_path / "two", output=tmp_path / "out", recursive=True).tasks
    assert [str(task.target.relative_to(tmp_path / "out")) for task in found] == [
        "one/a_x4.png",
        "one/deep/er/b_x4.png",
        "two/a_x4.png",
    ]


def test_no_two_images_get_one_name(tmp_path, write_noise):
    for name in ("a.png", "a.gif", "a.webp", "b.jpg", "B.JPG", "other/a.png"):
        write_noise(tmp_path / name)
    found = targets(tmp_path, suffix=".png")
    names = {name: target.name for name, target in found.items()}
    assert names["a.png"] == "a_x4.png"
    assert names["a.gif"] == "a_gif_x4.png"
    assert names["a.webp"] == "a_webp_x4.png"
    # One name on file systems for which case does not count.
    assert {names["b.jpg"].lower(), names["B.JPG"].lower()} == {"b_x4.png", "b_jpg_x4.png"}
    found = plan(tmp_path / "a.png", tmp_path / "other" / "a.png", output=tmp_path / "out").tasks
    assert [task.target.name for task in found] == ["a_x4.png", "a_png_x4.png"]


def test_a_name_does_not_depend_on_what_is_named_beside_it(tmp_path, write_noise):
    """Else the result of a.png would pass for that of a.gif, or be in its way."""
    for name in ("a.png", "a.gif", "b.gif"):
        write_noise(tmp_path / name)
    assert targets(tmp_path / "a.gif") == {"a.gif": tmp_path / "a_gif_x4.png"}
    assert targets(tmp_path / "a.png") == {"a.png": tmp_path / "a_x4.png"}
    assert targets(tmp_path / "b.gif") == {"b.gif": tmp_path / "b_x4.png"}


def test_a_photograph_is_never_a_target(tmp_path, write_noise):
    """Neither by its name nor through a link: --overwrite would destroy it."""
    write_noise(tmp_path / "cat.png")
    write_noise(tmp_path / "cat_x4.png", width=50)  # no enlargement of cat.png
    options = FileOptions(overwrite=True)
    found = targets(tmp_path, output=tmp_path, options=options)
    assert found["cat.png"] == tmp_path / "cat_png_x4.png"
    assert found["cat_x4.png"] == tmp_path / "cat_x4_x4.png"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cat_x4.png").symlink_to(tmp_path / "cat.png")
    found = targets(tmp_path / "cat.png", output=tmp_path / "out", options=options)
    assert found["cat.png"] == tmp_path / "out" / "cat_png_x4.png"


def test_results_are_not_enlarged_again(tmp_path, write_noise):
    write_noise(tmp_path / "cat.png", width=6, height=5)
    for name, width, height in (
        ("cat_x4.png", 24, 20),
        ("cat_x2.5.jpg", 15, 13),
        ("cat_png_long12.webp", 12, 10),
        ("out/cat_x4.png", 24, 20),
        ("cat_x4_compare.png", 56, 20),
    ):
        write_noise(tmp_path / name, width, height)
    found = plan(tmp_path, recursive=True)
    assert [task.source.name for task in found.tasks] == ["cat.png"]
    assert {str(entry.path.relative_to(tmp_path)) for entry in found.passed_over} == {
        "cat_x4.png",
        "cat_x2.5.jpg",
        "cat_png_long12.webp",
        "out/cat_x4.png",
        "cat_x4_compare.png",
    }
    assert {entry.reason for entry in found.passed_over} == {"the result of an earlier run"}


def make_result(write_noise, source, target, **size):
    """As write_image leaves it: of the source's time."""
    write_noise(target, **size)
    times = source.stat()
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_what_is_finished_is_not_done_again(tmp_path, write_noise):
    sources = [write_noise(tmp_path / f"{name}.png") for name in "abcd"]
    make_result(write_noise, sources[0], tmp_path / "out" / "a_x4.png", width=24, height=20)
    make_result(write_noise, sources[1], tmp_path / "out" / "b_x4.png", width=24, height=21)
    # Of the right size, and of another photograph.
    write_noise(tmp_path / "out" / "c_x4.png", width=24, height=20)
    os.utime(tmp_path / "out" / "c_x4.png", (1e9, 1e9))
    found = plan(*sources, output=tmp_path / "out")
    assert [(entry.source, entry.target) for entry in found.finished] == [
        (sources[0], tmp_path / "out" / "a_x4.png")
    ]
    assert [task.source for task in found.tasks] == sources[3:]
    assert [failure.path for failure in found.failed] == sources[1:3]
    assert all("exists already" in failure.message for failure in found.failed)
    found = plan(*sources, output=tmp_path / "out", options=FileOptions(overwrite=True))
    assert [task.source for task in found.tasks] == sources


@pytest.mark.parametrize(
    ("source", "target", "finished"),
    [
        (1e9 + 0.123456, 1e9 + 0.123456, True),
        (1e9 + 0.123456, 1e9 + 0.623456, False),  # another photograph of the same second
        (1e9 + 0.123456, 1e9, True),  # a file system that keeps even seconds
        (1e9 + 0.123456, 1e9 + 0.12, True),  # and one that keeps hundredths
        (1e9 + 1, 1e9, True),
        (1e9 + 3, 1e9, False),
    ],
)
def test_times_are_as_exact_as_the_file_system_keeps_them(tmp_path, write_noise, source, target, finished):
    photo = write_noise(tmp_path / "a.png")
    result = write_noise(tmp_path / "a_x4.png", width=24, height=20)
    os.utime(photo, (source, source))
    os.utime(result, (target, target))
    found = plan(photo)
    assert (len(found.finished), len(found.failed)) == ((1, 0) if finished else (0, 1))


def test_an_error_names_its_image(tmp_path, write_noise):
    """Also where only what was asked for is wrong, and no file."""
    sources = [write_noise(tmp_path / name, 40, 12) for name in ("a.png", "b.png")]
    found = plan(*sources, options=FileOptions(size=OutputSize.parse("long=5000")))
    assert [failure.message.partition(" pixels cannot become")[0] for failure in found.failed] == [
        f"{source}: 40x12" for source in sources
    ]


def test_a_name_that_becomes_too_long_stops_no_other(tmp_path, write_noise):
    long = write_noise(tmp_path / f"{'x' * 250}.png")
    write_noise(tmp_path / "a.png")
    (tmp_path / "out").mkdir()
    found = plan(tmp_path, output=tmp_path / "out")
    assert [task.source.name for task in found.tasks] == ["a.png"]
    assert [failure.path for failure in found.failed] == [long]
    assert found.failed[0].message == f"{tmp_path / 'out' / ('x' * 250)}_x4.png: File name too long"


def test_what_cannot_be_is_known_before(tmp_path, write_noise):
    sources = [
        write_noise(tmp_path / "a.png"),
        tmp_path / "none.png",
        write_noise(tmp_path / "wide.jpg", 9000, 1),
    ]
    found = plan(*sources, options=FileOptions(size=OutputSize(scale=8)))
    assert [task.source.name for task in found.tasks] == ["a.png"]
    assert ["no such file" in found.failed[0].message, "holds up to 65500" in found.failed[1].message] == [
        1,
        1,
    ]


def test_an_encoding_that_a_format_has_not_is_known_before(tmp_path, write_noise):
    sources = [write_noise(tmp_path / name) for name in ("a.png", "b.tif", "c.jpg")]
    found = plan(*sources, options=FileOptions(encoding=Encoding(quality=50)))
    assert [task.source.name for task in found.tasks] == ["c.jpg"]
    assert ["PNG has no quality" in found.failed[0].message, "TIFF has" in found.failed[1].message] == [1, 1]
    found = plan(*sources, options=FileOptions(encoding=Encoding(lossless=True)))
    assert [task.source.name for task in found.tasks] == ["a.png", "b.tif"]


def test_folder_without_images(tmp_path):
    with pytest.raises(DatasetError, match="expected images, and it is empty"):
        plan(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DatasetError, match=r"no images in it; passed over 1 \(no image that is read here"):
        plan(tmp_path)


@pytest.mark.parametrize("inputs", [[], [""], ["a.png", ""]])
def test_an_empty_name(tmp_path, monkeypatch, write_noise, inputs):
    write_noise(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match="empty one"):
        plan_files(inputs, scale=4)


def test_output_must_be_a_folder(tmp_path, photos, write_noise):
    for name in ("a.png", "b.png", "notes.txt"):
        write_noise(tmp_path / name)
    with pytest.raises(ArgumentError, match="expected a folder"):
        plan(photos, output=tmp_path / "high.png")
    with pytest.raises(ArgumentError, match="expected a folder"):
        plan(tmp_path / "a.png", tmp_path / "b.png", output=tmp_path / "notes.txt")
    with pytest.raises(ArgumentError, match="expected a folder"):
        plan(tmp_path / "a.png", output=tmp_path / "c.png", suffix=".jpg")
    with pytest.raises(ArgumentError, match="expected a folder"):
        plan(tmp_path / "?.png", output=tmp_path / "c.png")
