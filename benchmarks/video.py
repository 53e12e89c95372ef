"""A clip: time of the whole run against the engine's own on the same frames, and memory over many frames.

Two things take turns: the engine alone, from arrays to arrays, a frame after the other; and the run from file
to file, with decoding, conversion of colours, x264 (veryfast) and the final file. Wall time and the processor
time of all threads are given: on a machine that others use as well, the latter tells more. Then a clip of
many small frames is enlarged once, and the process's memory is read after each.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from dvmsr import Upscaler
from dvmsr.images import read_image
from dvmsr.video import VideoOptions, VideoProgress, upscale_video
from workers import load_average, write_report

PHOTOGRAPH = Path(__file__).parents[1] / "examples" / "chelsea.png"
RESULT = Path(__file__).parent / "results" / "video.json"
MEBI = 1 << 20


def write_clip(path: Path, frames: int, width: int, height: int) -> None:
    """Write a clip that pans over a photograph, in H.264 as phones do."""
    pixels = read_image(PHOTOGRAPH)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            top = number % (pixels.shape[0] - height + 1)
            left = 2 * number % (pixels.shape[1] - width + 1)
            part = np.ascontiguousarray(pixels[top : top + height, left : left + width])
            output.mux(stream.encode(av.VideoFrame.from_ndarray(part, "rgb24")))
        output.mux(stream.encode(None))


def read_frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """Return the wall time and the processor time of something, in seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def resident_bytes() -> int:
    """Return how much memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=24, help="frames of the timed clip (default: 24)")
    parser.add_argument("--width", type=int, default=256, help="columns of it (default: 256)")
    parser.add_argument("--height", type=int, default=256, help="rows of it (default: 256)")
    parser.add_argument("--repeats", type=int, default=3, help="timed rounds (default: 3)")
    parser.add_argument("--many", type=int, default=300, help="frames for the memory (default: 300)")
    parser.add_argument("--side", type=int, default=64, help="rows and columns of those (default: 64)")
    parser.add_argument(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads (default: all)"
    )
    parser.add_argument(
        "--output", type=Path, default=RESULT, help="JSON file to write (default: %(default)s)"
    )
    options = parser.parse_args()

    load = load_average()
    upscaler = Upscaler(threads=options.threads)
    with tempfile.TemporaryDirectory() as name:
        clip, target = Path(name) / "clip.mp4", Path(name) / "large.mp4"
        write_clip(clip, options.frames, options.width, options.height)
        arrays = read_frames(clip)
        asked = VideoOptions(preset="veryfast", overwrite=True)
        parts: dict[str, Callable[[], object]] = {
            "engine": lambda: [upscaler.upscale(array) for array in arrays],
            "video": lambda: upscale_video(upscaler, clip, target, asked),
        }
        times: dict[str, list[tuple[float, float]]] = {part: [] for part in parts}
        for _ in range(options.repeats):
            for part, work in parts.items():
                times[part].append(measure(work))
        rows = summarised(times)
        write_clip(clip, options.many, options.side, options.side)
        memory: list[int] = []

        def note(_: VideoProgress) -> None:
            memory.append(resident_bytes())

        upscale_video(upscaler, clip, target, asked, progress=note)
    for row in rows:
        print(
            f"{row['part']}: {row['seconds']:.2f} s, {row['processor_seconds']:.2f} s of processors; of the "
            f"engine's {row['seconds_ratio']:.3f} and {row['processor_seconds_ratio']:.3f}"
        )
    # Quarters: in the first the encoder fills what it looks ahead.
    quarter = max(1, len(memory) // 4)
    quarters = [statistics.median(memory[i * quarter : (i + 1) * quarter]) / MEBI for i in range(4)]
    print("memory in MiB, medians of quarters: " + ", ".join(f"{value:.1f}" for value in quarters))
    settings = {key: value for key, value in vars(options).items() if key != "output"}
    write_report(
        options.output,
        load_before=load,
        **settings,
        rows=rows,
        memory_mib_by_quarter=quarters,
        memory_mib_peak=max(memory) / MEBI,
    )


def summarised(times: dict[str, list[tuple[float, float]]]) -> list[dict[str, object]]:
    """Medians over the rounds, of times and of their ratios to the engine's in the same round."""
    rows: list[dict[str, object]] = []
    for part, measured in times.items():
        row: dict[str, object] = {"part": part}
        for place, key in enumerate(("seconds", "processor_seconds")):
            row[key] = statistics.median(each[place] for each in measured)
            pairs = zip(measured, times["engine"], strict=True)
            row[f"{key}_ratio"] = statistics.median(each[place] / base[place] for each, base in pairs)
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
