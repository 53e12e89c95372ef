"""What only CUDA has: the copies and the graphs carry the same rows and states as the plain form does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dvmsr import NetworkConfig
from dvmsr.torch_engine import TorchEngine, cuda

pytestmark = pytest.mark.usefixtures("one_torch_thread")

CONFIG = NetworkConfig(scale=2, channels=12, blocks=2, vimms_per_block=2, state_size=4)


@pytest.fixture(scope="module")
def weights(make_weights):
    return make_weights(CONFIG)


def enlarge(engine, image, rows_at_once=4):
    stream = engine.stream(image.shape[1], image.dtype, 1)
    tops = range(0, len(image), rows_at_once)
    parts = [stream.push(image[top : top + rows_at_once]) for top in tops]
    return np.concatenate([*parts, stream.push(image[:0], last=True)])


def plain_and_emulated(weights, precision, band_rows):
    engines = [TorchEngine(weights, torch.device("cpu"), precision, band_rows) for _ in range(2)]
    engines[1]._streams = cuda.make_streams(torch.device("cpu"))
    return engines


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("height", "band_rows", "replays"),
    [(60, 6, 8), (60, 7, 6), (31, 1, 25), (23, 2, 7), (5, 9, 0), (12, 12, 0)],
)
def test_same_bits_by_graphs(weights, emulated_cuda, precision, height, band_rows, replays):
    image = np.random.default_rng(0).random((height, 5, 3), np.float32)
    plain, emulated = plain_and_emulated(weights, precision, band_rows)
    assert np.array_equal(enlarge(emulated, image), enlarge(plain, image))
    assert [graph.replays for graph in emulated_cuda] == ([replays] if replays else [])


@pytest.mark.parametrize("fails_at", range(0, 12))
def test_memory_that_gives_out_at_any_band(weights, emulated_cuda, fails_at):
    """In the first band, in those that run as always, while one is captured, and at the end."""
    image = np.random.default_rng(0).random((60, 5, 3), np.float32)
    plain, emulated = plain_and_emulated(weights, "fp32", 8)
    bands = 0

    def hook(_module, _inputs):
        nonlocal bands
        bands += 1
        if bands == fails_at + 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    emulated._network.deep_norm.register_forward_pre_hook(hook)
    got, want = enlarge(emulated, image), enlarge(plain, image)
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= 1e-4 * np.abs(want).max()
    assert sum(graph.replays for graph in emulated_cuda) > 0


def test_small_bands_replay_a_graph(weights):
    """On a device, where a graph that was not used would be as right as one that was."""
    if not torch.cuda.is_available():
        pytest.skip("this processor lacks CUDA")
    device = torch.zeros(1, device="cuda").device
    image = np.random.default_rng(0).random((200, 30, 3), np.float32)
    engine = TorchEngine(weights, device, band_rows=20)
    stream = engine.stream(30, np.float32, 1)
    stream.push(image[:100])
    assert stream._transfer._bands._graph is not None
    whole = enlarge(TorchEngine(weights, device, band_rows=200), image)
    assert np.abs(enlarge(engine, image) - whole).max() <= 1e-4 * np.abs(whole).max()
