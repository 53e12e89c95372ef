from __future__ import annotations

import numpy as np
import pytest

from dvmsr.images import spread_colours
from dvmsr.images.transparency import REACH


def noise(height, width, visible, channels=4, dtype=np.uint8):
    """Noise in all channels, a given part of it visible."""
    rng = np.random.default_rng(height * width)
    image = rng.integers(1, np.iinfo(dtype).max, (height, width, channels), dtype)
    image[rng.random((height, width)) >= visible, -1] = 0
    return image


def spread(image, rows=7):
    return np.concatenate(list(spread_colours(image[y : y + rows] for y in range(0, len(image), rows))))


@pytest.mark.parametrize(
    ("channels", "dtype", "visible"), [(4, np.uint8, 0.01), (2, np.uint16, 0.03), (4, np.uint16, 0.5)]
)
def test_hidden_colours_become_those_of_a_nearest_visible_pixel(channels, dtype, visible):
    image = noise(90, 33, visible, channels, dtype)
    result = spread(image)
    rows, columns = np.nonzero(image[..., -1])
    for y, x in np.ndindex(image.shape[:2]):
        distances = np.abs(rows - y) + np.abs(columns - x)
        reached = np.abs(rows - y) <= REACH
        if image[y, x, -1] or not reached.any():
            assert np.array_equal(result[y, x], image[y, x])
            continue
        nearest = reached & (distances == distances[reached].min())
        candidates = image[rows[nearest], columns[nearest], :-1]
        assert (candidates == result[y, x, :-1]).all(axis=1).any()
    assert np.array_equal(result[..., -1], image[..., -1])


def test_reach_in_rows():
    image = np.zeros((60, 5, 4), np.uint8)
    image[30, 2] = (7, 8, 9, 1)
    reached = np.nonzero((spread(image)[..., :3] == (7, 8, 9)).all(axis=2).all(axis=1))[0]
    assert reached.tolist() == list(range(30 - REACH, 30 + REACH + 1))


@pytest.mark.parametrize("rows", [1, 16, 63, 64, 200])
def test_cuts_change_nothing(rows):
    image = noise(201, 20, 0.01)
    assert np.array_equal(spread(image, rows), spread(image, len(image)))


@pytest.mark.parametrize("visible", [0.0, 1.0])
def test_nothing_to_spread(visible):
    image = noise(20, 9, visible)
    assert np.array_equal(spread(image), image)
    assert list(spread_colours(iter(()))) == []
