"""Draw docs/images/strength.webp, of docs/photographs.md; run it again when the shipped weights change.

The example photograph is made four times smaller and damaged, as people's pictures are, in two ways, a
row of the picture each: a JPEG of quality 40, and the noise of a small sensor before a JPEG of quality
85. From left to right: enlarged by bicubic interpolation, by the clean network, and with the photo
network at strengths to 1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyvips

from dvmsr import Upscaler
from dvmsr.degradations import Compression, Degradation, Noise
from dvmsr.images import imresize, read_image

REPOSITORY = Path(__file__).resolve().parents[1]
ROWS = (
    Degradation(compressions=(Compression(40),)),
    Degradation(noise=Noise(gaussian=6, poisson=4), compressions=(Compression(85),)),
)
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
# The rows and columns of the photograph that are shown: an eye and the fur around it.
SHOWN = np.s_[60:220, 200:360]
GAP = 6


def main() -> None:
    """Draw the picture."""
    original = read_image(REPOSITORY / "examples" / "chelsea.png")
    auto = Upscaler(model="auto")
    networks = [auto.with_strength(strength) for strength in STRENGTHS]
    height, width = (side - side % auto.scale for side in original.shape[:2])
    lines = []
    for degradation in ROWS:
        small = degradation.apply(original[:height, :width], auto.scale, np.random.default_rng(0))
        enlarged = [imresize(small, auto.scale), *(network.upscale(small) for network in networks)]
        lines.append(_joined([image[SHOWN] for image in enlarged], axis=1))
    picture = _joined(lines, axis=0)
    image = pyvips.Image.new_from_array(picture).copy(interpretation="srgb")
    image.webpsave(str(REPOSITORY / "docs" / "images" / "strength.webp"), Q=92)


def _joined(images: list[np.ndarray], axis: int) -> np.ndarray:
    shape = list(images[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, 255, np.uint8)
    return np.concatenate([part for image in images for part in (gap, image)][1:], axis=axis)


if __name__ == "__main__":
    main()
