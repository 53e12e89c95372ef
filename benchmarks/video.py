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
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from dvmsr import Upscaler
from dvmsr.images import read_image
from dvmsr.video import VideoOptions, VideoProgress, upscale_video
from workers import add_output, load_average, measure_in_turns, print_rows, resident_bytes, write_report

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
    add_output(parser, RESULT)
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
        rows = measure_in_turns(parts, options.repeats)
        write_clip(clip, options.many, options.side, options.side)
        memory: list[int] = []

        def note(_: VideoProgress) -> None:
            memory.append(resident_bytes())

        upscale_video(upscaler, clip, target, asked, progress=note)
    print_rows(rows)
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


if __name__ == "__main__":
    main()
