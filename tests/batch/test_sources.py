from __future__ import annotations

import os
import socket

import pytest

from dvmsr.batch import sources
from dvmsr.batch.sources import find_sources
from dvmsr.errors import ArgumentError
from dvmsr.images.signatures import is_image


def taken(found, folder):
    return [str(source.path.relative_to(folder)) for source in found.sources]


def reasons(found, folder):
    return {str(entry.path.relative_to(folder)): entry.reason for entry in found.passed_over}


def test_everything_in_a_folder_is_taken_or_named(tmp_path, write_noise):
    for name in ("a.jpg", "b.PNG", "c.jfif", "no suffix", "image.txt", ".hidden.png", "sub/d.png", "e.NEF"):
        write_noise(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "text.png").write_text("no image, and its suffix says that it is")
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
    (tmp_path / "broken.png").symlink_to("nowhere")
    found = find_sources([tmp_path])
    assert taken(found, tmp_path) == ["a.jpg", "b.PNG", "c.jfif", "image.txt", "no suffix", "text.png"]
    assert reasons(found, tmp_path) == {
        ".hidden.png": sources.HIDDEN,
        "broken.png": sources.BROKEN_LINK,
        "e.NEF": sources.RAW,
        "notes.txt": sources.NO_IMAGE,
        "pipe.png": sources.NOT_A_FILE,
        "socket": sources.NOT_A_FILE,
        "sub": sources.SUBFOLDER,
    }
    assert found.failed == []


def test_recursive_survives_loops_and_takes_each_file_once(tmp_path, write_noise):
    for name in ("a.png", "z/b.png", "z/deep/c.png"):
        write_noise(tmp_path / name)
    (tmp_path / "z" / "loop").symlink_to(tmp_path)
    (tmp_path / "another way").symlink_to(tmp_path / "z")
    (tmp_path / "0.png").symlink_to(tmp_path / "a.png")
    found = find_sources([tmp_path], recursive=True)
    assert taken(found, tmp_path) == ["a.png", "z/b.png", "z/deep/c.png"]
    assert reasons(found, tmp_path) == {
        "z/loop": sources.TAKEN_FOLDER,
        "another way": sources.TAKEN_FOLDER,
        "0.png": sources.SAME_FILE,
    }


def test_a_link_to_a_folder_elsewhere_is_followed(tmp_path, write_noise):
    write_noise(tmp_path / "elsewhere" / "a.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "link").symlink_to(tmp_path / "elsewhere")
    assert taken(find_sources([tmp_path / "photos"], recursive=True), tmp_path) == ["photos/link/a.png"]


def test_the_output_folder_is_not_gone_into(tmp_path, write_noise):
    write_noise(tmp_path / "a.png")
    write_noise(tmp_path / "out" / "a_x4.png")
    found = find_sources([tmp_path], recursive=True, output_folder=tmp_path / "out")
    assert taken(found, tmp_path) == ["a.png"]
    assert reasons(found, tmp_path) == {"out": sources.OUTPUT_FOLDER}


def test_patterns_and_repeated_names(tmp_path, write_noise):
    for name in ("a.png", "b.png", "c.jpg", "[d].png"):
        write_noise(tmp_path / name)
    found = find_sources([tmp_path / "*.png", tmp_path / "a.png", tmp_path / "[d].png", tmp_path / "c.jpg"])
    assert taken(found, tmp_path) == ["[d].png", "a.png", "b.png", "c.jpg"]
    assert found.passed_over == []
    with pytest.raises(ArgumentError, match=r"\*\.gif: expected .* nothing fits it"):
        find_sources([tmp_path / "*.gif"])


def test_a_file_that_was_named_is_taken_whatever_it_is(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    assert taken(find_sources([tmp_path / "notes.txt", tmp_path / "none"]), tmp_path) == ["notes.txt", "none"]


def test_a_folder_that_cannot_be_read_has_failed(tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    iterdir = type(tmp_path).iterdir

    def refuse(path):
        if path.name == "locked":  # permissions do not stop root, who runs the tests in a container
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    found = find_sources([tmp_path], recursive=True)
    assert [failure.message for failure in found.failed] == [
        f"{tmp_path / 'locked'}: cannot be read: Permission denied"
    ]


@pytest.mark.parametrize(
    "start",
    [
        b"\0\0\0\x20ftypheic\0\0\0\0",
        b"\0\0\0\x20ftypavif\0\0\0\0",
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"II*\0\x08\0\0\0",
        b"BM\x9a\0\0\0\0\0\0\0\x8a\0",
        b"P6 4 4 255\n",
        b"\xff\xd8\xff\xe1",
    ],
)
def test_images_by_content(start):
    assert is_image(start)


@pytest.mark.parametrize(
    "start", [b"", b"P6", b"BMW are cars", b"\0\0\0\x20ftypmp42\0\0\0\0", b"RIFF\x10\0\0\0WAVEfmt ", b"<svg "]
)
def test_others_by_content(start):
    assert not is_image(start)
