"""How much of the photo network each kind of damage asks for: scores from clean to photo, and of auto.

The LR images of benchmark sets are damaged anew, enlarged at several strengths, and compared with the HR
images. Two more numbers tell what a score does not: of JPEG files how much of the grid of blocks is left (the
step between neighbouring pixels across the blocks' borders over the step half a block away, where the
photograph is flat), and how far tones move (the mean of the result, reduced again, less that of the
photograph, reduced).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from dvmsr import Upscaler
from dvmsr.degradations import PRESETS, Compression, Degradation, Noise
from dvmsr.evaluation.benchmark import Bicubic
from dvmsr.evaluation.datasets import BenchmarkSet, open_sets
from dvmsr.evaluation.degraded import save_degraded
from dvmsr.evaluation.metrics import psnr_y, ssim_y
from dvmsr.evaluation.pairs import read_pair
from dvmsr.images import imresize, open_image, read_image
from dvmsr.inference.choosing import choose_model
from workers import add_output, load_average, write_report

RESULT = Path(__file__).parent / "results" / "strength.json"
SCALE = 4
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
CONDITIONS = {
    "clean": Degradation(),
    **{
        f"jpeg{quality}": Degradation(compressions=(Compression(quality),))
        for quality in (40, 60, 80, 90, 95)
    },
    **{f"noise{sigma}": Degradation(noise=Noise(gaussian=sigma)) for sigma in (2, 4, 10)},
    "phone": PRESETS["phone"],
}
IN_README = ("clean", "jpeg40", "jpeg60", "jpeg80", "noise10", "phone")
# Rows and columns of a block of JPEG's, enlarged; and what counts as flat: so many steps of 255 in a block.
BLOCK = 8 * SCALE
FLAT = 24


def grid_left(output: NDArray[np.uint8], high: NDArray[np.uint8]) -> tuple[float, float]:
    """Return the mean steps across the borders of blocks and elsewhere, in luma, where ``high`` is flat.

    Args:
        output: (H, W, 3), what came out.
        high: (H, W, 3), the photograph.
    """
    image, truth = (_luma(pixels) for pixels in (output, high))
    height, width = (side // BLOCK * BLOCK for side in image.shape)
    # Around each border from one block to the next on its right.
    steps = np.abs(np.diff(image[:height, :width], axis=1))
    blocks = truth[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    flat = (blocks.max(axis=(1, 3)) - blocks.min(axis=(1, 3))) < FLAT
    both = flat[:, :-1] & flat[:, 1:]
    rows = np.repeat(both, BLOCK, axis=0)
    across = steps[:, BLOCK - 1 :: BLOCK][:, : both.shape[1]][rows]
    # Half a block away nothing of the codec's begins or ends.
    elsewhere = steps[:, BLOCK + BLOCK // 2 - 1 :: BLOCK][:, : both.shape[1]][rows]
    return (float(across.mean()), float(elsewhere.mean())) if len(across) else (0.0, 0.0)


def _luma(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    return image @ np.array([0.299, 0.587, 0.114])


def tone_shift(output: NDArray[np.uint8], high: NDArray[np.uint8]) -> float:
    """Return how far the mean of an image, reduced again, is from that of the photograph, in steps of 255."""
    return float(imresize(output, 1 / SCALE).mean() - imresize(high, 1 / SCALE).mean())


def measure(
    benchmark: BenchmarkSet, auto: Upscaler, conditions: Sequence[str], strengths: Sequence[float]
) -> dict[str, dict[str, dict[str, float]]]:
    """Score bicubic interpolation, strengths and auto's choice on a set under each condition."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in conditions:
            scores: dict[str, list[dict[str, float]]] = {}
            for pair in benchmark.pairs:
                _, high = read_pair(pair, SCALE)
                file = Path(folder) / f"{pair.name}-{name}{CONDITIONS[name].suffix}"
                save_degraded(file, CONDITIONS[name], high, SCALE, pair.name)
                image, chosen = read_image(file), choose_model(open_image(file)).strength
                made = {
                    strength: score(auto.with_strength(strength).upscale(image), high)
                    for strength in {*strengths, chosen}
                }
                each = {"bicubic": score(Bicubic(SCALE).upscale(image), high), "auto": made[chosen]}
                each |= {f"{strength:g}": made[strength] for strength in strengths}
                for key, values in each.items():
                    scores.setdefault(key, []).append(values)
            rows[name] = {key: mean(values) for key, values in scores.items()}
            shown = (f"{key} {row['psnr_y']:.3f}" for key, row in rows[name].items())
            print(benchmark.name, name, *shown, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", type=Path, metavar="DIR", help="benchmark sets, such as BSD100/x4")
    parser.add_argument(
        "--between", type=Path, metavar="DIR", help="a set to score more damages and strengths on"
    )
    add_output(parser, RESULT)
    arguments = parser.parse_args()
    auto, load = Upscaler(model="auto"), load_average()
    report = {
        benchmark.name: measure(benchmark, auto, IN_README, (0.0, 1.0))
        for benchmark in open_sets(arguments.sets, SCALE)
    }
    between = {}
    if arguments.between is not None:
        (benchmark,) = open_sets([arguments.between], SCALE)
        between = {benchmark.name: measure(benchmark, auto, list(CONDITIONS), STRENGTHS)}
    write_report(arguments.output, load_before=load, sets=report, between=between)


def score(output: NDArray[np.uint8], high: NDArray[np.uint8]) -> dict[str, float]:
    across, elsewhere = grid_left(output, high)
    return {
        "psnr_y": psnr_y(output, high, border=SCALE),
        "ssim_y": ssim_y(output, high, border=SCALE),
        "step_across": across,
        "step_elsewhere": elsewhere,
        "tone_shift": abs(tone_shift(output, high)),
    }


def mean(scores: list[dict[str, float]]) -> dict[str, float]:
    means = {key: fmean(each[key] for each in scores) for key in scores[0]}
    grid = means.pop("step_across") / max(means.pop("step_elsewhere"), 1e-9)
    return {**means, "grid": grid}


if __name__ == "__main__":
    main()
