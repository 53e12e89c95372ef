"""Recognising what an earlier run wrote, so that it is not enlarged again."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from dvmsr.batch.sources import PassedOver, Source
from dvmsr.errors import DvmsrError
from dvmsr.images import comparison_size
from dvmsr.inference.sizes import OutputSize

_NAME = re.compile(
    r"(?P<base>.+?)(-\d+)?_(x(?P<scale>\d{1,2}(\.\d{1,9})?)|(?P<frame>\d{1,6}x\d{1,6})|w(?P<width>\d{1,6})"
    r"|h(?P<height>\d{1,6})|long(?P<longest>\d{1,6}))(?P<compare>_compare)?",
    re.DOTALL,
)

EARLIER_RESULT = "the result of an earlier run"


def part_earlier_outputs(
    sources: Sequence[Source], measure: Callable[[Path], tuple[int, int]]
) -> tuple[list[Source], list[PassedOver]]:
    """Part the images from what an earlier run made of them.

    An image is taken for a result if its name is the one that another image's result has, and its size is the
    one that this name tells, to the pixel: a photograph that happens to be called cat_x4.png is enlarged as
    all others.

    Args:
        sources: All that was found.
        measure: Reads an image's columns and rows from its header.

    Returns:
        The images to enlarge, and the results.
    """
    stems: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        stems[source.path.stem].append(source)
        stems[f"{source.path.stem}_{source.path.suffix[1:]}"].append(source)
    images, results = [], []
    for source in sources:
        match = _NAME.fullmatch(source.path.stem)
        is_result = match is not None and any(
            other is not source and _fits(match, source.path, other.path, measure)
            for other in stems[match["base"]]
        )
        if is_result:
            results.append(PassedOver(source.path, EARLIER_RESULT))
        else:
            images.append(source)
    return images, results


def _fits(match: re.Match[str], path: Path, origin: Path, measure: Callable[[Path], tuple[int, int]]) -> bool:
    try:
        size = _asked(match).of(*measure(origin))
        return measure(path) == (comparison_size(*size) if match["compare"] else size)
    except DvmsrError:
        return False


def _asked(match: re.Match[str]) -> OutputSize:
    if match["scale"]:
        return OutputSize(scale=float(match["scale"]))
    if match["frame"]:
        return OutputSize.parse(match["frame"])
    numbers = {name: int(match[name]) for name in ("width", "height", "longest") if match[name]}
    return OutputSize(**numbers)
