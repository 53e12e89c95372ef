from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import version

import numpy as np
import pytest
import pyvips

from dvmsr.images import imresize, read_image

COMMAND = [sys.executable, "-c", "from dvmsr.cli import main; main()"]


def write_noise(path, height=12, width=9):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    pyvips.Image.new_from_array(pixels).copy(interpretation="srgb").write_to_file(str(path))
    return path


@pytest.fixture
def photo(tmp_path):
    return write_noise(tmp_path / "photo.png")


def test_enlarges_beside_the_input(dvmsr, photo, network):
    code, out, err = dvmsr("upscale", *network, photo)
    target = photo.with_name("photo_x4.png")
    assert (code, err) == (0, "")
    pattern = rf"{re.escape(str(photo))} 9x12 -> {re.escape(str(target))} 36x48 in \d+\.\d+ s \(.* MP/s\)\n"
    assert re.fullmatch(pattern, out)
    assert read_image(target).shape == (48, 36, 3)


def test_output_format_by_suffix(dvmsr, photo, tmp_path, network):
    for suffix, loader in (("jpg", "jpegload"), ("tif", "tiffload"), ("webp", "webpload")):
        target = tmp_path / f"result.{suffix}"
        assert dvmsr("upscale", *network, photo, "-o", target)[0] == 0
        assert pyvips.Image.new_from_file(str(target)).get("vips-loader").startswith(loader)


def test_same_result_for_any_number_of_threads(dvmsr, photo, tmp_path, network):
    for threads in (1, 2):
        assert (
            dvmsr("upscale", *network, photo, "-o", tmp_path / f"{threads}.png", "--threads", threads)[0] == 0
        )
    assert np.array_equal(read_image(tmp_path / "1.png"), read_image(tmp_path / "2.png"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--device", "gpu"], 'device must be "cpu", "torch", "cuda", "cuda:N", "auto" or another'),
        (["--device", "cuda:99"], 'device "cuda:99"'),
        (["--precision", "fp8"], "precision must be "),
    ],
)
@pytest.mark.parametrize("command", ["upscale", "evaluate"])
def test_device_and_precision_that_are_not_to_be_had(
    dvmsr, photo, network, benchmark_set, command, options, told
):
    code, out, err = dvmsr(command, *network, photo if command == "upscale" else benchmark_set, *options)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"dvmsr: error: [^\n]+\n", err)
    assert told in err


def test_auto_is_a_device(dvmsr, photo, network, tmp_path):
    for device in ("cpu", "auto"):
        assert dvmsr("upscale", *network, photo, "-o", tmp_path / f"{device}.png", "--device", device)[0] == 0
    high = [read_image(tmp_path / f"{device}.png").astype(int) for device in ("cpu", "auto")]
    assert np.abs(high[0] - high[1]).max() <= 1


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_same_on_a_gpu(dvmsr, photo, network, benchmark_set, tmp_path, precision):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this processor lacks CUDA")
    options = ["--device", "cuda", "--precision", precision]
    assert dvmsr("upscale", *network, photo, "-o", tmp_path / "cpu.png")[0] == 0
    assert dvmsr("upscale", *network, photo, "-o", tmp_path / "gpu.png", *options)[0] == 0
    difference = read_image(tmp_path / "cpu.png").astype(int) - read_image(tmp_path / "gpu.png")
    assert np.abs(difference).max() <= (1 if precision == "fp32" else 12)
    for name, more in (("cpu", []), ("gpu", options)):
        assert dvmsr("evaluate", *network, benchmark_set, "--json", tmp_path / name, *more)[0] == 0
    cpu, gpu = (json.loads((tmp_path / name).read_text())["datasets"]["Noise"] for name in ("cpu", "gpu"))
    assert abs(cpu["psnr_y"] - gpu["psnr_y"]) < 0.01


def test_existing_output_needs_overwrite(dvmsr, photo, network):
    target = photo.with_name("photo_x4.png")
    target.write_bytes(b"precious")
    code, out, err = dvmsr("upscale", *network, photo)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"dvmsr: error: .*photo_x4\.png: exists already, .*--overwrite.*\n", err)
    assert target.read_bytes() == b"precious"
    assert dvmsr("upscale", *network, photo, "--overwrite")[0] == 0
    assert read_image(target).shape == (48, 36, 3)


def test_input_is_never_overwritten(dvmsr, photo, network):
    before = photo.read_bytes()
    code, _, err = dvmsr("upscale", *network, photo, "--output", photo, "--overwrite")
    assert code == 2
    assert "is the input file itself" in err
    assert photo.read_bytes() == before


@pytest.mark.parametrize(
    "kind", ["missing", "empty", "text", "truncated", "no suffix", "unwritable", "weights"]
)
def test_bad_input_is_one_line_and_no_file(dvmsr, photo, tmp_path, kind, network):
    out = tmp_path / "out"
    out.mkdir()
    source, target, more = tmp_path / "input.png", out / "high.png", []
    write_noise(source, 200, 50)
    if kind == "missing":
        source.unlink()
    elif kind == "empty":
        source.write_bytes(b"")
    elif kind == "text":
        source.write_text("no image")
    elif kind == "truncated":
        source.write_bytes(source.read_bytes()[:20_000])
    elif kind == "no suffix":
        target = out / "high.unknown"
    elif kind == "unwritable":
        target = "/proc/high.png"
    elif kind == "weights":
        more = ["--weights", photo]
    code, stdout, err = dvmsr("upscale", *network, *more, source, "-o", target)
    assert (code, stdout) == (2, "")
    assert re.fullmatch(r"dvmsr: error: [^\n]+\n", err)
    assert list(out.iterdir()) == []


def test_folder_goes_on_after_a_bad_file(dvmsr, tmp_path, network):
    folder = tmp_path / "photos"
    folder.mkdir()
    write_noise(folder / "a.png")
    (folder / "b.png").write_text("no image")
    write_noise(folder / "c.png")
    (folder / "notes.txt").touch()
    code, out, err = dvmsr("upscale", *network, folder, "-o", tmp_path / "out")
    assert code == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_x4.png", "c_x4.png"]
    assert out.splitlines()[-1].startswith("2 of 3 images enlarged in ")
    errors = err.splitlines()
    assert errors[0] == f"passed over {folder / 'notes.txt'}: no image that is read here"
    assert errors[1].startswith(f"dvmsr: error: {folder / 'b.png'}: not an image")
    assert errors[2:] == ["dvmsr: error: 1 of 3 images failed:", f"  {folder / 'b.png'}"]


def test_format_for_a_folder(dvmsr, tmp_path, network):
    folder = tmp_path / "photos"
    folder.mkdir()
    write_noise(folder / "a.png")
    code, out, _ = dvmsr("upscale", *network, folder, "--format", "jpg")
    assert code == 0
    assert (tmp_path / "photos_x4" / "a_x4.jpg").exists()
    assert len(out.splitlines()) == 1


def test_debug_shows_the_traceback(tmp_path, network):
    done = subprocess.run(
        [*COMMAND, "upscale", *network, str(tmp_path / "none.png"), "--debug"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.startswith("Traceback")
    assert "ImageReadError" in done.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_interruption_leaves_nothing(tmp_path, name, network):
    source = write_noise(tmp_path / "large.png", 2000, 1000)
    out = tmp_path / "out"
    out.mkdir()
    number = getattr(signal, name)
    # Without a shell's habit of shielding what runs in the background.
    shield_off = f"import signal; signal.signal(signal.{name}, signal.SIG_DFL)\n"
    if name == "SIGINT":
        shield_off = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    program = f"{shield_off}from dvmsr.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "upscale", *network, str(source), "-o", str(out / "high.png")],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not list(out.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [path.suffix for path in out.iterdir()] == [".png"], "the work had not begun"
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    # Beside what the work was foretold to take.
    lines = [line for line in err.splitlines() if not line.startswith(f"{source}: ")]
    assert lines == (["dvmsr: interrupted"] if name == "SIGINT" else [])
    assert list(out.iterdir()) == []


def test_bar_on_a_terminal(photo, network):
    terminal, child = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "upscale", *network, str(photo)], stdout=subprocess.PIPE, stderr=child, text=True
    )
    os.close(child)
    shown = b""
    # Reading from a terminal whose other end is closed is an error on Linux.
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:
        pass
    os.close(terminal)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"photo.png" in shown
    assert b"100 %" in shown
    assert out.startswith(f"{photo} 9x12 -> ")


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_memory_does_not_grow_with_the_height(tmp_path, network, suffix):
    """At a width of 20,000 pixels, where 500 rows more are 117,000 KiB of output."""
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
    for height in (300, 800):
        source, target = tmp_path / f"{height}.png", tmp_path / f"{height}.{suffix}.{suffix}"
        pyvips.Image.black(5000, height, bands=3).copy(interpretation="srgb").write_to_file(str(source))
        command = [sys.executable, "-c", program, "upscale", *network, str(source), "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        high = pyvips.Image.new_from_file(str(target))
        assert (high.width, high.height) == (20_000, 4 * height)
        peaks.append(int(re.search(r"VmHWM:\s+(\d+) kB", done.stdout)[1]))
    # libvips takes some MiB more before it levels off.
    assert peaks[1] - peaks[0] < 30_000, "KiB more for 500 rows more"


@pytest.mark.parametrize("options", [[], ["--alpha", "network"], ["--alpha", "bicubic"]])
def test_alpha(dvmsr, tmp_path, network, options):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 4), np.uint8)
    pyvips.Image.new_from_array(pixels).copy(interpretation="srgb").write_to_file(str(tmp_path / "a.png"))
    assert dvmsr("upscale", *network, tmp_path / "a.png", *options)[0] == 0
    alpha = pyvips.Image.new_from_file(str(tmp_path / "a_x4.png")).numpy()[..., 3]
    # A network of noise makes something else of it.
    error = np.abs(alpha.astype(float) - imresize(pixels[..., 3], 4)).mean()
    assert (error < 1) == ("bicubic" in options)


def test_version(dvmsr):
    assert dvmsr("--version") == (0, f"dvmsr {version('dvmsr')}\n", "")


def test_profile_shows_every_stage(dvmsr, photo, network):
    code, out, _ = dvmsr("upscale", *network, photo, "--profile", "--threads", "1")
    assert code == 0
    rows = {line.split("│")[1].strip(): line.split("│") for line in out.splitlines() if "│" in line}
    assert {"shallow", "in_proj", "scan", "conv", "reconstruct", "all"} <= rows.keys()
    assert [float(rows["scan"][column]) > 0 for column in (2, 3)] == [True, True]
    assert float(rows["all"][5]) >= float(rows["scan"][5])
