from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvmsr.errors import ArgumentError
from dvmsr.images import imresize, read_image


def test_halving_by_hand():
    row = np.zeros((1, 16))
    row[0, 8] = 1.0
    # Pixel 8 lies 1.75, 0.75, 0.25 and 1.25 output pixels from the centres of output pixels 2 to 5; the
    # kernel, twice as wide, is half as high.
    expected = np.zeros(8)
    expected[2:6] = np.array([-0.0234375, 0.2265625, 0.8671875, -0.0703125]) / 2
    np.testing.assert_allclose(imresize(row, output_size=(1, 8))[0], expected)


def test_doubling_by_hand():
    row = np.array([[0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]])
    # Keys' kernel at distances 1.75, 1.25, 0.75 and 0.25.
    rise = [-0.0234375, -0.0703125, 0.2265625, 0.8671875]
    result = imresize(row, output_size=(1, 14))[0]
    np.testing.assert_allclose(result[3:11], [*rise, *reversed(rise)])
    assert np.count_nonzero(result) == 8


@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    scale=st.sampled_from([1 / 4, 1 / 3, 1 / 2, 1.0, 2.0, 3.0, 4.0, 0.37, 1.7]),
    value=st.integers(0, 255),
)
def test_constant_stays_constant(height, width, scale, value):
    result = imresize(np.full((height, width, 3), value, np.uint8), scale)
    assert result.dtype == np.uint8
    assert (result == value).all()
    np.testing.assert_allclose(imresize(np.full((height, width), value / 255), scale), value / 255)


@given(height=st.integers(8, 20), width=st.integers(8, 20), up=st.integers(2, 4))
def test_linear_ramp_stays_linear_inside(height, width, up):
    # Cubic convolution reproduces a ramp, where the kernel does not touch the border.
    ramp = np.add.outer(np.arange(height), 2 * np.arange(width)).astype(np.float64)
    rows, columns = ((np.arange(up * n) + 0.5) / up - 0.5 for n in (height, width))
    expected = np.add.outer(rows, 2 * columns)
    inside = np.s_[2 * up : -2 * up, 2 * up : -2 * up]
    np.testing.assert_allclose(imresize(ramp, up)[inside], expected[inside], atol=1e-9)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_type_is_kept(dtype):
    image = np.arange(6 * 5 * 3).reshape(6, 5, 3).astype(dtype)
    assert imresize(image, 0.5).dtype == dtype
    assert imresize(image, output_size=(9, 4)).shape == (9, 4, 3)


def test_integers_are_clipped_and_floats_are_not():
    edge = np.repeat([[0, 0, 0, 255, 255, 255]], 4, axis=0)
    assert imresize(edge / 255.0, 2.0).max() > 1.02
    assert imresize(edge.astype(np.uint8), 2.0).max() == 255


def test_scale_rounds_sides_up():
    assert imresize(np.zeros((5, 7)), 1 / 4).shape == (2, 2)


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (np.zeros((4, 4)), {}),
        (np.zeros((4, 4)), {"scale": 2.0, "output_size": (8, 8)}),
        (np.zeros((4, 4)), {"scale": 0.0}),
        (np.zeros((4, 4)), {"scale": float("nan")}),
        (np.zeros((4, 4)), {"output_size": (0, 4)}),
        (np.zeros((0, 4)), {"scale": 2.0}),
        (np.zeros(4), {"scale": 2.0}),
        (np.zeros((4, 4), np.int64), {"scale": 2.0}),
    ],
)
def test_wrong_arguments(image, options):
    with pytest.raises(ArgumentError):
        imresize(image, **options)


@pytest.mark.parametrize(
    "benchmark", ["Set5/x2", "Set5/x3", "Set5/x4", "Set14/x2", "Set14/x3", "Set14/x4", "BSD100/x4"]
)
def test_makes_the_benchmarks_files(shared, benchmark):
    folder = shared(f"benchmarks/{benchmark}")
    scale = int(benchmark[-1])
    files = sorted((folder / "LR").iterdir())
    assert files
    for file in files:
        low = read_image(file)
        high = read_image(folder / "HR" / file.name)
        assert np.array_equal(imresize(high, 1 / scale), low), file.name
