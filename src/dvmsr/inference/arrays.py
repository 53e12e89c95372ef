"""Images in memory, in the kinds that people have, as the RGB arrays that a network takes."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import ArgumentError

_SHAPES = "image must be an array of shape (height, width, 3), or (height, width) for grey"
_OTHERS = "a Pillow image or the path of an image"
# What Pillow has that is grey or RGB already. Its other modes are converted by whoever knows what they mean.
_PILLOW_MODES = ("L", "RGB", "I;16")
_CONVERSIONS = {
    "float16": "image.astype(numpy.float32)",
    "bool": "image.astype(numpy.uint8) * 255",
}


class PillowImage:
    """What the network takes from a Pillow image, and how its output becomes one.

    Args:
        image: A ``PIL.Image.Image`` of mode L, RGB or I;16.

    Raises:
        ArgumentError: It is of another mode.
    """

    def __init__(self, image: Any) -> None:
        if image.mode not in _PILLOW_MODES:
            lost = ", which drops its transparency" if image.mode in ("RGBA", "LA", "PA") else ""
            raise ArgumentError(
                f"a Pillow image must be of mode {', '.join(_PILLOW_MODES)}, got {image.mode}; "
                f'convert it: image.convert("RGB"){lost} (an image file keeps what it has)'
            )
        self.pixels: NDArray[Any] = np.asarray(image)
        """(H, W, 3) or (H, W), uint8 or uint16."""

    @staticmethod
    def wrap(pixels: NDArray[Any]) -> Any:
        """Make a Pillow image of pixels as in ``pixels``."""
        from PIL import Image

        return Image.fromarray(pixels)


def is_pillow_image(image: object) -> bool:
    """Whether this is an image of Pillow's, which is not imported for the question."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def as_rgb(image: object) -> NDArray[Any]:
    """Return an image as the engine takes it.

    Args:
        image: (H, W, 3) RGB, or (H, W) or (H, W, 1) grey, of uint8, uint16, float32 or float64.

    Returns:
        (H, W, 3) of uint8, uint16 or float32; a view where it is that already.

    Raises:
        ArgumentError: It is another shape or type; the message says how to convert it.
    """
    if not isinstance(image, np.ndarray):
        raise ArgumentError(f"{_SHAPES}, {_OTHERS}, got {type(image).__name__}{_conversion_of(image)}")
    grey = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1)
    if image.size == 0 or not (grey or (image.ndim == 3 and image.shape[2] == 3)):
        raise ArgumentError(f"{_SHAPES}, got {image.shape}{_rearrangement(image.shape)}")
    if image.dtype == np.float64:
        image = image.astype(np.float32)
    if image.dtype not in (np.uint8, np.uint16, np.float32):
        way = _CONVERSIONS.get(image.dtype.name, "image.astype(numpy.uint8) if its values are 0 to 255")
        raise ArgumentError(
            f"pixels must be uint8, uint16, float32 or float64, got {image.dtype}; convert them: {way}"
        )
    return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2) if grey else image


def as_given(rgb: NDArray[Any], given: NDArray[Any]) -> NDArray[Any]:
    """Return an enlarged image in the kind of its source.

    Args:
        rgb: (H, W, 3), what became of ``as_rgb(given)``.
        given: The source.

    Returns:
        The same in the source's type; of a grey source the mean of the channels, of integers rounded, with as
        many axes as the source has.
    """
    if given.ndim == 2 or given.shape[2] == 1:
        kind, mean = rgb.dtype, rgb.mean(axis=2)
        # Thirds are never halfway between two integers.
        rgb = (np.rint(mean) if kind.kind == "u" else mean).astype(kind)
        rgb = rgb if given.ndim == 2 else rgb[..., None]
    return rgb.astype(given.dtype, copy=False)


def _conversion_of(image: object) -> str:
    if hasattr(image, "permute"):  # a tensor of PyTorch's
        return "; convert it: image.permute(1, 2, 0).cpu().numpy(), without a batch's first axis"
    if hasattr(image, "__array__") or isinstance(image, (list, tuple)):
        return "; convert it: numpy.asarray(image)"
    return ""


def _rearrangement(shape: tuple[int, ...]) -> str:
    if len(shape) == 4:
        return "; enlarge the images of a batch one by one"
    if len(shape) == 3 and shape[0] in (1, 3):
        return "; put the channels last: image.transpose(1, 2, 0)"
    if len(shape) == 3 and shape[2] == 4:
        return "; leave the transparency out: image[..., :3] (an image file keeps it)"
    if len(shape) == 3 and shape[2] == 2:
        return "; leave the transparency out: image[..., 0] (an image file keeps it)"
    return ""
