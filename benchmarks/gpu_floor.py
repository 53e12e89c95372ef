"""What a GPU can do at best, measured, and the time that a scan needs at least by that."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from dvmsr import STUDENT

_COPIED_BYTES = 2**30
_THREADS = 128
_PROGRAMS = 132 * 64
_ROUNDS = 4096
# Independent chains of each thread, so that none waits for its last result.
_CHAINS = 8


@dataclass(frozen=True)
class Rates:
    """What the device did in this run."""

    bytes_per_second: float
    """Of a copy: read and written."""

    exps_per_second: float
    """Of 2**x in float32."""

    fmas_per_second: float
    """Of a * b + c in float32."""


@triton.jit
def _chains(out, rounds, EXP: tl.constexpr, CHAINS: tl.constexpr, THREADS: tl.constexpr):
    """Do `rounds` operations on each of CHAINS numbers of each thread."""
    x = tl.program_id(0) + tl.arange(0, CHAINS)[:, None] + tl.arange(0, THREADS)[None, :] * 1e-3
    for _ in range(rounds):
        x = tl.exp2(-x) if EXP else x * 0.999 + 0.001
    tl.store(out + tl.program_id(0) * THREADS + tl.arange(0, THREADS), tl.sum(x, axis=0))


def seconds_on_gpu(run: Callable[[], object]) -> float:
    """Run once and return the seconds between two CUDA events around it."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1000


def measure_rates(repeats: int = 7) -> Rates:
    """Measure the current CUDA device."""
    source = torch.empty(_COPIED_BYTES // 2, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    out = torch.empty(_PROGRAMS * _THREADS, device="cuda")

    # A thread for each column: every chain is in one thread's registers.
    tile = {"CHAINS": _CHAINS, "THREADS": _THREADS, "num_warps": _THREADS // 32}

    def chains(exp: bool) -> None:
        _chains[(_PROGRAMS,)](out, _ROUNDS, EXP=exp, **tile)

    def median(run: Callable[[], object]) -> float:
        run()
        return statistics.median(seconds_on_gpu(run) for _ in range(repeats))

    operations = _PROGRAMS * _THREADS * _CHAINS * _ROUNDS
    return Rates(
        bytes_per_second=_COPIED_BYTES / median(lambda: target.copy_(source)),
        exps_per_second=operations / median(lambda: chains(True)),
        fmas_per_second=operations / median(lambda: chains(False)),
    )


def scan_floor(rates: Rates, tokens: int, bytes_per_number: int) -> dict[str, float]:
    """Return the seconds of a forward scan's bytes, exponentials and multiply-adds, and their maximum.

    Each input is read and each output written once. A state update takes one exponential and four
    operations: step * A, step * u * B, the state, and its part of y.
    """
    channels, states = STUDENT.inner_channels, STUDENT.state_size
    updates = tokens * channels * states
    seconds = {
        "bytes": tokens * (4 * channels + 2 * states) * bytes_per_number / rates.bytes_per_second,
        "exps": updates / rates.exps_per_second,
        "fmas": 4 * updates / rates.fmas_per_second,
    }
    return {**seconds, "floor": max(seconds.values())}
