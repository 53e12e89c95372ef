"""Who has the threads and the memory of a training step."""

from __future__ import annotations

import ctypes
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from dvmsr.kernels import conv3x3
from dvmsr.kernels.resources import native_threads, resources_for_kernels, threads_for_pytorch

linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system is not Linux")


@pytest.fixture
def native() -> None:
    pytest.importorskip("dvmsr._native")


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def counts() -> tuple[int, int]:
    return torch.get_num_threads(), native_threads()


def test_native_kernels_follow_pytorch() -> None:
    assert counts() == (3, 3)


def test_kernels_have_the_threads_and_give_them_back() -> None:
    pytest.importorskip("dvmsr._native")
    with resources_for_kernels("cpu"):
        assert counts() == (1, 3)
        with resources_for_kernels("cpu"):
            assert counts() == (1, 3)
        with threads_for_pytorch():
            assert counts() == (3, 3)
        assert counts() == (1, 3)
    assert counts() == (3, 3)


def test_they_come_back_after_an_error() -> None:
    with pytest.raises(ValueError, match="stop"), resources_for_kernels("cpu"):
        raise ValueError("stop")
    assert counts() == (3, 3)


def test_nothing_changes_where_no_native_kernel_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with resources_for_kernels("cuda"):
        assert counts() == (3, 3)
    monkeypatch.setattr("dvmsr.kernels.resources.find_spec", lambda _: None)
    with resources_for_kernels("cpu"):
        assert counts() == (3, 3)


def gradients() -> tuple[torch.Tensor, ...]:
    """Of a convolution of eight pieces, by kernels in three threads."""
    inputs = [
        torch.linspace(-1, 1, 8 * 40 * 9 * 6).view(8, 40, 9, 6),
        torch.ones(12, 6, 3, 3),
        torch.ones(12),
    ]
    y = conv3x3(*(x.requires_grad_() for x in inputs))
    return torch.autograd.grad(y, inputs, torch.linspace(-1, 1, y.numel()).view_as(y))


@pytest.mark.usefixtures("native")
def test_kept_threads_give_the_same_bits() -> None:
    want = gradients()
    with resources_for_kernels("cpu"):
        for _ in range(3):
            assert all(map(torch.equal, gradients(), want))


@pytest.mark.usefixtures("native")
def test_calls_from_several_threads_at_a_time() -> None:
    want = gradients()
    with resources_for_kernels("cpu"), ThreadPoolExecutor(4) as callers:
        for got in callers.map(lambda _: gradients(), range(12)):
            assert all(map(torch.equal, got, want))


@linux
@pytest.mark.usefixtures("native")
def test_kept_threads_work_wait_and_then_end() -> None:
    tasks = Path("/proc/self/task")

    def threads() -> set[str]:
        return {task.name for task in tasks.iterdir()}

    def naps(thread: str) -> int:
        status = (tasks / thread / "status").read_text()
        return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])

    before = threads()
    with resources_for_kernels("cpu"):
        kept = threads() - before
        assert len(kept) == 2
        slept = {thread: naps(thread) for thread in kept}
        gradients()
        gradients()
        assert all(naps(thread) > slept[thread] for thread in kept)
        assert threads() - before == kept
    # The system takes a moment to forget a thread that has ended.
    deadline = time.monotonic() + 10
    while threads() & kept and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not threads() & kept


@pytest.mark.usefixtures("native")
def test_more_threads_than_are_kept() -> None:
    """A call that asks for more has threads of its own."""
    import dvmsr._native as _native

    inputs = torch.rand(8, 40, 9, 6), torch.rand(12, 3, 3, 6), torch.rand(12)
    want, got = torch.empty(8, 40, 9, 12), torch.empty(8, 40, 9, 12)
    with resources_for_kernels("cpu"):
        _native.conv3x3_forward(*inputs, want, threads=1)
        _native.conv3x3_forward(*inputs, got, threads=7)
    assert torch.equal(got, want)


@pytest.mark.usefixtures("native")
def test_nothing_is_left_of_a_failed_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    import dvmsr._native as _native

    def fail(count: int) -> None:
        if count:
            raise MemoryError

    monkeypatch.setattr(_native, "keep_threads", fail)
    with pytest.raises(MemoryError), resources_for_kernels("cpu"):
        pass
    assert counts() == (3, 3)


@pytest.mark.usefixtures("native")
def test_works_in_a_forked_process() -> None:
    """Such as those that make patches: they have none of the kept threads."""
    program = """
import os, torch
from dvmsr.kernels import conv3x3
from dvmsr.kernels.resources import resources_for_kernels

torch.set_num_threads(3)
inputs = torch.rand(8, 40, 9, 6), torch.rand(12, 6, 3, 3), torch.rand(12)
with resources_for_kernels("cpu"):
    want = conv3x3(*inputs)
    child = os.fork()
    if child == 0:
        os._exit(0 if torch.equal(conv3x3(*inputs), want) else 3)
    assert torch.equal(conv3x3(*inputs), want)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("0\n", "")


@linux
@pytest.mark.usefixtures("native")
def test_freed_memory_stays_for_the_next_step() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    size = 16 << 20

    def step() -> None:
        blocks = [ctypes.c_void_p(libc.malloc(ctypes.c_size_t(size))) for _ in range(8)]
        for block in blocks:
            libc.memset(block, 1, ctypes.c_size_t(size))
        for block in blocks:
            libc.free(block)

    def faults() -> int:
        """How often the system gave pages in a second step."""
        step()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        step()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with resources_for_kernels("cpu"):
        kept = faults()
    assert kept < faults() / 10
    with resources_for_kernels("cpu"):
        assert faults() < 2 * kept + 100
