"""``dvmsr upscale`` on more than one image, other sizes, and pipes."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time

import numpy as np
import pyte
import pytest
import pyvips
from PIL import Image

from dvmsr.batch import pipes
from dvmsr.images import read_image

COMMAND = [sys.executable, "-m", "dvmsr", "upscale"]


def write_noise(path, height=12, width=9):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    pyvips.Image.new_from_array(pixels, interpretation="srgb").write_to_file(str(path))
    return path


@pytest.fixture
def photo(tmp_path):
    return write_noise(tmp_path / "photo.png")


@pytest.mark.parametrize(
    ("options", "name", "shape"),
    [
        (["--scale", "2"], "photo_x2.png", (24, 18, 3)),
        (["-s", "2.5"], "photo_x2.5.png", (30, 23, 3)),
        (["--scale", "8"], "photo_x8.png", (96, 72, 3)),
        (["--size", "100x30"], "photo_100x30.png", (30, 23, 3)),
        (["--size", "long=40", "--format", "jpeg"], "photo_long40.jpeg", (40, 30, 3)),
    ],
)
def test_sizes(dvmsr, photo, network, options, name, shape):
    code, out, err = dvmsr("upscale", *network, photo, *options)
    assert (code, err) == (0, "")
    assert f"{name} {shape[1]}x{shape[0]} in " in out
    assert read_image(photo.with_name(name)).shape == shape


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--scale", "1"], "scale must be a number above 1, up to 16, got 1.0"),
        (["--size", "big"], "expected a size such as 3840x2160"),
        (["--scale", "2", "--size", "9x"], "either a scale or a size"),
        (["--lossless", "--quality", "5"], "either a quality or lossless"),
        (["--scale", "8", "--self-ensemble"], "a self-ensemble enlarges up to 4 times"),
    ],
)
def test_sizes_and_encodings_that_are_none(dvmsr, photo, network, options, told):
    code, out, err = dvmsr("upscale", *network, photo, *options)
    assert (code, out) == (2, "")
    assert told in err
    assert re.fullmatch(r"dvmsr: error: [^\n]+\n", err)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--scale", "two"], "--scale: expected a number, got 'two'"),
        (["--quality", "0"], "--quality: expected a whole number from 1 to 100, got 0"),
        (["--quality", "high"], "--quality: expected a whole number from 1 to 100, got 'high'"),
        (["--threads", "-1"], "--threads: expected a whole number from 1, got -1"),
        (["--max-pixels", "1e6"], "--max-pixels: expected a whole number from 1, got '1e6'"),
        (["--alpha", "cubic"], "--alpha: expected one of network, bicubic, got 'cubic'"),
    ],
)
def test_values_that_options_do_not_take(dvmsr, photo, network, options, told):
    code, out, err = dvmsr("upscale", *network, photo, *options)
    assert (code, out, err) == (2, "", f"dvmsr: error: {told} (see dvmsr upscale --help)\n")


def test_result_line_tells_of_frames_and_comparison(dvmsr, photo, network, tmp_path):
    frames = [Image.fromarray(np.full((9, 12, 3), value, np.uint8)) for value in (20, 120, 220)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    code, out, _ = dvmsr("upscale", *network, tmp_path / "a.gif", "--pages", "all")
    assert code == 0
    assert re.search(r"a\.gif 12x9 \(x3\) -> .*a_x4\.webp 48x36 \(x3\) in ", out)
    code, out, _ = dvmsr("upscale", *network, photo, "--compare")
    assert out.splitlines()[1] == (
        f"  beside bicubic interpolation: {photo.with_name('photo_x4_compare.png')}"
    )


def test_what_is_on_no_disk_cannot_be_written(dvmsr, photo, network):
    code, _, err = dvmsr("upscale", *network, photo, "-o", "/proc/x.jpg")
    assert code == 2
    assert re.fullmatch(r"dvmsr: error: /proc/x\.jpg: (cannot be written|the folder /proc cannot).*\n", err)


def test_run_again_goes_on(dvmsr, tmp_path, network):
    for name in ("a.png", "deep/b.png"):
        write_noise(tmp_path / "in" / name)
    arguments = ("upscale", *network, tmp_path / "in", "-r", "-o", tmp_path / "in" / "out")
    assert dvmsr(*arguments)[0] == 0
    first = (tmp_path / "in" / "out" / "a_x4.png").stat().st_ino
    (tmp_path / "in" / "out" / "deep" / "b_x4.png").unlink()
    code, out, err = dvmsr(*arguments, "--report", tmp_path / "report.json")
    assert code == 0
    assert out.splitlines()[-1].startswith("1 of 2 images enlarged in ")
    assert out.splitlines()[-1].endswith("; 1 finished before; 1 passed over")
    finished = tmp_path / "in" / "out" / "a_x4.png"
    assert f"finished before: {finished}; --overwrite makes it again\n" in err
    assert f"passed over {tmp_path / 'in' / 'out'}: the folder that the results go to" in err
    assert (tmp_path / "in" / "out" / "a_x4.png").stat().st_ino == first
    told = json.loads((tmp_path / "report.json").read_text())
    assert {entry["status"] for entry in told["files"]} == {"enlarged", "finished before", "passed over"}
    assert dvmsr(*arguments, "--overwrite")[0] == 0
    assert (tmp_path / "in" / "out" / "a_x4.png").stat().st_ino != first


def test_overwrite_never_takes_a_photograph(dvmsr, tmp_path, network):
    """cat_x4.png is no result of cat.png: it has another size."""
    write_noise(tmp_path / "cat.png")
    other = write_noise(tmp_path / "cat_x4.png", 40, 30)
    before = other.read_bytes()
    assert dvmsr("upscale", *network, tmp_path, "-o", tmp_path, "--overwrite")[0] == 0
    assert other.read_bytes() == before
    assert read_image(tmp_path / "cat_png_x4.png").shape == (48, 36, 3)


def test_names_that_are_no_text(network, tmp_path):
    """Orders to a terminal and bytes that are not UTF-8 end no run, whatever the encoding is."""
    folder = tmp_path / "in"
    write_noise(folder / "fine.png")
    for name in (b"\xff.png", b"new\nline\x1b[31m.png", "Füße.png".encode()):
        (folder / os.fsdecode(name)).write_bytes((folder / "fine.png").read_bytes())
    done = subprocess.run(
        [*COMMAND, *network, str(folder)],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout.splitlines()) == 5
    assert rb"new\nline\x1b[31m.png 9x12" in done.stdout
    assert rb"\xff.png 9x12" in done.stdout
    assert rb"F\xfc\xdfe.png 9x12" in done.stdout
    assert len(list((tmp_path / "in_x4").iterdir())) == 4


def test_never_a_line_of_many_names(dvmsr, tmp_path, network):
    (tmp_path / "in").mkdir()
    for number in range(30):
        (tmp_path / "in" / f"{number}.png").write_text("no image")
        (tmp_path / "in" / f"{number}.txt").touch()
    code, _, err = dvmsr("upscale", *network, tmp_path / "in")
    assert code == 2
    assert "passed over 30 files or folders: no image that is read here\n" in err
    assert err.count("  and 20 more, which --report FILE.json lists\n") == 2
    assert max(map(len, err.splitlines())) < len(str(tmp_path)) + 150


def test_an_empty_name_is_not_this_folder(dvmsr, photo, network, monkeypatch):
    monkeypatch.chdir(photo.parent)
    code, out, err = dvmsr("upscale", *network, "")
    assert (code, out) == (2, "")
    assert err == "dvmsr: error: expected the names of files or folders, got an empty one\n"


def test_table_on_a_terminal(network, tmp_path):
    for name in "abc":
        write_noise(tmp_path / "in" / f"{name}.png")
    terminal, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("4H", 30, 120, 0, 0))
    # Short names, so that no line is broken.
    command = [*COMMAND, *network, "in"]
    process = subprocess.Popen(command, stdout=child, stderr=child, cwd=tmp_path)
    os.close(child)
    shown = b""
    # Reading from a terminal whose other end is closed is an error on Linux.
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:
        pass
    os.close(terminal)
    assert process.wait(timeout=30) == 0
    screen = pyte.Screen(120, 30)
    pyte.ByteStream(screen).feed(shown)
    lines = [line.rstrip() for line in screen.display if line.strip()]
    # The bar is gone, and no line stands on what is left of it.
    for name, line in zip("abc", sorted(lines[:3]), strict=True):  # two at a time, so in any order
        assert re.fullmatch(rf"in/{name}\.png \d+x\d+ -> in_x4/{name}_x4\.png \d+x\d+ in .*/s\)", line)
    assert "pixels written" in "".join(lines)
    assert re.search(r"enlarged\W+3 ", "".join(lines[3:]))


def test_interruption_of_a_folder_leaves_nothing_half(network, tmp_path):
    for number in range(6):
        write_noise(tmp_path / "in" / f"{number}.png", 1500, 600)
    command = [*COMMAND, *network, str(tmp_path / "in"), "--report", str(tmp_path / "report.json")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    made = [path.name for path in (tmp_path / "in_x4").iterdir()]
    assert all(re.fullmatch(r"\d_x4\.png", name) for name in made)
    counts = json.loads((tmp_path / "report.json").read_text())["counts"]
    assert counts["enlarged"] == len(made) < 6
    assert counts["enlarged"] + counts["left"] == 6
    assert err.endswith(f"dvmsr: interrupted: {len(made)} of 6 images are done; the same command goes on\n")


def test_pipes(photo, network, tmp_path):
    done = subprocess.run(
        [*COMMAND, *network, "-", "-o", "-", "--format", "webp"],
        input=photo.read_bytes(),
        capture_output=True,
        check=True,
    )
    (tmp_path / "result.webp").write_bytes(done.stdout)
    assert pyvips.Image.new_from_file(str(tmp_path / "result.webp")).get("vips-loader").startswith("webp")
    assert done.stderr.startswith(b"standard input 9x12 -> standard output 36x48 in ")


def test_standard_input_is_named_once(dvmsr, network, tmp_path):
    """It is empty when the second one looks, and nothing would say why."""
    code, out, err = dvmsr("upscale", "-", "-", *network, "-o", tmp_path)
    assert (code, out) == (2, "")
    assert err == "dvmsr: error: expected - once: standard input ends when it has been read\n"


def test_named_pipe(dvmsr, photo, network, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")

    def write():
        time.sleep(0.3)
        (tmp_path / "pipe").write_bytes(photo.read_bytes())

    writer = threading.Thread(target=write)
    writer.start()
    code, out, _ = dvmsr("upscale", *network, tmp_path / "pipe", "-o", tmp_path / "out.png")
    writer.join()
    assert code == 0
    assert out.startswith(f"{tmp_path / 'pipe'} 9x12 -> {tmp_path / 'out.png'} 36x48")
    monkeypatch.setattr(pipes, "SECONDS_FOR_A_WRITER", 0.2)
    code, _, err = dvmsr("upscale", *network, tmp_path / "pipe", "-o", tmp_path / "new.png")
    assert code == 2
    assert err == f"dvmsr: error: {tmp_path / 'pipe'}: expected an image out of the pipe, and nothing came\n"


def test_pipes_that_lead_nowhere(dvmsr, photo, network):
    code, _, err = dvmsr("upscale", *network, "-")
    assert code == 2
    assert "expected where to write what comes out of a pipe" in err
    code, _, err = dvmsr("upscale", *network, photo, photo.with_name("other.png"), "-o", "-")
    assert code == 2
    assert "expected one image for -o -, got 2" in err


def test_foretold_before_the_work(dvmsr, tmp_path, network):
    source = write_noise(tmp_path / "large.png", 520, 520)
    code, _, err = dvmsr("upscale", *network, source, "--scale", "2")
    assert code == 0
    takes = r"about \d+ s, [\d.]+ MiB of memory, \S+ \w+ on disk"
    assert re.match(rf"{re.escape(str(source))}: 520x520 -> 1040x1040, {takes}\n", err)


@pytest.mark.parametrize("command", ["upscale", "web", "evaluate", "info", "train", "distill", "finetune"])
def test_short_help_with_examples(dvmsr, command):
    code, out, _ = dvmsr(command, "-h")
    assert code == 0
    assert "Examples:" in out
    assert re.search(rf"^ dvmsr {command}", out, re.MULTILINE)


def test_wrong_option_points_to_the_command_s_help(dvmsr, photo):
    code, _, err = dvmsr("upscale", photo, "--bogus")
    assert (code, err) == (2, "dvmsr: error: No such option: --bogus (see dvmsr upscale --help)\n")


def test_completion():
    asked = {"_DVMSR_COMPLETE": "complete_bash", "COMP_WORDS": "dvmsr up", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "dvmsr"], capture_output=True, text=True, check=False, env=os.environ | asked
    )
    assert done.stdout.split() == ["upscale"]


@pytest.mark.parametrize("scale", ["2", "8"])
def test_memory_of_other_sizes_does_not_grow_with_the_height(tmp_path, network, scale):
    """By 600 rows more, which at a scale of 8 are 34,000 KiB of output."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the peak of a process is read from /proc, which is Linux's")
    program = """
import atexit
from pathlib import Path
atexit.register(lambda: print(Path("/proc/self/status").read_text()))
from dvmsr.cli import main
main()
"""
    peaks = []
    for height in (150, 750):
        source, target = tmp_path / f"{height}.png", tmp_path / f"{height}.high.png"
        pyvips.Image.black(300, height, bands=3).copy(interpretation="srgb").write_to_file(str(source))
        command = [sys.executable, "-c", program, "upscale", *network, source, "-o", target, "-s", scale]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
        peaks.append(int(re.search(r"VmHWM:\s+(\d+) kB", done.stdout)[1]))
    assert peaks[1] - peaks[0] < 15_000, "KiB more for 600 rows more"


def test_a_comparison_is_written_over_no_image(network, tmp_path):
    """Neither over its own source nor over another input, whatever is asked for."""
    options = ["--compare", "--overwrite"]
    write_noise(tmp_path / "own_compare.png", 20, 12)
    write_noise(tmp_path / "cat.png", 20, 12)
    write_noise(tmp_path / "cat_x4_compare.png", 60, 50)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def run(*arguments):
        command = [*COMMAND, *network, *map(str, arguments), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    done = run("own_compare.png", "-o", "own.png")
    assert done.returncode == 2
    assert "own_compare.png: is an image to be enlarged" in done.stderr
    # Larger than what a comparison of cat.png would be, so it is a photograph.
    done = run("cat.png", "cat_x4_compare.png", "-o", ".")
    assert done.returncode == 2
    assert "cat_x4_compare.png: is an image to be enlarged" in done.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert {path.name for path in tmp_path.iterdir()} - {path.name for path in before} == {
        "cat_x4_compare_x4.png",
        "cat_x4_compare_x4_compare.png",
    }


def test_a_comparison_that_exists_is_said_before_the_work(network, tmp_path):
    write_noise(tmp_path / "cat.png", 20, 12)
    (tmp_path / "large_compare.png").write_bytes(b"mine")
    command = [*COMMAND, *network, "cat.png", "--compare", "-o", "large.png"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "large_compare.png: exists already" in done.stderr
    assert not (tmp_path / "large.png").exists()


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ("cat.png", "exists already and is no report"),
        ("other.json", "exists already and is no report"),
        ("out.png", "is one of the results"),
        ("missing/report.json", "there is no folder"),
        ("-", "expected the name of a file for the report"),
    ],
)
def test_a_report_is_written_over_nothing_else(network, tmp_path, report, message):
    write_noise(tmp_path / "cat.png", 20, 12)
    (tmp_path / "other.json").write_text('{"counts": 3}')
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    command = [*COMMAND, *network, "cat.png", "-o", "out.png", "--report", report]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"dvmsr: error: {re.escape(report)}: [^\n]+\n", done.stderr)
    assert message in done.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_link_that_leads_to_itself_is_no_result(network, tmp_path):
    write_noise(tmp_path / "cat.png", 20, 12)
    (tmp_path / "loop.png").symlink_to("loop.png")
    command = [*COMMAND, *network, "cat.png", "-o", "loop.png"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"dvmsr: error: loop\.png: [^\n]+\n", done.stderr)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--profile"], "--ray computes on CPUs and takes no profile"),
        (["--device", "torch"], "--ray computes on CPUs and takes no profile"),
        (["-o", "-"], "other machines have no part in standard output: leave out --ray"),
    ],
)
def test_what_a_cluster_cannot_do(dvmsr, network, photo, options, message):
    code, out, err = dvmsr("upscale", *network, photo, *options, "--ray", "local")
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
