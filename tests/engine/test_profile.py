"""The engine's own account of its time, and the floor that it is set beside."""

from __future__ import annotations

import time

import numpy as np
import pytest

from dvmsr import STUDENT, ArgumentError, NetworkConfig
from dvmsr.engine import PRECISIONS, Engine
from dvmsr.engine.profile import work_of
from dvmsr.evaluation.complexity import count_complexity

SMALL = NetworkConfig(channels=16, blocks=2, vimms_per_block=1)


def test_multiplications_are_those_of_the_complexity_table():
    """Two independent counts: this one adds what belongs to no layer's product, so it is a little more."""
    work = work_of(STUDENT, "bf16", 1)
    layers = ("shallow", "in_proj", "x_proj", "out_proj", "conv", "reconstruct")
    macs = sum(work[name].flop for name in layers) / 2
    counted = count_complexity(STUDENT, 64, 64)
    others = counted.macs / 64**2 - macs
    assert 0 < others < 0.25 * macs  # the scan, conv1d and dt_proj


def test_bfloat16_moves_fewer_bytes():
    full, short = (work_of(STUDENT, precision, 1) for precision in PRECISIONS)
    assert sum(work.bytes for work in short.values()) < 0.9 * sum(work.bytes for work in full.values())


def test_minimal_filtering_halves_the_convolutions_of_float32():
    full, short = (work_of(STUDENT, precision, 1) for precision in PRECISIONS)
    of_short = {name: work.flop / short[name].flop for name, work in full.items() if work.flop}
    assert 0.5 < of_short.pop("conv") < 0.53
    assert 0.5 < of_short.pop("reconstruct") < 0.53
    assert set(of_short.values()) == {1}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("threads", [1, 2])
def test_the_time_of_the_stages_is_the_time_of_the_call(make_weights, precision, threads):
    engine = Engine(make_weights(SMALL), precision)
    image = np.random.default_rng(0).integers(0, 256, (200, 96, 3), np.uint8)
    stream = engine.stream(96, np.uint8, threads, profile=True)
    begin = time.perf_counter()
    plain = np.concatenate([stream.push(image[:90]), stream.push(image[90:], last=True)])
    seconds = time.perf_counter() - begin
    profile = stream.profile()
    assert np.array_equal(plain, engine.stream(96, np.uint8, 1).push(image, last=True))
    assert (profile.precision, profile.threads, profile.pixels) == (precision, threads, 200 * 96)
    assert 0.5 * seconds < profile.seconds <= seconds
    # Threads wait for each other, and the machine may be busy; but nobody works longer than it lasts.
    assert 0 < profile.busy_seconds <= threads * profile.seconds
    if threads == 1:
        assert profile.busy_seconds > 0.8 * profile.seconds
    assert all(stage.seconds > 0 for stage in profile.stages)
    seconds_of = {stage.name: stage.seconds for stage in profile.stages}
    assert seconds_of["conv"] > 10 * seconds_of["read"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_floor_is_the_longer_of_arithmetic_and_bytes(make_weights, precision):
    stream = Engine(make_weights(SMALL), precision).stream(64, np.float32, 1, profile=True)
    stream.push(np.zeros((8, 64, 3), np.float32), last=True)
    profile = stream.profile()
    assert [stage.name for stage in profile.stages] == list(work_of(SMALL, precision, 4))
    for stage in profile.stages:
        peak = profile.peak_wide_flops if stage.work.wide else profile.peak_flops
        longer = max(stage.work.flop / peak, stage.work.bytes / profile.peak_bytes)
        assert stage.floor_seconds == pytest.approx(8 * 64 * longer)
    assert profile.floor_seconds == pytest.approx(sum(stage.floor_seconds for stage in profile.stages))
    # No processor that this runs on does less, and none so much more.
    assert 1e8 < profile.peak_flops < 1e13
    assert 1e8 < profile.peak_bytes < 1e13


def test_profile_has_to_be_asked_for(make_weights):
    stream = Engine(make_weights(SMALL)).stream(5, np.uint8, 1)
    with pytest.raises(ArgumentError, match=r"^this stream was not asked .* make it with profile=True$"):
        stream.profile()
