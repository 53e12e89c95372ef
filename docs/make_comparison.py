"""Draw docs/images/comparison.png, the picture in the README; run it again when the shipped weights change.

The example photograph is made four times smaller, as test sets are, and enlarged again in two ways. From
left to right: by bicubic interpolation, by dvmsr, and the photograph itself, which neither was given.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyvips

from dvmsr import Upscaler
from dvmsr.images import imresize, read_image

REPOSITORY = Path(__file__).resolve().parents[1]
# The rows and columns of the photograph that are shown: the face.
SHOWN = np.s_[40:276, 112:348]
GAP = 8


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description="Draw the picture in the README.")
    parser.add_argument("--weights", type=Path, help="file of weights; by default the shipped ones")
    upscaler = Upscaler(parser.parse_args().weights)

    photograph = read_image(REPOSITORY / "examples" / "chelsea.png")
    height, width = (side - side % upscaler.scale for side in photograph.shape[:2])
    original = photograph[:height, :width]
    small = imresize(original, 1 / upscaler.scale)
    panels = [image[SHOWN] for image in (imresize(small, upscaler.scale), upscaler.upscale(small), original)]

    gap = np.full((len(panels[0]), GAP, 3), 255, np.uint8)
    picture = np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)
    image = pyvips.Image.new_from_array(picture).copy(interpretation="srgb")
    image.pngsave(str(REPOSITORY / "docs" / "images" / "comparison.png"), compression=9, filter="all")


if __name__ == "__main__":
    main()
