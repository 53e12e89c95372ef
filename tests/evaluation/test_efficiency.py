from __future__ import annotations

import pytest

from dvmsr import ArgumentError, NetworkConfig
from dvmsr.config import STUDENT
from dvmsr.evaluation.complexity import count_complexity, published_macs
from dvmsr.evaluation.efficiency import measure_efficiency, rlfn_complexity


def test_rlfn_costs_what_the_challenge_published():
    """NTIRE 2024's report: 0.317 M parameters, 19.67 G, 80.05 M activations. Its script also counts pooling
    and interpolation, a hundredth of a G.
    """
    cost = rlfn_complexity(4, 256, 256)
    assert cost.parameters == 317_218
    assert cost.macs / 1e9 == pytest.approx(19.67, abs=0.015)
    assert round(cost.activations / 1e6, 2) == 80.05
    assert cost.scan_macs == 0


def test_dvmsr_costs_what_the_paper_published():
    assert round(published_macs(STUDENT, 256, 256) / 1e9, 2) == 20.17
    assert round(count_complexity(STUDENT, 256, 256).scan_macs / 1e9, 3) == 4.152


def test_both_are_measured(make_weights):
    weights = make_weights(NetworkConfig(channels=8, blocks=1, vimms_per_block=1, state_size=4))
    ours, theirs = measure_efficiency(weights, 20, 24, 1)
    assert (ours.name, theirs.name) == ("DVMSR", "RLFN")
    assert (ours.complexity.height, ours.complexity.width) == (20, 24)
    assert 0 < ours.seconds < theirs.seconds
    # PyTorch is in the one process alone.
    assert 30 < ours.memory_mib < theirs.memory_mib - 50


def test_too_small_for_rlfn(make_weights):
    with pytest.raises(ArgumentError, match="RLFN takes images from 15x15, got 14x20"):
        measure_efficiency(make_weights(NetworkConfig(channels=8, blocks=1)), 14, 20, 1)
