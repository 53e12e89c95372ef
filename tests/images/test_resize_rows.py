from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvmsr.errors import ArgumentError
from dvmsr.images import imresize
from dvmsr.images.resize_rows import resize_rows

SIDES = st.integers(1, 70)


def noise(height, width, channels=3):
    return np.random.default_rng(0).random((height, width, channels), np.float32)


def cut(image, rows):
    return (image[top : top + rows] for top in range(0, len(image), rows))


@settings(deadline=None, max_examples=150)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(1, 40), st.sampled_from([1, 3, 4]))
def test_equals_imresize_however_the_rows_arrive(height, width, output_height, output_width, rows, channels):
    image = noise(height, width, channels)
    size = (output_height, output_width)
    blocks = list(resize_rows(cut(image, rows), (height, width), size))
    result = np.concatenate(blocks)
    assert result.shape == (*size, channels)
    assert np.abs(result - imresize(image.astype(np.float64), output_size=size)).max() < 2e-5


def test_rows_come_as_soon_as_they_can():
    came = []

    def blocks():
        for number, block in enumerate(cut(noise(400, 8), 10)):
            came.append(number)
            yield block

    for count, _ in enumerate(resize_rows(blocks(), (400, 8), (200, 4)), start=1):
        # A kernel of 8 rows, so of 10 rows all but the last 4 are finished.
        assert len(came) == count


@pytest.mark.parametrize(("rows", "width"), [(9, 8), (11, 8), (10, 7)])
def test_blocks_that_are_not_the_image(rows, width):
    with pytest.raises(ArgumentError, match=r"^blocks must "):
        list(resize_rows([noise(rows, width)], (10, 8), (5, 4)))
