from __future__ import annotations

import pytest

from dvmsr.errors import ArgumentError
from dvmsr.inference.sizes import OutputSize


@pytest.mark.parametrize(
    ("text", "tag", "size"),
    [
        ("3840x2160", "3840x2160", (2880, 2160)),
        ("1000x2160", "1000x2160", (1000, 750)),
        ("3840x", "w3840", (3840, 2880)),
        ("x2160", "h2160", (2880, 2160)),
        ("LONG=4000", "long4000", (4000, 3000)),
        (" 300x ", "w300", (300, 225)),
    ],
)
def test_frames(text, tag, size):
    asked = OutputSize.parse(text)
    assert asked.tag == tag
    assert asked.of(800, 600) == size


@pytest.mark.parametrize(
    ("scale", "tag", "size"),
    [(4, "x4", (28, 20)), (4.0, "x4", (28, 20)), (2.5, "x2.5", (18, 13)), (1.01, "x1.01", (7, 5))],
)
def test_scales(scale, tag, size):
    asked = OutputSize(scale=scale)
    assert (asked.tag, asked.of(7, 5)) == (tag, size)


def test_no_side_vanishes():
    assert OutputSize(longest=20).of(2000, 3) == (20, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "4",
        "3840",
        "long=",
        "-3x4",
        "3840x2160x3",
        "1.5x2",
        "9" * 5000 + "x",
        "long=x",
        "long=0",
        "0x5",
    ],
)
def test_texts_that_are_no_size(text):
    with pytest.raises(ArgumentError, match=r"^expected a size such as 3840x2160 .{,160}$"):
        OutputSize.parse(text)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"scale": 1},
        {"scale": 16.5},
        {"scale": float("nan")},
        {"scale": True},
        {"scale": "4"},
        {"scale": 2, "width": 100},
        {"width": 0},
        {"height": 1.5},
        {"longest": 0},
        {"longest": 100, "height": 100},
    ],
)
def test_values_that_are_no_size(values):
    with pytest.raises(ArgumentError):
        OutputSize(**values)


def test_most_is_sixteen_times():
    assert OutputSize(longest=1600).of(100, 50) == (1600, 800)
    with pytest.raises(ArgumentError, match=r"^100x50 pixels cannot become long1700: that is 17 times"):
        OutputSize(longest=1700).of(100, 50)
