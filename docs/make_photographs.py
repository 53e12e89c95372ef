"""Draw the pictures of docs/photographs.md; run it again when the shipped weights change.

docs/images/strength.webp: the example photograph is made four times smaller and damaged, as people's
pictures are, in two ways, a row of the picture each: a JPEG of quality 40, and the noise of a small
sensor before a JPEG of quality 85. From left to right: enlarged by bicubic interpolation, by the clean
network, and with the photo network at strengths to 1.

docs/images/real.webp: parts of three files as they are, from the data of scikit-image (the folder
skimage/data of its wheel: `pip download --no-deps scikit-image==0.26.0`): a JPEG of the web, a photograph
of a drawing, a scan. From left to right: bicubic interpolation, the clean network, the photo network.

    python docs/make_photographs.py skimage/data
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

from dvmsr import Upscaler
from dvmsr.degradations import Compression, Degradation, Noise
from dvmsr.images import imresize, read_image

REPOSITORY = Path(__file__).resolve().parents[1]
DAMAGES = (
    Degradation(compressions=(Compression(40),)),
    Degradation(noise=Noise(gaussian=6, poisson=4), compressions=(Compression(85),)),
)
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
# The rows and columns of the photograph that are shown: an eye and the fur around it.
SHOWN = np.s_[60:220, 200:360]
# The rows and columns that are enlarged and shown.
REAL = {
    "rocket.jpg": np.s_[205:265, 275:355],
    "text.png": np.s_[55:115, 25:105],
    "page.png": np.s_[70:130, 105:185],
}
GAP = 6


def main() -> None:
    """Draw the pictures."""
    parser = argparse.ArgumentParser(description="Draw the pictures of docs/photographs.md.")
    parser.add_argument("data", type=Path, help="the folder skimage/data of scikit-image's wheel")
    data = parser.parse_args().data
    auto = Upscaler(model="auto")
    _save(_joined([_damaged_row(auto, damage) for damage in DAMAGES], axis=0), "strength.webp")
    _save(_joined([_real_row(auto, data / name, part) for name, part in REAL.items()], axis=0), "real.webp")


def _damaged_row(auto: Upscaler, damage: Degradation) -> NDArray[np.uint8]:
    original = read_image(REPOSITORY / "examples" / "chelsea.png")
    height, width = (side - side % auto.scale for side in original.shape[:2])
    small = damage.apply(original[:height, :width], auto.scale, np.random.default_rng(0))
    enlarged = [auto.with_strength(strength).upscale(small) for strength in STRENGTHS]
    return _joined([image[SHOWN] for image in (imresize(small, auto.scale), *enlarged)], axis=1)


def _real_row(auto: Upscaler, path: Path, part: tuple[slice, slice]) -> NDArray[np.uint8]:
    small = np.ascontiguousarray(read_image(path)[part])
    enlarged = [auto.with_strength(strength).upscale(small) for strength in (0, 1)]
    return _joined([imresize(small, auto.scale), *enlarged], axis=1)


def _joined(images: list[NDArray[np.uint8]], axis: int) -> NDArray[np.uint8]:
    shape = list(images[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, 255, np.uint8)
    return np.concatenate([part for image in images for part in (gap, image)][1:], axis=axis)


def _save(picture: NDArray[np.uint8], name: str) -> None:
    image = pyvips.Image.new_from_array(picture).copy(interpretation="srgb")
    image.webpsave(str(REPOSITORY / "docs" / "images" / name), Q=92)


if __name__ == "__main__":
    main()
