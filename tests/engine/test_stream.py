"""Rows in, rows out: the same bits whatever the blocks, the threads and the company."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dvmsr._native as _native
from dvmsr import ArgumentError, NetworkConfig
from dvmsr.engine import MAX_COUNT, PRECISIONS, Engine
from dvmsr.weights import save_weights

CONFIG = NetworkConfig(scale=3, channels=20, blocks=2, vimms_per_block=2, state_size=5)
# Of an image's first and last rows, this many wait for others.
LATE = CONFIG.blocks + 3


@pytest.fixture(scope="module", params=PRECISIONS)
def engine(make_weights, request):
    return Engine(make_weights(CONFIG), request.param)


def noise(height, width, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype) == np.float32:
        return rng.random((height, width, 3), np.float32)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)


def whole(engine, image, threads=1):
    return engine.stream(image.shape[1], image.dtype, threads).push(image, last=True)


def in_blocks(engine, image, heights, threads):
    """Rows pushed so many at a time, the rest at the end."""
    stream = engine.stream(image.shape[1], image.dtype, threads)
    parts, top = [], 0
    for height in heights:
        parts.append(stream.push(image[top : top + height]))
        top += height
    parts.append(stream.push(image[top:], last=True))
    return np.concatenate(parts)


@pytest.mark.arithmetic
@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 30),
    width=st.one_of(st.integers(1, 20), st.sampled_from([63, 64, 65, 130, 300])),
    heights=st.lists(st.integers(0, 12), max_size=12),
    threads=st.integers(1, 8),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
)
def test_same_bits_for_any_blocks_and_threads(engine, height, width, heights, threads, dtype):
    image = noise(height, width, dtype)
    want = whole(engine, image)
    assert want.shape == (3 * height, 3 * width, 3)
    assert want.dtype == dtype
    assert np.array_equal(in_blocks(engine, image, heights, threads), want)


@pytest.mark.arithmetic
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_same_bits_for_any_network(make_weights, data):
    config = NetworkConfig(
        scale=data.draw(st.sampled_from([2, 4])),
        channels=data.draw(st.integers(1, 20)),
        blocks=data.draw(st.integers(1, 4)),
        vimms_per_block=data.draw(st.integers(1, 4)),
        conv_width=data.draw(st.integers(1, 5)),
        vimm_residual=data.draw(st.booleans()),
    )
    engine = Engine(make_weights(config), data.draw(st.sampled_from(PRECISIONS)))
    image = noise(data.draw(st.integers(1, 40)), data.draw(st.integers(1, 9)), np.float32)
    heights = data.draw(st.lists(st.integers(0, 15), max_size=8))
    got = in_blocks(engine, image, heights, data.draw(st.integers(1, 8)))
    assert np.array_equal(got, whole(engine, image))


# With every number of vectors that the panels of a matrix can leave idle, and odd numbers of channels.
@pytest.mark.arithmetic
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("channels", [*range(4, 161, 8), *range(1, 261, 32)])
def test_same_pixels_for_any_width_of_network(make_weights, channels, precision):
    """What other stages leave in a worker's memory, such as bytes of white pixels, reaches no number."""
    config = NetworkConfig(scale=3, channels=channels, blocks=1, vimms_per_block=1, state_size=2)
    weights = make_weights(config)
    weights.parameters["reconstruct.bias"][:] = 0.9
    engine = Engine(weights, precision)
    image = np.full((9, 110, 3), 255, np.uint8)
    # Streams of float32 leave no bytes.
    numbers = whole(engine, image.astype(np.float32) / 255)
    want = np.floor(np.clip(numbers, 0, 1) * 255 + 0.5)
    assert np.array_equal(whole(engine, image), want)
    assert np.array_equal(in_blocks(engine, image, [5, 1, 3], threads=3), want)


@pytest.mark.parametrize("threads", [1, 3])
def test_rows_come_out_as_soon_as_the_halo_allows(engine, threads):
    image = noise(20, 6)
    stream = engine.stream(6, np.uint8, threads)
    finished = [len(stream.push(image[row : row + 1])) // 3 for row in range(20)]
    assert finished == [0] * LATE + [1] * (20 - LATE)
    assert len(stream.push(image[:0], last=True)) == 3 * LATE


def test_streams_can_take_turns(engine):
    """One engine, two images under way at once, of different size and type."""
    images = [noise(17, 5), noise(17, 12, np.float32)]
    streams = [engine.stream(image.shape[1], image.dtype, 2) for image in images]
    parts = [[], []]
    for row in range(17):
        for image, stream, out in zip(images, streams, parts, strict=True):
            out.append(stream.push(image[row : row + 1], last=row == 16))
    for image, out in zip(images, parts, strict=True):
        assert np.array_equal(np.concatenate(out), whole(engine, image))


def test_one_engine_in_several_python_threads(engine):
    images = [noise(20 + i, 30 - i, seed=i) for i in range(8)]
    want = [whole(engine, image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda i: in_blocks(engine, images[i % 8], [3, 8], threads=2), range(24)))
    for i, output in enumerate(got):
        assert np.array_equal(output, want[i % 8])


def test_stream_outlives_its_engine(make_weights):
    stream = Engine(make_weights(CONFIG)).stream(5, np.uint8, 1)
    image = noise(9, 5)
    assert np.array_equal(stream.push(image, last=True), whole(Engine(make_weights(CONFIG)), image))


def test_weights_may_change_after_the_engine_was_made(make_weights):
    weights = make_weights(CONFIG)
    engine, image = Engine(weights), noise(4, 4)
    before = whole(engine, image)
    for array in weights.parameters.values():
        array.fill(np.nan)
    assert np.array_equal(whole(engine, image), before)


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_rounded_and_clipped(make_weights, dtype):
    weights = make_weights(CONFIG)
    for array in weights.parameters.values():
        array *= 1.5  # far beyond [0, 1]
    engine = Engine(weights)
    image, full = noise(9, 8, dtype), np.iinfo(dtype).max
    exact = whole(engine, (image / full).astype(np.float32))
    assert exact.min() < 0
    assert exact.max() > 1
    want = np.clip(exact, 0, 1).astype(np.float64) * full
    got = whole(engine, image)
    assert (got.min(), got.max()) == (0, full)
    assert np.abs(got - want).max() <= 0.5 + 0.02  # uint16 shows float32's own rounding


@pytest.mark.parametrize(
    "arrange",
    [
        pytest.param(lambda x: x[::-1].copy()[::-1], id="upside down"),
        pytest.param(lambda x: np.asfortranarray(x), id="columns first"),
        pytest.param(lambda x: np.repeat(x, 2, axis=1)[:, ::2], id="with gaps"),
        pytest.param(lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape), id="read-only"),
    ],
)
def test_layout_of_the_rows_does_not_matter(engine, arrange):
    image = noise(6, 7)
    arranged = arrange(image)
    assert np.array_equal(arranged, image)
    assert np.array_equal(whole(engine, arranged), whole(engine, image))


@pytest.mark.arithmetic
def test_floating_point_flags_are_restored(engine):
    def product_of_small():
        return np.float32(1e-38) * np.float32(1e-4)

    assert product_of_small() > 0
    whole(engine, noise(6, 6), threads=2)
    assert product_of_small() > 0, "denormals are still flushed after the call"


@pytest.mark.arithmetic
def test_denormals_are_flushed_in_every_thread_or_none(make_weights):
    """A bias that is denormal is all that the last layer gets, and it makes it large enough to be seen."""

    def enlarged(bias, threads):
        weights = make_weights(CONFIG)
        for array in weights.parameters.values():
            array.fill(0)
        weights.parameters["deep.bias"].fill(bias)
        weights.parameters["reconstruct.weight"].fill(1e35)
        return whole(Engine(weights), noise(40, 64, np.float32), threads)

    want = enlarged(1e-41, threads=1)
    assert np.array_equal(enlarged(1e-41, threads=4), want)
    # What the test stands on: a bias that is not flushed reaches the output.
    assert np.abs(enlarged(2e-35, threads=4) - want).min() > 10


def test_other_threads_go_on_during_a_call(engine):
    image = noise(400, 300)
    ticks, stop = [], threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    other = threading.Thread(target=tick)
    other.start()
    begin = time.perf_counter()
    whole(engine, image)
    end = time.perf_counter()
    stop.set()
    other.join()
    quarter = (end - begin) / 4
    assert any(begin + quarter < moment < end - quarter for moment in ticks)


def run_alone(program, *arguments):
    """In a fresh interpreter: what is told of it is not of PyTorch or of the tests before."""
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory, make_weights):
    path = tmp_path_factory.mktemp("weights") / "noise.safetensors"
    config = NetworkConfig(channels=16, blocks=1, vimms_per_block=1)
    save_weights(path, make_weights(config).parameters, config)
    return path


def test_works_in_a_forked_process(weights_file):
    program = """
        import os, sys
        import numpy as np
        from dvmsr import Upscaler

        upscaler = Upscaler(sys.argv[1], threads=2)
        image = np.arange(30 * 40 * 3, dtype=np.uint8).reshape(30, 40, 3)
        before = upscaler.upscale(image)
        child = os.fork()
        if child == 0:
            os._exit(0 if np.array_equal(upscaler.upscale(image), before) else 3)
        assert np.array_equal(upscaler.upscale(image), before)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run_alone(program, weights_file) == "0\n"


def test_threads_end_with_the_call(weights_file):
    """Nothing waits or spins between calls, and no call has more threads than it was given."""
    program = """
        import sys, threading, time
        from pathlib import Path
        import numpy as np
        from dvmsr.engine import Engine
        from dvmsr.weights import load_weights

        def tasks():
            return len(list(Path("/proc/self/task").iterdir()))

        engine = Engine(load_weights(sys.argv[1]))
        stream = engine.stream(300, np.uint8, 3)
        rows = np.zeros((400, 300, 3), np.uint8)
        before, most, done = tasks(), 0, threading.Event()

        def watch():
            global most
            while not done.is_set():
                most = max(most, tasks() - 1)
                time.sleep(0.001)

        watcher = threading.Thread(target=watch)
        watcher.start()
        stream.push(rows)
        done.set()
        watcher.join()
        # The system takes a moment to forget a thread that has ended.
        deadline = time.monotonic() + 30
        while tasks() > before and time.monotonic() < deadline:
            time.sleep(0.01)
        after, begin = tasks(), time.process_time()
        time.sleep(0.3)
        print(1 <= most - before <= 2, after - before, time.process_time() - begin < 0.05)
    """
    assert run_alone(program, weights_file) == "True 0 True\n"


def test_threads_that_wait_take_no_time(weights_file):
    """One row is work for one thread after the other."""
    program = """
        import sys, time
        import numpy as np
        from dvmsr.engine import Engine
        from dvmsr.weights import load_weights

        engine = Engine(load_weights(sys.argv[1]))
        row = np.zeros((1, 20_000, 3), np.uint8)

        def spent(threads):
            begin = time.process_time()
            engine.stream(20_000, np.uint8, threads).push(row, last=True)
            return time.process_time() - begin

        print(min(spent(4) for _ in range(5)) < 1.5 * min(spent(1) for _ in range(5)))
    """
    assert run_alone(program, weights_file) == "True\n"


def test_memory_does_not_grow_with_the_height(weights_file, tmp_path):
    """From file to file. Four times the rows would be 38 MiB more of output alone."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the peak of a process is read from /proc, which is Linux's")
    program = """
        import re, sys
        from pathlib import Path
        import pyvips
        from dvmsr import upscale

        weights, folder, height = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
        image = pyvips.Image.black(256, height, bands=3).copy(interpretation="srgb")
        image.write_to_file(str(folder / "in.png"))
        upscale(folder / "in.png", output=folder / "out.png", overwrite=True, weights=weights, threads=1)
        print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
    """
    low, high = (int(run_alone(program, weights_file, tmp_path, height)) for height in (1024, 4096))
    assert high <= 1.1 * low


def test_memory_that_does_not_suffice_is_one_line(engine, monkeypatch):
    with pytest.raises(
        ArgumentError, match=rf"^not enough memory for an image {MAX_COUNT} pixels wide; [^\n]+$"
    ):
        engine.stream(MAX_COUNT, np.uint8, 1)

    stream = engine.stream(5, np.uint8, 1)
    monkeypatch.setattr(stream, "_native", OutOfMemory())
    with pytest.raises(ArgumentError, match=r"^not enough memory for an image 5 pixels wide; [^\n]+$"):
        stream.push(noise(2, 5))
    with pytest.raises(ArgumentError, match="the image has ended"):
        stream.push(noise(2, 5))

    stream = engine.stream(5, np.uint8, 1)
    monkeypatch.setattr(stream, "_native", OutOfMemory(finished=10**14))
    with pytest.raises(ArgumentError, match=r"^not enough memory for 15x300000000000000 pixels of output"):
        stream.push(noise(2, 5))


def test_two_threads_in_one_stream(engine):
    """The second is refused, and the first one's image is as it would have been."""
    image = noise(300, 300)
    stream = engine.stream(300, np.uint8, 1)
    results = []
    first = threading.Thread(target=lambda: results.append(stream.push(image, last=True)))
    first.start()
    while not stream._in_use.locked():
        time.sleep(0.001)
    with pytest.raises(
        ArgumentError, match=r"^another thread is pushing into this stream: give each thread "
    ):
        stream.push(image)
    first.join()
    assert np.array_equal(results[0], whole(engine, image))


def test_an_exception_of_a_signal_handler_ends_the_work_soon(make_weights):
    """The image would take half a minute."""

    class AlarmError(Exception):
        pass

    def ring(*_):
        raise AlarmError

    stream = Engine(make_weights(NetworkConfig())).stream(2000, np.uint8, 2)
    image = np.zeros((2000, 2000, 3), np.uint8)
    before = signal.signal(signal.SIGALRM, ring)
    try:
        begin = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(AlarmError):
            stream.push(image, last=True)
        assert time.monotonic() - begin < 10
    finally:
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(ArgumentError, match="the image has ended"):
        stream.push(image)


def test_signals_that_raise_nothing_change_nothing(engine):
    image = noise(400, 300)
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(None))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        got = in_blocks(engine, image, [200, 100], threads=2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert rung
    assert np.array_equal(got, whole(engine, image))


class OutOfMemory:
    def __init__(self, finished=1):
        self.finished = finished

    def rows_after(self, _rows, _last):
        return self.finished

    def run(self, _rows, _output, _last):
        raise MemoryError("std::bad_alloc")


class TestBadArguments:
    @pytest.mark.parametrize("value", [0, -1, 2.0, "3", True, None])
    @pytest.mark.parametrize("name", ["width", "threads"])
    def test_counts(self, engine, name, value):
        arguments = {"width": 3, "dtype": np.uint8, "threads": 1, name: value}
        with pytest.raises(ArgumentError, match=rf"^{name} must be a whole number from 1, got "):
            engine.stream(**arguments)

    @pytest.mark.parametrize("value", [MAX_COUNT + 1, 2**64, 10**6000], ids=["next", "2^64", "6,000 digits"])
    @pytest.mark.parametrize("name", ["width", "threads"])
    def test_counts_that_native_code_cannot_hold(self, engine, name, value):
        arguments = {"width": 3, "dtype": np.uint8, "threads": 1, name: value}
        with pytest.raises(
            ArgumentError, match=rf"^{name} must be a whole number up to {MAX_COUNT}, got a larger "
        ):
            engine.stream(**arguments)

    @pytest.mark.parametrize("counts", [(0, 1), (-1, 1), (MAX_COUNT + 1, 1), (3, 0)])
    def test_counts_past_the_checks(self, engine, counts):
        """Nobody should call it, and still it must not end the process."""
        with pytest.raises(ValueError, match="must be from 1"):
            _native.Stream(engine._network, *counts)

    def test_counts_of_numpy(self, engine):
        stream = engine.stream(np.int64(3), np.uint8, np.int32(2))
        assert stream.push(noise(2, 3), last=True).shape == (6, 9, 3)

    @pytest.mark.parametrize("dtype", [np.float64, np.int8, np.float16, ">u2", bool])
    def test_types(self, engine, dtype):
        with pytest.raises(ArgumentError, match=r"^pixels must be uint8, uint16 or float32, got "):
            engine.stream(3, dtype, 1)

    @pytest.mark.parametrize(
        "rows",
        [noise(2, 4), noise(2, 3, np.uint16), noise(2, 3)[..., :2], noise(2, 3)[0], noise(2, 3)[None]],
        ids=["width", "type", "channels", "one row", "batch"],
    )
    def test_rows(self, engine, rows):
        with pytest.raises(
            ArgumentError, match=r"^expected rows of shape \(rows, 3, 3\) and type uint8, got "
        ):
            engine.stream(3, np.uint8, 1).push(rows)

    def test_no_array(self, engine):
        with pytest.raises(ArgumentError, match=r"^expected an array of rows, got list$"):
            engine.stream(3, np.uint8, 1).push([[[1, 2, 3]] * 3])

    def test_after_the_end(self, engine):
        stream = engine.stream(3, np.uint8, 1)
        stream.push(noise(2, 3), last=True)
        with pytest.raises(ArgumentError, match=r"^the image has ended: start another stream$"):
            stream.push(noise(2, 3))

    def test_stream_goes_on_after_a_refusal(self, engine):
        image = noise(8, 3)
        stream = engine.stream(3, np.uint8, 1)
        first = stream.push(image[:5])
        with pytest.raises(ArgumentError):
            stream.push(image[:, :2], last=True)
        assert np.array_equal(
            np.concatenate([first, stream.push(image[5:], last=True)]), whole(engine, image)
        )
