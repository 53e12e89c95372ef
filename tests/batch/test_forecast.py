from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dvmsr import Upscaler
from dvmsr.batch import FileTask, foretell, leave_out_what_cannot_fit
from dvmsr.batch.forecast import network_pixels, task_bytes
from dvmsr.batch.plan import BatchPlan
from dvmsr.inference.files import FileOptions
from dvmsr.inference.memory import engine_bytes

OPTIONS = FileOptions()


def task(folder, width, height, factor=4, suffix="png"):
    target = folder / f"a_x{factor}.{suffix}"
    return FileTask(folder / "a.png", target, width, height, factor * width, factor * height)


def test_sums(tmp_path, upscaler):
    told = foretell(upscaler, [task(tmp_path, 100, 50), task(tmp_path, 200, 50, factor=2)], OPTIONS)
    assert (told.images, told.pixels, told.target_pixels) == (2, 15_000, 120_000)
    assert told.seconds > 0
    assert 85 << 20 < told.memory_bytes < 200 << 20
    assert 0 < told.disk_bytes < 360_000


def test_work_of_more_than_one_pass(tmp_path):
    assert network_pixels(task(tmp_path, 100, 50), 4, OPTIONS) == 5000
    assert network_pixels(task(tmp_path, 100, 50, factor=8), 4, OPTIONS) == 25_000
    assert network_pixels(task(tmp_path, 100, 50), 4, replace(OPTIONS, self_ensemble=True)) == 40_000


def test_work_of_all_frames(tmp_path, upscaler):
    one = task(tmp_path, 100, 50)
    ten = replace(one, pictures=10)
    assert network_pixels(ten, 4, OPTIONS) == 10 * network_pixels(one, 4, OPTIONS)
    first, whole = foretell(upscaler, [one], OPTIONS), foretell(upscaler, [ten], OPTIONS)
    assert (whole.pixels, whole.target_pixels) == (10 * first.pixels, 10 * first.target_pixels)
    assert whole.disk_bytes > 9 * first.disk_bytes
    assert whole.memory_bytes == first.memory_bytes


def test_time_is_of_the_network_and_the_codec(tmp_path, upscaler, monkeypatch):
    monkeypatch.setattr("dvmsr.batch.forecast.seconds_per_pixel", lambda _: 1e-5)
    told = [
        foretell(upscaler, [task(tmp_path, 1000, 1000, suffix=suffix)], OPTIONS) for suffix in ("jpg", "avif")
    ]
    assert 10 < told[0].seconds < 11
    # Of AVIF the encoder takes the most.
    assert told[1].seconds > 30


@pytest.mark.parametrize("width", [4000, 16_000])
def test_memory_of_the_engine_is_what_it_takes(width):
    program = f"""
import re
from pathlib import Path
import numpy as np
from dvmsr import Upscaler
def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
upscaler = Upscaler(threads=2)
rows = np.zeros((1, {width}, 3), np.uint8)
before = peak()
for _ in upscaler.stream([rows] * 24, {width}):
    pass
print(peak() - before)
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("the peak of a process is read from /proc, which is Linux's")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    taken = int(re.search(r"\d+", done.stdout)[0])
    assert 0.8 < taken / engine_bytes(Upscaler(threads=2).config, width, 2) < 1.3


def test_what_cannot_fit_has_failed_before_the_work(tmp_path, upscaler, monkeypatch):
    fine, huge = task(tmp_path, 100, 100), task(tmp_path, 100_000, 100_000)
    held = task(tmp_path, 500, 500, suffix="webp")
    plan = BatchPlan((fine, huge, held))

    def kept(memory, disk):
        monkeypatch.setattr("dvmsr.batch.forecast.available_memory", lambda: memory)
        monkeypatch.setattr("dvmsr.batch.forecast._free_disk", lambda _: disk)
        return leave_out_what_cannot_fit(plan, upscaler, OPTIONS)

    left = kept(40 << 20, 1 << 50)
    assert left.tasks == (fine,)
    told = r"needs about [\d,]+ MiB of memory, and 40 MiB are free"
    assert all(re.search(told, failure.message) for failure in left.failed)
    left = kept(1 << 50, 100 << 20)
    assert left.tasks == (fine, held)
    assert re.search(r"needs about [\d,]+ MiB on disk, and 100 MiB are free", left.failed[0].message)


def test_transparency_goes_through_the_network_as_well(tmp_path, upscaler):
    plain = task(tmp_path, 5000, 10)
    both = replace(plain, has_alpha=True)
    one, two = (task_bytes(upscaler, each, OPTIONS) for each in (plain, both))
    assert two - one > engine_bytes(upscaler.config, 5000, upscaler.threads)
    assert task_bytes(upscaler, both, replace(OPTIONS, alpha="bicubic")) == one


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
def test_what_is_on_no_disk_has_no_room_to_be_short_of(upscaler):
    plan = BatchPlan((replace(task(Path("/tmp"), 10, 10), target=Path("/proc/high.png")),))
    assert leave_out_what_cannot_fit(plan, upscaler, OPTIONS) == plan


def test_disk_of_a_folder_that_is_yet_to_be(tmp_path, upscaler):
    plan = BatchPlan((task(Path(tmp_path / "new" / "folder"), 10, 10),))
    assert leave_out_what_cannot_fit(plan, upscaler, OPTIONS) == plan
