"""Rows in, rows out on a device of PyTorch: as the native engine, up to the rounding of floats."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dvmsr import ArgumentError, NetworkConfig
from dvmsr.engine import Engine
from dvmsr.torch_engine import TorchEngine
from dvmsr.torch_engine.height import band_height, bytes_per_pixel

pytestmark = pytest.mark.usefixtures("one_torch_thread")

CONFIG = NetworkConfig(scale=3, channels=12, blocks=2, vimms_per_block=2, state_size=4)
LATE = CONFIG.blocks + 3


@pytest.fixture(scope="module")
def weights(make_weights):
    return make_weights(CONFIG)


def noise(height, width, dtype=np.uint8):
    rng = np.random.default_rng(0)
    if np.dtype(dtype) == np.float32:
        return rng.random((height, width, 3), np.float32)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)


def native(weights, image):
    pytest.importorskip("dvmsr._native")
    return Engine(weights).stream(image.shape[1], image.dtype, 1).push(image, last=True)


def in_blocks(engine, image, heights):
    """Rows pushed so many at a time, the rest at the end."""
    stream = engine.stream(image.shape[1], image.dtype, 1)
    parts, top = [], 0
    for height in heights:
        parts.append(stream.push(image[top : top + height]))
        top += height
    return np.concatenate([*parts, stream.push(image[top:], last=True)])


def assert_same(got, want, most=None):
    """Up to rounding: of floats, and at the edge between two integers."""
    assert (got.shape, got.dtype, got.flags.c_contiguous) == (want.shape, want.dtype, True)
    if most is None:
        most = 1e-4 * max(1, np.abs(want).max()) if want.dtype == np.float32 else want.max() // 255 // 20 + 1
    assert np.abs(got.astype(np.float64) - want).max() <= most


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    height=st.integers(1, 16),
    width=st.integers(1, 6),
    heights=st.lists(st.integers(0, 7), max_size=6),
    band_rows=st.one_of(st.none(), st.integers(1, 9)),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
)
def test_any_blocks_and_bands(weights, device, height, width, heights, band_rows, dtype):
    image = noise(height, width, dtype)
    got = in_blocks(TorchEngine(weights, device, band_rows=band_rows), image, heights)
    assert_same(got, native(weights, image))


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("residual", [False, True])
def test_any_network(make_weights, device, scale, residual):
    weights = make_weights(NetworkConfig(scale=scale, channels=20, blocks=3, vimm_residual=residual))
    image = noise(22, 9, np.float32)
    assert_same(in_blocks(TorchEngine(weights, device, band_rows=3), image, [5, 9]), native(weights, image))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision(make_weights, device, precision):
    weights = make_weights(NetworkConfig(scale=2, channels=32, blocks=2))
    image = noise(24, 10, np.float32)
    exact = native(weights, image)
    got = in_blocks(TorchEngine(weights, device, precision, band_rows=4), image, [7, 7])
    error = np.sqrt(np.mean((got - exact) ** 2)) / exact.std()
    assert 1e-4 < error < 0.05


def test_float16_where_features_go_beyond_it(make_weights, device):
    """As with the shipped weights. A LayerNorm brings them back."""
    weights = make_weights(NetworkConfig(scale=2, channels=32, blocks=2))
    weights.parameters["blocks.1.conv.weight"] *= 1e5
    image = noise(24, 10, np.float32)
    exact = native(weights, image)
    got = in_blocks(TorchEngine(weights, device, "fp16", band_rows=4), image, [7, 7])
    assert np.sqrt(np.mean((got - exact) ** 2)) / exact.std() < 0.05


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_rounded_and_clipped(make_weights, device, dtype):
    weights = make_weights(CONFIG)
    for array in weights.parameters.values():
        array *= 1.5  # far beyond [0, 1]
    engine = TorchEngine(weights, device)
    image, full = noise(9, 8, dtype), np.iinfo(dtype).max
    exact = in_blocks(engine, (image / full).astype(np.float32), [])
    assert exact.min() < 0
    assert exact.max() > 1
    got = in_blocks(engine, image, [])
    assert got.min() == 0
    assert got.max() == full
    assert np.abs(got - full * np.clip(exact.astype(np.float64), 0, 1)).max() <= 0.5 + full * 2e-6


def test_output_of_a_band_comes_when_the_next_one_is_under_way(weights, device):
    """At once where nothing overlaps."""
    late = 1 if device.type == "cuda" else 0
    stream = TorchEngine(weights, device, band_rows=10).stream(4, np.uint8, 1)
    finished = [len(stream.push(noise(1, 4))) // 3 for _ in range(50)]
    want = [0] * 9 + [10 - LATE] + ([0] * 9 + [10]) * 4
    assert finished == [0] * 10 * late + want[: 50 - 10 * late]
    assert len(stream.push(noise(0, 4), last=True)) == 3 * (LATE + 10 * late)


def test_streams_can_take_turns(weights, device):
    engine = TorchEngine(weights, device, band_rows=3)
    images = [noise(17, 5), noise(17, 12, np.float32)]
    streams = [engine.stream(image.shape[1], image.dtype, 1) for image in images]
    parts = [[], []]
    for row in range(17):
        for image, stream, out in zip(images, streams, parts, strict=True):
            out.append(stream.push(image[row : row + 1], last=row == 16))
    for image, out in zip(images, parts, strict=True):
        assert_same(np.concatenate(out), native(weights, image))


def test_a_stream_that_is_given_up_harms_no_other(weights, device):
    engine = TorchEngine(weights, device, band_rows=4)
    image = noise(40, 30)
    want = in_blocks(engine, image, [])
    for rows in (4, 13, 30):
        engine.stream(30, np.uint8, 1).push(noise(rows, 30))
        assert np.array_equal(in_blocks(engine, image, []), want)


def test_rows_may_change_after_they_were_pushed(weights, device):
    stream = TorchEngine(weights, device, band_rows=4).stream(6, np.uint8, 1)
    image, parts = noise(21, 6), []
    for top in range(0, 21, 3):
        rows = image[top : top + 3].copy()
        parts.append(stream.push(rows, last=top == 18))
        rows.fill(0)
    assert_same(np.concatenate(parts), native(weights, image))


class OutOfMemory:
    """A hook at the end of the network: no band of more than so many rows goes through, so many times."""

    def __init__(self, rows, times=10**9):
        self.rows, self.times, self.seen = rows, times, []

    def __call__(self, _module, inputs):
        rows = inputs[0].shape[1]
        if rows > self.rows and self.times:
            self.times -= 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        self.seen.append(rows)


def with_little_memory(weights, device, band_rows, memory):
    engine = TorchEngine(weights, device, band_rows=band_rows)
    engine._network.deep_norm.register_forward_pre_hook(memory)
    return engine


@pytest.mark.parametrize("times", [1, 10**9])
@pytest.mark.parametrize(("band_rows", "rows"), [(16, 12), (16, 7), (7, 6), (50, 11)])
def test_bands_are_halved_when_memory_does_not_suffice(weights, device, band_rows, rows, times):
    image = noise(50, 5, np.float32)
    memory = OutOfMemory(rows, times)
    got = in_blocks(with_little_memory(weights, device, band_rows, memory), image, [5, 20, 3])
    assert_same(got, native(weights, image))
    assert memory.times < times, "memory has sufficed"


def test_memory_for_one_row_is_enough(weights, device):
    image = noise(20, 5, np.float32)
    memory = OutOfMemory(1)
    got = in_blocks(with_little_memory(weights, device, 8, memory), image, [11])
    assert_same(got, native(weights, image))
    assert set(memory.seen) == {0, 1}


def test_memory_that_does_not_suffice_for_one_row_is_one_line(weights, device):
    stream = with_little_memory(weights, device, 8, OutOfMemory(0)).stream(5, np.uint8, 1)
    with pytest.raises(
        ArgumentError, match=r'^not enough memory on device "[^\n]+" for an image 5 pixels wide'
    ):
        stream.push(noise(30, 5))
    with pytest.raises(ArgumentError, match="the image has ended"):
        stream.push(noise(2, 5))


def test_memory_does_not_grow_with_the_height(weights, live_memory):
    """The tensors that are alive at once. Counted on the CPU, where the same code runs."""

    def peak(height):
        stream = TorchEngine(weights, torch.device("cpu"), band_rows=6).stream(4, np.uint8, 1)
        with live_memory() as memory:
            for top in range(0, height, 2):
                stream.push(noise(2, 4), last=top + 2 == height)
        return memory.peak

    low, high = peak(24), peak(120)
    assert low == high


def test_large_images_take_no_more_memory_of_a_gpu(make_weights):
    """As large as it is to work: 4,096 x 4,096 pixels of input, by the student."""
    if not torch.cuda.is_available():
        pytest.skip("this processor lacks CUDA")
    device = torch.zeros(1, device="cuda").device
    engine = TorchEngine(make_weights(NetworkConfig()), device, "bf16")
    block = noise(64, 4096)

    def peak(height):
        torch.cuda.reset_peak_memory_stats(device)
        stream = engine.stream(4096, np.uint8, 1)
        rows = sum(len(stream.push(block, last=top + 64 == height)) for top in range(0, height, 64))
        assert rows == 4 * height
        return torch.cuda.max_memory_allocated(device)

    low, high = peak(1024), peak(4096)
    assert high <= 1.05 * low
    assert high < 4 * 2**30


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "config", [NetworkConfig(blocks=1), NetworkConfig(channels=16, blocks=1, expansion=4)]
)
def test_a_band_takes_the_memory_that_its_height_is_chosen_by(make_weights, live_memory, config, precision):
    engine = TorchEngine(make_weights(config), torch.device("cpu"), precision, band_rows=8)
    stream = engine.stream(16, np.uint8, 1)
    stream.push(noise(16, 16))
    gc.collect()
    with live_memory() as memory:
        stream.push(noise(8, 16))
    per_pixel = memory.peak / (8 * 16)
    assert 0.7 * bytes_per_pixel(config) < per_pixel < 1.1 * bytes_per_pixel(config)


def test_height_of_a_band(device):
    assert band_height(CONFIG, device, 10**9) == 1
    assert band_height(CONFIG, device, 100) > 100


class TestBadArguments:
    @pytest.fixture
    def engine(self, weights):
        return TorchEngine(weights, torch.device("cpu"))

    @pytest.mark.parametrize("value", [0, -1, 2.0, "3", True, None])
    @pytest.mark.parametrize("name", ["width", "threads"])
    def test_counts(self, engine, name, value):
        arguments = {"width": 3, "dtype": np.uint8, "threads": 1, name: value}
        with pytest.raises(ArgumentError, match=rf"^{name} must be a whole number from 1, got "):
            engine.stream(**arguments)

    def test_band_rows(self, weights):
        with pytest.raises(ArgumentError, match=r"^band_rows must be a whole number from 1, got 0$"):
            TorchEngine(weights, torch.device("cpu"), band_rows=0)

    def test_types(self, engine):
        with pytest.raises(ArgumentError, match=r"^pixels must be uint8, uint16 or float32, got float64$"):
            engine.stream(3, np.float64, 1)

    def test_stream_goes_on_after_a_refusal(self, engine, weights):
        image = noise(8, 3)
        stream = engine.stream(3, np.uint8, 1)
        first = stream.push(image[:5])
        with pytest.raises(ArgumentError, match=r"^expected rows of shape \(rows, 3, 3\) and type uint8"):
            stream.push(image[:, :2], last=True)
        assert_same(np.concatenate([first, stream.push(image[5:], last=True)]), native(weights, image))

    def test_after_the_end(self, engine):
        stream = engine.stream(3, np.uint8, 1)
        stream.push(noise(2, 3), last=True)
        with pytest.raises(ArgumentError, match=r"^the image has ended: start another stream$"):
            stream.push(noise(2, 3))
